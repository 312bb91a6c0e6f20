"""What to type next, once the registry runs."""


def login_server(port: int) -> str:
    """Give the name that clients on this machine write."""
    return f"localhost:{port}"


def banner(port: int, user: str, password: str | None, change: str) -> str:
    """Give the login server, the admin user, and commands to paste: none holds the password.

    It would stay in the shell's history, and others on the machine would see it. Without a password
    it is not the one that DATA keeps; `change` sets another.
    """
    server = login_server(port)
    image = f"{server}/hello-world"
    shown = password or f"not the one that DATA keeps; to set another: {change}"
    return f"""Login server:  {server}
User name:     {user}
Password:      {shown}

    docker login {server} --username {user}
    docker pull hello-world && docker tag hello-world {image} && docker push {image}

Ctrl-C stops the registry; what was pushed stays. The storage emulator is for trying
things out: if it is killed, it loses what it was told in its last seconds.
"""
