import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from toy_ticket import KEPT, Toy, masks, rewind_state, toy_ticket, verdict

from ticketzoo.errors import TicketError
from ticketzoo.masks.checks import attached_masks
from ticketzoo.masks.masks import sparsity
from ticketzoo.models import architecture_of, create_from_architecture, prunable_parameters
from ticketzoo.ticket import Found, Ticket
from ticketzoo.zoo.verify import verify_ticket

LENET = architecture_of("lenet-300-100", {"num_classes": 2, "in_shape": [1, 2, 2], "width": 0.02})


def lenet_ticket() -> Ticket:
    model = create_from_architecture(LENET, seed=5)
    generator = torch.Generator().manual_seed(0)
    found = {}
    for name, parameter in prunable_parameters(model).items():
        found[name] = torch.rand(parameter.shape, generator=generator) < 0.5
    return toy_ticket(architecture=LENET, replicates=[Found(0, {3: found}, model.state_dict())])


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return toy_ticket().save_pretrained(tmp_path / "toy")


def test_masks_on_disk_are_one_bit_per_survivor_of_the_level_before(folder: Path) -> None:
    stored = {name: bits.tolist() for name, bits in load_file(folder / "seed-7/masks.safetensors").items()}
    assert stored == {
        "level-1/fc1.weight": [0b1110_1101, 0b11],  # of 0..9 without 1 and 4
        "level-1/fc2.weight": [0b11],
        "level-2/fc1.weight": [0b0111_1101],  # of 0 2 3 5 6 7 8 9 without 2 and 9
        "level-2/fc2.weight": [0b11],
        "level-4/fc1.weight": [0b01_1101],  # of 0 3 5 6 7 8 without 3 and 8
        "level-4/fc2.weight": [0b10],
    }


def test_rewind_weights_on_disk_are_those_of_the_densest_level(folder: Path) -> None:
    stored = load_file(folder / "seed-7/rewind.safetensors")
    assert stored["fc1.weight"].tolist() == [0, 2, 3, 5, 6, 7, 8, 9]
    assert stored["fc2.weight"].tolist() == [21, 22]
    whole = {name: tensor for name, tensor in rewind_state().items() if name not in masks(1)}
    assert same({name: stored[name] for name in whole}, whole)


@pytest.mark.parametrize("seed", [7, 3])
@pytest.mark.parametrize("level", KEPT)
def test_every_level_and_replicate_comes_back(folder: Path, level: int, seed: int) -> None:
    ticket = Ticket.from_pretrained(folder, level=level, seed=seed)
    expected = masks(level, mirrored=seed == 3)
    assert same(ticket.masks, expected)
    assert ticket.sparsity == sparsity(expected)
    zeroed = {name: tensor * expected.get(name, 1) for name, tensor in rewind_state().items()}
    assert same(ticket.rewind_state, zeroed)
    assert same(ticket.known_rewind, masks(1, mirrored=seed == 3))


def test_what_ticket_json_states(folder: Path) -> None:
    config = Ticket.from_pretrained(folder).config
    assert config.prunable_weights == 12
    assert [(level.level, level.sparsity, level.kept) for level in config.levels] == [
        (1, 2 / 12, 10),
        (2, 4 / 12, 8),
        (4, 7 / 12, 5),
    ]
    assert config.shapes == {"fc1.weight": (2, 5), "fc2.weight": (1, 2)}
    assert [replicate.seed for replicate in config.replicates] == [7, 3]
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*")) == [
        "recipe.yaml",
        "results.jsonl",
        "seed-3/masks.safetensors",
        "seed-3/rewind.safetensors",
        "seed-7/masks.safetensors",
        "seed-7/rewind.safetensors",
        "ticket.json",
    ]


def test_recipe_and_results_come_back(folder: Path) -> None:
    ticket = Ticket.from_pretrained(folder)
    assert ticket.recipe_text == "name: toy.numbers-imp\n"
    assert ticket.results == [{"ticket": "toy.numbers-imp", "level": 1, "value": 0.5}]


def test_levels_below_the_first_packaged_one_are_left_out(tmp_path: Path) -> None:
    ticket = toy_ticket(package_from=2)
    folder = ticket.save_pretrained(tmp_path / "toy")
    assert [level.level for level in Ticket.from_pretrained(folder).levels] == [2, 4]
    assert load_file(folder / "seed-7/rewind.safetensors")["fc1.weight"].tolist() == [0, 3, 5, 6, 7, 8]


def test_the_same_ticket_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = toy_ticket().save_pretrained(tmp_path / "a"), toy_ticket().save_pretrained(tmp_path / "b")
    again = Ticket.from_pretrained(one).save_pretrained(tmp_path / "c")
    for path in (path for path in one.rglob("*") if path.is_file()):
        name = path.relative_to(one)
        assert path.read_bytes() == (other / name).read_bytes() == (again / name).read_bytes(), name


