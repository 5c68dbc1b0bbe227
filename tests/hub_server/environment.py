"""What the client must find in the environment when it is imported; it reads most of it only then."""

import atexit
import os
import shutil
import socket
import tempfile

_FORGET = (
    "HF_TOKEN HUGGING_FACE_HUB_TOKEN HF_TOKEN_PATH HF_OIDC_RESOURCE HF_HUB_OFFLINE TRANSFORMERS_OFFLINE HF_HUB_CACHE "
    "HUGGINGFACE_HUB_CACHE HF_XET_CACHE HF_HUB_DISABLE_IMPLICIT_TOKEN HF_HUB_ETAG_TIMEOUT HF_HUB_DOWNLOAD_TIMEOUT "
    "HF_DEBUG HUGGINGFACE_CO_STAGING"
)
FORGET = _FORGET.split()

port = 0  # where this process's Hub listens


def prepare() -> None:
    """Point the client at a port of this process on 127.0.0.1, where a `hub` fixture may or may not be listening.

    Call it before anything imports `huggingface_hub`, `transformers` or `datasets`. Nothing then reaches the
    internet, and neither the tokens nor the cache of whoever runs the tests are used. Each process prepares itself
    once; what it inherits from another is replaced.
    """
    global port
    if port:
        return
    port = _free_port()
    home = tempfile.mkdtemp(prefix="hf-home-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    for name in FORGET:
        os.environ.pop(name, None)
    os.environ.update(settings(f"http://127.0.0.1:{port}", home))


def settings(endpoint: str, home: str) -> dict[str, str]:
    """The variables of a client that talks to a local Hub, over LFS (this Hub has no Xet)."""
    return {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": home,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
    return found
