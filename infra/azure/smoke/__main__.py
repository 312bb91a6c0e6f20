"""python -m infra.azure.smoke: look whether a deployment keeps what this project promises."""

from infra.azure.smoke.command import app

if __name__ == "__main__":
    app(prog_name="python -m infra.azure.smoke")
