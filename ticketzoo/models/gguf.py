"""Pretrained models in a GGUF file: read once by transformers, and left as a folder of safetensors in the cache."""

import hashlib
import json
import os
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ticketzoo.errors import ModelError
from ticketzoo.models.state import model_state
from ticketzoo.models.transformer_configs import CONFIGS, known_keys
from ticketzoo.util.files import write_tensors
from ticketzoo.util.text import one_line

SUFFIX = ".gguf"
_FORMAT = 1


def folder_of(path: Path) -> Path:
    """Return the folder of a model: `path`, or of a GGUF file the folder that it was converted to.

    Quantised weights become float32, by the installed version of `gguf`: another may round otherwise, and digests of
    the weights tell. The folder has the tokenizer, too.

    Raises:
        ModelError: the file cannot be read, or the package `gguf` is missing.
    """
    if path.suffix != SUFFIX or path.is_dir():
        return path
    if not path.is_file():
        raise ModelError(f"{path}: there is no such file")
    try:
        gguf = version("gguf")
    except PackageNotFoundError:
        raise ModelError(f"{path}: reading GGUF needs the package gguf: pip install gguf") from None
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(f"{_FORMAT} {gguf}".encode())
    cache = Path(os.environ.get("TICKETZOO_CACHE") or "~/.cache/ticketzoo").expanduser() / "gguf"
    folder = cache / digest.hexdigest()
    if not folder.is_dir():
        _convert(path, folder)
    return folder


def _convert(path: Path, folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:
            made = Path(place) / "model"
            given: dict[str, Any] = {"gguf_file": path.name, "trust_remote_code": False}
            AutoTokenizer.from_pretrained(path.parent, **given).save_pretrained(made)
            model = AutoModelForCausalLM.from_pretrained(path.parent, **given)
            write_tensors(made / "model.safetensors", {name: one.float() for name, one in model_state(model).items()})
            config: dict[str, Any] = model.config.to_dict()
            config.pop("quantization_config", None)
            if config["model_type"] not in CONFIGS:
                raise ModelError(f"it holds a {config['model_type']}, and known are {', '.join(CONFIGS)}")
            keys = known_keys(config["model_type"], config)
            (made / "config.json").write_text(json.dumps({"model_type": config["model_type"], **keys}, indent=2))
            try:
                made.rename(folder)
            except OSError:
                if not folder.is_dir():  # otherwise another process was faster
                    raise
    except Exception as error:  # transformers, gguf and tokenizers raise dozens of unrelated types here
        raise ModelError(f"{path}: cannot be read as GGUF: {one_line(error)[:300]}") from error