def test_trap_snapshot_without_clone() -> None:
    """Training after a ticket was made, or loaded onto a model, leaves its rewind weights alone."""
    state, given = rewind_state(), masks(1)
    ticket = toy_ticket(replicates=[Found(0, {1: given}, state)])
    before = {name: tensor.clone() for name, tensor in ticket.rewind_state.items()}
    for tensor in (*state.values(), *given.values()):
        tensor.zero_()
    model = Toy()
    ticket.apply(model)
    for tensor in model.state_dict().values():
        tensor.fill_(9)
    assert same(ticket.rewind_state, before)
    assert same(ticket.at(level=1).rewind_state, before)
    assert same(ticket.masks, masks(1))


def test_trap_mask_inferred_from_zeros(folder: Path) -> None:
    """The first weight of fc1 is 0.0 and kept: it stays in the mask and it trains."""
    ticket = Ticket.from_pretrained(folder, level=2)
    assert ticket.rewind_state["fc1.weight"][0, 0] == 0 and ticket.masks["fc1.weight"][0, 0]
    model = Toy()
    ticket.apply(model)
    model.eval()(torch.ones(1, 5)).sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert torch.equal(model.fc1.weight != 0, masks(2)["fc1.weight"])


def test_apply_puts_weights_buffers_and_masks_on_a_model(folder: Path) -> None:
    ticket = Ticket.from_pretrained(folder, level=2)
    model = Toy()
    ticket.apply(model)
    assert same(dict(model.state_dict()), ticket.rewind_state)
    assert same(attached_masks(model) or {}, masks(2))
    ticket.remove(model)
    assert attached_masks(model) is None
    assert same(dict(model.state_dict()), ticket.rewind_state)


def test_apply_without_rewinding_keeps_the_models_weights(folder: Path) -> None:
    model = Toy()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    Ticket.from_pretrained(folder, level=2).apply(model, rewind=False)
    assert same(dict(model.state_dict()), {name: value * masks(2).get(name, 1) for name, value in before.items()})


def test_apply_casts_to_the_models_dtype(folder: Path) -> None:
    model = Toy().to(torch.bfloat16)
    Ticket.from_pretrained(folder, level=2).apply(model)
    assert model.fc1.weight.dtype == torch.bfloat16
    assert model.fc1.weight.tolist() == [[0, 0, 0, 3, 0], [5, 6, 7, 8, 0]]


@pytest.mark.parametrize(
    "wrap", [lambda model: torch.compile(model, backend="eager"), nn.DataParallel], ids=["compiled", "data parallel"]
)
def test_apply_to_a_wrapped_model(folder: Path, wrap: type[nn.Module]) -> None:
    model = Toy()
    Ticket.from_pretrained(folder, level=2).apply(wrap(model))
    assert model.fc1.weight.tolist() == [[0, 0, 0, 3, 0], [5, 6, 7, 8, 0]]


def test_apply_a_sparser_level_after_another(folder: Path) -> None:
    ticket, model = Ticket.from_pretrained(folder, level=4), Toy()
    ticket.apply(model)
    ticket.at(level=1).apply(model)
    assert same(attached_masks(model) or {}, masks(1))
    assert model.fc1.weight.tolist() == [[0, 0, 2, 3, 0], [5, 6, 7, 8, 9]]


def test_trap_head_of_another_size(folder: Path) -> None:
    """Refused unless named; named, it is the model's own, trainable and without mask."""
    ticket, model = Ticket.from_pretrained(folder, level=4), Toy(classes=3)
    own = model.fc2.weight.detach().clone()
    with pytest.raises(TicketError, match=r"'fc2.weight' has shape \(1, 2\) in the ticket, \(3, 2\) in the model"):
        ticket.apply(model)
    ticket.apply(model, head="fc2")
    assert torch.equal(model.fc2.weight, own)
    assert (attached_masks(model) or {}).keys() == {"fc1.weight"}
    assert model.fc1.weight.tolist() == [[0, 0, 0, 0, 0], [5, 6, 7, 0, 0]]


class Renamed(Toy):
    def __init__(self) -> None:
        super().__init__()
        self.fc3 = self.fc2
        del self.fc2


