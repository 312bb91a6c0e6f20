"""Run an Azure Functions app on this machine: our stand-in for `func start`."""
