"""A ticket of whole filters is exported as the smaller dense network, with the outputs of the masked one."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from toy_ticket import toy_ticket

from ticketzoo import Ticket
from ticketzoo.errors import TicketError
from ticketzoo.masks.masks import Masks
from ticketzoo.models import (
    architecture_of,
    create_from_architecture,
    create_model,
    model_state,
    prunable_parameters,
)
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.filters import FilterStructure
from ticketzoo.pruning.probe import Weights
from ticketzoo.pruning.pruner import Pruner
from ticketzoo.ticket import Found
from ticketzoo.ticket.export import small as small_network_of

KWARGS: dict[str, Any] = {"in_shape": [1, 12, 12], "width": 0.5}
IMAGES = torch.randn(4, 1, 12, 12, generator=torch.Generator().manual_seed(0))


def filter_ticket(**changed: Any) -> Ticket:
    """Return a ticket of LeNet-5 that keeps 2 of 3 and 5 of 8 filters, with trained values that are twice its own."""
    model = create_model("lenet-5", seed=3, **KWARGS)
    masks: Masks = {name: torch.ones_like(one, dtype=torch.bool) for name, one in prunable_parameters(model).items()}
    pruner = Pruner.of(PruningConfig(rate=0.4, prune={"structure": "filters"}), model)
    assert isinstance(pruner.structure, FilterStructure)
    state = model_state(model)
    values = {name: 2 * tensor for name, tensor in state.items()}
    layers = {name: layer.model_dump() for name, layer in pruner.structure.stated.items()}
    given: dict[str, Any] = {
        "name": "lenet-5.toy-filters",
        "architecture": architecture_of("lenet-5", KWARGS),
        "task": "image-classification",
        "source": {"dataset": "toy"},
        "pruning": {"method": "imp", "scope": "layerwise", "structure": {"kind": "filters", "layers": layers}},
        "replicates": [Found(0, {1: pruner(Weights(state, masks), to=1)}, state, values={1: values})],
    }
    return Ticket.create(**(given | changed))


@pytest.mark.parametrize("form", ["small", "small-trained"])
def test_the_file_builds_a_network_with_the_outputs_of_the_ticket(form: str, tmp_path: Path) -> None:
    ticket = filter_ticket()
    file = tmp_path / "new" / "small.safetensors"
    made = ticket.export(file, form)
    assert isinstance(made, nn.Module)
    with safe_open(file, "pt") as opened:
        facts = opened.metadata()
    kept = ticket.config.replicates[0].filters
    assert kept is not None
    assert [len(indices) for indices in kept["1"].values()] == [2, 5]
    assert json.loads(facts["kept"]) == kept["1"]
    assert json.loads(facts["shapes"])["fc1.weight"] == [60, 5]
    architecture = json.loads(facts["architecture"])
    assert architecture["kwargs"]["widths"] == [2, 5]
    small = create_from_architecture(architecture, seed=0)
    small.load_state_dict(load_file(file))

    whole = ticket.build()
    if form == "small-trained":
        trained = ticket.trained_state
        assert trained is not None
        whole.load_state_dict(trained)
    with torch.no_grad():
        expected, found = whole(IMAGES), small(IMAGES)
    assert (expected - found).abs().max() <= 1e-6 * max(1, expected.abs().max())
    assert torch.equal(made(IMAGES), found)
    saved = small_network_of(ticket, trained=form == "small-trained").saved()
    assert saved.parameters == tuple(sum(one.numel() for one in model.parameters()) for model in (whole, small))
    assert saved.multiplications is not None
    # 25 x 144 x 3 and 25 x 3 x 4 x 8 of convolutions, then linear layers; the small one has 2 and 5 filters
    linear = 60 * 42 + 42 * 10
    assert saved.multiplications == (10_800 + 2_400 + 8 * 60 + linear, 7_200 + 1_000 + 5 * 60 + linear)
    assert saved.words.startswith("4,218 -> 3,659 parameters, 16,620 -> 11,440 multiplications an image, ")


def test_a_ticket_of_single_weights_has_no_smaller_network(tmp_path: Path) -> None:
    with pytest.raises(
        TicketError, match=r"'toy\.numbers-imp': its masks remove single weights, not whole filters: a small"
    ):
        toy_ticket().export(tmp_path / "small.safetensors", "small")
    with pytest.raises(TicketError, match="holds no trained weights of level 1"):
        ticket = filter_ticket(replicates=[Found(0, {1: filter_ticket().masks}, filter_ticket().rewind_state)])
        ticket.export(tmp_path / "small.safetensors", "small-trained")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("replicates", 0, "filters", "1", "conv1.weight"), [0, 1, 2], "the mask of 'conv.*' is not what its filters"),
        (("replicates", 0, "filters", "1", "conv1.weight"), [2, 0], "must be rising numbers from 0 to 2"),
        (("replicates", 0, "filters", "1", "conv1.weight"), [0, 7], "must be rising numbers from 0 to 2"),
        (("replicates", 0, "filters", "1", "conv1.weight"), [0, 999], "must be rising numbers from 0 to 2"),
        (("replicates", 0, "filters", "1", "conv1.weight"), [-1, 0], "must be rising numbers from 0 to 2"),
        (("replicates", 0, "filters", "1", "fc1.weight"), [0], "level 1: structure: 'fc1.weight' is no layer that los"),
        (("replicates", 0, "filters", "1", "other"), [0], "level 1: structure: 'other' is no layer that loses filters"),
        (("replicates", 0, "filters", "1"), {"conv1.weight": [0]}, "structure: 'conv2.weight' has no kept filters"),
        (("replicates", 0, "filters", "77"), {}, r"seed 0 must have filters of the packaged levels \[1\], and of no"),
        (("replicates", 0, "filters", "01"), {}, r"seed 0 must have filters of the packaged levels \[1\], and of no"),
        (("replicates", 0, "filters"), {}, r"seed 0 must have filters of the packaged levels \[1\], and of no others"),
        (("pruning", "structure", "layers", "conv1.weight", "area"), 5, "'conv2.weight' has 3 inputs, but 'conv1.weig"),
        (("pruning", "structure", "layers", "conv1.weight", "consumers"), [], "structure: "),
    ],
)
def test_a_structure_that_contradicts_masks_or_network_is_refused(
    path: tuple[Any, ...], value: Any, message: str, tmp_path: Path
) -> None:
    folder = filter_ticket().save_pretrained(tmp_path / "t")
    config = json.loads((folder / "ticket.json").read_text())
    place = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (folder / "ticket.json").write_text(json.dumps(config))
    with pytest.raises(TicketError, match=message) as refused:
        Ticket.from_pretrained(folder).export(tmp_path / "small.safetensors", "small")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "small.safetensors").exists()