@pytest.mark.parametrize(
    ("model", "head", "message"),
    [
        (Toy(3), None, r"'fc2.bias' has shape \(1,\) in the ticket, \(3,\) in the model; .*; if that .* head='fc2'"),
        (Renamed(), None, "not in the model: fc2.bias, fc2.weight; not in the ticket: fc3.weight, fc3.bias"),
        (Toy(), "fc", "head 'fc' is not the name of a module with parameters in the model"),
        (Toy().to("meta"), None, r"without memory \(on the meta device\): fc1.bias"),
        (nn.Linear(5, 2), None, "not in the ticket: weight, bias"),
    ],
    ids=["shape", "names", "head", "meta", "another model"],
)
def test_what_does_not_fit_is_named_and_changes_nothing(
    folder: Path, model: nn.Module, head: str | None, message: str
) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(TicketError, match=message):
        Ticket.from_pretrained(folder, level=4).apply(model, head=head)
    assert attached_masks(model) is None
    if not next(model.parameters()).is_meta:
        assert same(dict(model.state_dict()), before)


def test_a_masked_buffer_changes_nothing(folder: Path) -> None:
    model = Toy()
    weight = model.fc2.weight.detach()
    del model.fc2.weight
    model.fc2.register_buffer("weight", weight)
    before = model.fc1.weight.detach().clone()
    with pytest.raises(TicketError, match=r"mask 'fc2\.weight' has no parameter"):
        Ticket.from_pretrained(folder, level=4).apply(model)
    assert torch.equal(model.fc1.weight, before)


def test_build_makes_the_architecture_masked_at_the_rewind_weights(tmp_path: Path) -> None:
    folder = lenet_ticket().save_pretrained(tmp_path / "lenet")
    ticket = Ticket.from_pretrained(folder)
    model = ticket.build()
    assert same(dict(model.state_dict()), ticket.rewind_state)
    assert same(attached_masks(model) or {}, ticket.masks)
    assert [str(check) for check in verify_ticket(folder)][-2:] == [
        "seed-0: fits lenet-300-100",
        "results.jsonl: 1 row",
    ]


def test_build_of_a_ticket_that_does_not_fit_its_architecture(tmp_path: Path) -> None:
    ticket = toy_ticket(architecture=LENET)
    with pytest.raises(TicketError, match=r"not in the model: norm\.weight, .*; not in the ticket: fc3\.weight"):
        ticket.build()


@pytest.mark.parametrize(
    ("labels", "level"),
    [
        (None, 4),
        ({1: "winning", 2: "winning", 4: "not matching"}, 2),
        ({1: "winning", 2: "matching", 4: "not matching"}, 2),
        ({1: "not matching"}, 4),
    ],
)
def test_default_level_is_the_sparsest_good_one(labels: dict[int, str] | None, level: int) -> None:
    assert toy_ticket(verdict=labels and verdict(labels)).level == level


def test_default_replicate_is_the_first_of_the_recipe(folder: Path) -> None:
    assert Ticket.from_pretrained(folder).seed == 7


def test_choosing_by_sparsity_takes_the_nearest_level(folder: Path) -> None:
    assert Ticket.from_pretrained(folder, sparsity=0.3).level == 2  # 4/12 is 0.03 away
    with pytest.raises(
        TicketError, match=r"no level within 0.05 of sparsity 0.9: choose from 1 \(sparsity 0.167\), 2 "
    ):
        Ticket.from_pretrained(folder, sparsity=0.9)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"level": 3}, r"has no level 3: choose from 1 \(sparsity 0.167\), 2 \(sparsity 0.333\), 4 \(sparsity 0.583\)"),
        ({"seed": 0}, "has no replicate of seed 0: choose from 7, 3"),
        ({"level": 1, "sparsity": 0.5}, "give a level or a sparsity, not both"),
        ({"sparsity": float("nan")}, "no level within 0.05 of sparsity nan"),
    ],
)
def test_a_level_or_seed_that_is_not_there(folder: Path, choice: dict[str, float], message: str) -> None:
    with pytest.raises(TicketError, match=message):
        Ticket.from_pretrained(folder, **choice)
    with pytest.raises(TicketError, match=message):
        Ticket.from_pretrained(folder).at(**choice)


def test_another_view_keeps_what_is_not_changed_and_reads_nothing_again(folder: Path) -> None:
    ticket = Ticket.from_pretrained(folder, level=2, seed=7)
    assert (ticket.at(seed=3).level, ticket.at(seed=3).seed) == (2, 3)
    assert (ticket.at(level=1).level, ticket.at(level=1).seed) == (1, 7)
    (folder / "seed-7/masks.safetensors").unlink()
    assert same(ticket.at(level=4).masks, masks(4))


