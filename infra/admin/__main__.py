"""python -m infra.admin: operators' commands."""

from infra.admin.commands import app

if __name__ == "__main__":
    app(prog_name="python -m infra.admin")
