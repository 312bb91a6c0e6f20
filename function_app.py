"""The function app: every blueprint, and nothing else."""

import logging

import azure.functions as func

from functions import BLUEPRINTS, runtime

runtime.mend()
logging.getLogger("azure.core.pipeline").setLevel(logging.WARNING)  # the SDK tells of each call

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for blueprint in BLUEPRINTS:
    app.register_functions(blueprint)
