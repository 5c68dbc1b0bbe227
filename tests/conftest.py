from hub_server import environment

environment.prepare()

from hub_server.fixtures import hub  # noqa: E402, F401
