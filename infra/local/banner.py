"""What to type next, once the registry runs."""

import shlex


def login_server(port: int) -> str:
    """Give the name that clients on this machine write."""
    return f"localhost:{port}"


def banner(port: int, user: str, password: str) -> str:
    """Give the login server, the admin user, and commands to paste."""
    server = login_server(port)
    image = f"{server}/hello-world"
    return f"""Login server:  {server}
User name:     {user}
Password:      {password}

    docker login {server} --username {user} --password {shlex.quote(password)}
    docker tag hello-world {image} && docker push {image}

Ctrl-C stops the registry; what was pushed stays.
"""
