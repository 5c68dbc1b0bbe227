import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for tiny tensors, and several processes at once, threads only wait

from hub_server import environment

environment.prepare()

from hub_server.fixtures import hub  # noqa: E402, F401
