"""The function app: every blueprint, once the settings are known to be good."""

import logging

import azure.functions as func

from functions import BLUEPRINTS, runtime
from shared.start import read_settings

runtime.mend()
logging.getLogger("azure.core.pipeline").setLevel(logging.WARNING)  # the SDK tells of each call

read_settings()  # a fault ends the start, and not each request

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for blueprint in BLUEPRINTS:
    app.register_functions(blueprint)
