"""The function app: the blueprints of its plane, once the settings are known to be good."""

import logging

import azure.functions as func

from functions import blueprints, runtime
from shared.start import read_settings

runtime.mend()
logging.getLogger("azure.core.pipeline").setLevel(logging.WARNING)  # the SDK tells of each call

settings = read_settings()  # a fault ends the start, and not each request

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for blueprint in blueprints(settings.plane):
    app.register_functions(blueprint)