def test_masks_are_read_without_the_rewind_weights(folder: Path) -> None:
    content = bytearray((folder / "seed-7/rewind.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "seed-7/rewind.safetensors").write_bytes(content)
    ticket = Ticket.from_pretrained(folder, level=2)
    assert same(ticket.masks, masks(2))
    model = Toy()
    ticket.apply(model, rewind=False)
    with pytest.raises(TicketError, match=r"seed-7/rewind.safetensors: damaged: its sha256 is"):
        ticket.apply(model)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_rewind_weights_of_every_float_dtype(tmp_path: Path, dtype: torch.dtype) -> None:
    state = {name: value.to(dtype) if value.is_floating_point() else value for name, value in rewind_state().items()}
    folder = toy_ticket(replicates=[Found(0, {1: masks(1)}, state)]).save_pretrained(tmp_path / "toy")
    expected = {name: value * masks(1).get(name, 1) for name, value in state.items()}
    assert same(Ticket.from_pretrained(folder).rewind_state, expected)


def test_a_layer_may_be_empty_and_a_parameter_may_have_no_dimension(tmp_path: Path) -> None:
    nothing, scalar = torch.zeros(3, dtype=torch.bool), torch.tensor(True)
    first = {"a": torch.tensor([True, False, True]), "b": scalar}
    state = {"a": torch.tensor([1.0, 2.0, 3.0]), "b": torch.tensor(4.0)}
    found = Found(0, {1: first, 2: {"a": nothing, "b": scalar}, 3: {"a": nothing, "b": scalar}}, state)
    ticket = Ticket.from_pretrained(toy_ticket(replicates=[found]).save_pretrained(tmp_path / "toy"))
    assert (ticket.level, ticket.sparsity) == (3, 0.75)
    assert same(ticket.masks, {"a": nothing, "b": scalar})
    assert same(ticket.rewind_state, {"a": torch.zeros(3), "b": torch.tensor(4.0)})
    assert same(ticket.at(level=1).rewind_state, {"a": torch.tensor([1.0, 0.0, 3.0]), "b": torch.tensor(4.0)})


def test_a_ticket_travels_to_another_process(folder: Path) -> None:
    for ticket in (Ticket.from_pretrained(folder, level=2), toy_ticket().at(level=2)):
        assert same(pickle.loads(pickle.dumps(ticket)).rewind_state, ticket.rewind_state)


def wrong(level: int, name: str, value: torch.Tensor) -> list[Found]:
    levels = {n: masks(n) for n in KEPT}
    levels[level][name] = value
    return [Found(0, levels, rewind_state())]


@pytest.mark.parametrize(
    ("replicates", "message"),
    [
        ([], "needs at least one replicate"),
        ([Found(0, {}, rewind_state())], "seed 0 has no masks of level 0 or sparser to package"),
        (wrong(2, "fc1.weight", torch.ones(2, 5)), "mask 'fc1.weight' must be a bool tensor"),
        (wrong(2, "fc1.weight", torch.ones(5, 2).bool()), r"has shape \(5, 2\), its parameter \(2, 5\)"),
        (wrong(2, "conv.weight", torch.ones(2).bool()), "mask 'conv.weight' has no parameter"),
        ([Found(0, {1: masks(1), 2: {}}, rewind_state())], "level 2 has no mask for fc1.weight, fc2.weight"),
        (
            [Found(0, {1: masks(1)}, rewind_state()), Found(1, {2: masks(2)}, rewind_state())],
            "seeds 0 and 1 do not have the same levels of the same parameters",
        ),
        ([Found(0, {1: masks(1)})], "seed 0: give one of a rewind state"),
        ([Found(0, {1: masks(1)}, rewind_state())] * 2, "seed 0 has two replicates"),
        ([Found(0, {1: masks(1)}, {"fc1.weight": torch.ones(2, 5)})], "have no 'fc2.weight', which has a mask"),
        (
            [Found(0, {1: masks(1)}, {**rewind_state(), "fc2.weight": torch.ones(2, 2)})],
            r"'fc2.weight' has shape \(2, 2\), its mask \(1, 2\)",
        ),
        (
            [Found(0, {1: masks(1)}, {**rewind_state(), "norm.bias": torch.tensor([1.0, float("nan")])})],
            "'norm.bias' holds NaN or infinity in 1 of 2 values",
        ),
        (
            [Found(0, {1: masks(1)}, {**rewind_state(), "fc2.weight": torch.ones(1, 2, dtype=torch.int32)})],
            "'fc2.weight' has dtype torch.int32, which a ticket cannot hold",
        ),
        (
            [Found(0, {1: {k: torch.zeros_like(m) for k, m in masks(1).items()}}, rewind_state())],
            "levels.0.sparsity: Input should be less than 1",
        ),
    ],
)
def test_what_cannot_be_a_ticket(replicates: list[Found], message: str) -> None:
    with pytest.raises(TicketError, match=message):
        toy_ticket(replicates=replicates)
