"""Image models of timm, all of random weights."""

import builtins
from typing import Any

import pytest
import torch

from ticketzoo.errors import ModelError
from ticketzoo.models import architecture_of, create_model, head_of, prunable_parameters

pytestmark = pytest.mark.slow  # the import takes seconds


@pytest.fixture(autouse=True)
def _timm() -> None:
    pytest.importorskip("timm")


def test_a_convolutional_network_scores_small_images_and_is_pruned_everywhere() -> None:
    model = create_model("timm/test_resnet", seed=0, num_classes=7, in_shape=(1, 28, 28))
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 7)
    assert len(prunable_parameters(model)) == 16
    assert head_of(model) == "fc"
    again = create_model("timm/test_resnet", seed=0, num_classes=7, in_shape=(1, 28, 28))
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), again.parameters(), strict=True))


def test_of_a_vision_transformer_the_linear_layers_of_blocks_are_prunable() -> None:
    """Six blocks of 64 units: [192, 64] and [64, 64] of attention, [192, 64] and [64, 192] of the MLP."""
    model = create_model("timm/test_vit", seed=0, num_classes=7, in_shape=(3, 64, 64))
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 7)
    prunable = prunable_parameters(model)
    assert len(prunable) == 6 * 4
    assert all(name.startswith("blocks.") for name in prunable)
    assert sum(one.numel() for one in prunable.values()) == 6 * (192 * 64 + 64 * 64 + 192 * 64 + 64 * 192)
    assert "patch_embed.proj.weight" in prunable_parameters(model, include=["patch_embed.proj"])
    assert head_of(model) == "head"


def test_what_does_not_fit_is_said_in_one_line() -> None:
    with pytest.raises(ModelError, match=r"^timm [\d.]+ has no model 'test_vitt'; did you mean test_vit\b.*\?$"):
        create_model("timm/test_vitt", seed=0)
    with pytest.raises(ModelError, match="timm/test_vit has no argument 'depth'; "):
        create_model("timm/test_vit", seed=0, depth=3)
    with pytest.raises(
        ModelError, match=r"timm/vit_giant_patch14_224 has 1,.* parameters with .*at most 1,000,000,000"
    ):
        create_model("timm/vit_giant_patch14_224", seed=0)


def test_without_timm_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *given: Any, **keys: Any) -> Any:
        if name == "timm":
            raise ModuleNotFoundError("No module named 'timm'", name="timm")
        return real(name, *given, **keys)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModelError, match=r"timm/test_vit needs the package timm: pip install 'ticketzoo\[timm\]'"):
        architecture_of("timm/test_vit", {})
