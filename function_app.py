"""The function app: every blueprint, and nothing else."""

import logging

import azure.functions as func

from functions import BLUEPRINTS

logging.getLogger("uvicorn.access").disabled = True  # one line a request is `operation`'s
logging.getLogger("azure.core.pipeline").setLevel(logging.WARNING)  # the SDK tells of each call

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for blueprint in BLUEPRINTS:
    app.register_functions(blueprint)
