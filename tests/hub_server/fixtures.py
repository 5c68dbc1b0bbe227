"""The `hub` fixture. A `conftest.py` that offers it calls `environment.prepare()` first, then imports it from here."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from . import environment
from .server import HubServer

if TYPE_CHECKING:
    from huggingface_hub import HfApi


class LocalHub(HubServer):
    """A server with ways to talk to it: in this process, or from another."""

    def __init__(self, port: int, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(port)
        self.home = home  # HF_HOME of the processes `run` starts
        self._monkeypatch = monkeypatch

    def api(self, user: str | None = "alice", role: str = "write") -> "HfApi":
        """The real client in this process, as that user or without a token."""
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.endpoint, token=self.token(user, role) if user else False)

    def login(self, user: str, role: str = "write") -> None:
        """Make the user's token the one this process sends unless told otherwise, until the test ends."""
        self._monkeypatch.setenv("HF_TOKEN", self.token(user, role))

    def environment(self, user: str | None = "alice", **more: str) -> dict[str, str]:
        """The environment of a process that talks to this Hub as that user, with a cache in the test's folder."""
        inherited = {name: value for name, value in os.environ.items() if name not in environment.FORGET}
        token = {"HF_TOKEN": self.token(user)} if user else {}
        return inherited | environment.settings(self.endpoint, str(self.home)) | token | more

    def run(
        self, *command: str | Path, user: str | None = "alice", timeout: float = 60, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a process of its own; `more` are further environment variables."""
        environ = self.environment(user, **more)
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=timeout, check=False)

    def run_python(
        self, code: str, user: str | None = "alice", timeout: float = 60, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run Python code in a process of its own."""
        return self.run(sys.executable, "-c", code, user=user, timeout=timeout, **more)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    """An empty Hub at the address the client in this process believes in, with an empty cache.

    Ends with `hub.check()`: a test fails if the client used an endpoint the server does not have, or if a fault it
    programmed never struck.
    """
    from huggingface_hub import close_session, constants

    address = f"http://127.0.0.1:{environment.port}"
    if address != constants.ENDPOINT or not constants.HF_HUB_DISABLE_XET:
        pytest.fail("huggingface_hub was imported before environment.prepare(): call it first in tests/conftest.py")
    close_session()
    shutil.rmtree(constants.HF_HUB_CACHE, ignore_errors=True)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with LocalHub(environment.port, tmp_path / "hf-home", monkeypatch) as server:
        yield server
        close_session()
    server.check()
