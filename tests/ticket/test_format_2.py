"""What only format 2 can hold: written and read back, the same in every copy."""

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from toy_kinds import (
    FILTERS,
    KINDS,
    LENET,
    MOVED,
    filter_masks,
    from_seed,
    levels,
    moved_masks,
    of_lenet,
    signed_state,
    trained,
)
from toy_ticket import KEPT, REWIND, Toy, assert_refused, edit_config, forge_tensors, masks, rewind_state, toy_ticket

from ticketzoo.errors import ModelError, TicketError
from ticketzoo.masks.checks import attached_masks, strayed
from ticketzoo.models import create_from_architecture, model_state
from ticketzoo.ticket import Found, Ticket
from ticketzoo.ticket.card import render_card
from ticketzoo.ticket.export import export_ticket
from ticketzoo.zoo.summary import read_summary
from ticketzoo.zoo.verify import verify_ticket


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one
    )


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def saved(ticket: Ticket, tmp_path: Path) -> Path:
    return ticket.save_pretrained(tmp_path / "toy")


@pytest.mark.parametrize("kind", KINDS)
def test_every_view_comes_back(kind: str, tmp_path: Path) -> None:
    ticket = KINDS[kind]()
    again = Ticket.from_pretrained(saved(ticket, tmp_path))
    assert again.config.format == 2
    for seed in ticket.seeds:
        for entry in ticket.levels:
            one, other = (each.at(seed=seed, level=entry.level) for each in (ticket, again))
            assert same(one.masks, other.masks)
            assert same(one.rewind_state, other.rewind_state)
            assert same(one.trained_state or {}, other.trained_state or {})
            assert (one.sparsity, one.results, one.recipe_text) == (other.sparsity, other.results, other.recipe_text)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_written_again_as_the_same_bytes(kind: str, tmp_path: Path) -> None:
    folder = saved(KINDS[kind](), tmp_path)
    assert files_of(Ticket.from_pretrained(folder).save_pretrained(tmp_path / "again")) == files_of(folder)
    assert files_of(KINDS[kind]().save_pretrained(tmp_path / "once more")) == files_of(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_it_has_a_card_a_summary_and_exports_and_travels(kind: str, tmp_path: Path) -> None:
    ticket = KINDS[kind]()
    summary = read_summary(saved(ticket, tmp_path))
    assert summary.as_json()["format"] == 2
    assert summary.lines() and summary.cells()
    assert ticket.name in render_card(ticket.config, None)
    forms = ["state-dict", "masks", *(["trained"] if ticket.trained_state else [])]
    forms += ["torch-prune"] if ticket.config.masked == "zero" else []
    for form in forms:
        export_ticket(ticket, form, tmp_path / f"{form}.safetensors")
    assert same(pickle.loads(pickle.dumps(ticket)).rewind_state, ticket.rewind_state)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("as it is", "This is a network to use as it is, not masks to train from: its weights were not trained."),
        ("a delta", "not masks to train from: the weights that its masks keep were trained."),
        ("frozen", "excluded weights stay at their start values in any training loop"),
        ("from a seed", "the initialization drawn from seed 5, 6"),
        ("levels of their own", "not early ones; each level has its own"),
        ("trained values", "of level 2, 4, in `trained_state`"),
        ("derived", "toy.parent (masks aaaaaaaaaaaa) by align"),
        ("more of pruning", "**criterion**: snip"),
        ("filters", "**removed as one**: filters"),
        ("the user's own network", "build it yourself, then ticket.apply(model)"),
    ],
)
def test_the_card_says_what_kind_it_is(kind: str, words: str) -> None:
    assert words in re.sub(r"\\(.)", r"\1", render_card(KINDS[kind]().config, None))


BUILT = ["from a seed", "as it is", "the user's own network"]


@pytest.mark.parametrize("kind", BUILT)
def test_it_verifies(kind: str, tmp_path: Path) -> None:
    assert verify_ticket(saved(KINDS[kind](), tmp_path))


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - set(BUILT)))
def test_all_but_the_network_verifies(kind: str, tmp_path: Path) -> None:
    """The toy is in no table of architectures: that is the last thing to be looked at."""
    with pytest.raises(ModelError, match="unknown model 'toy'"):
        verify_ticket(saved(KINDS[kind](), tmp_path))


def test_a_ticket_that_needs_nothing_new_is_of_format_1(tmp_path: Path) -> None:
    text = (saved(toy_ticket(masked="zero", use="train", rewind_kind="packed"), tmp_path) / "ticket.json").read_text()
    assert Ticket.from_pretrained(tmp_path / "toy").config.format == 1
    assert not any(key in text for key in ("masked", '"use"', "values", "derived", "nested", "criterion"))


def test_format_1_with_a_key_of_format_2_is_refused(tmp_path: Path) -> None:
    folder = saved(KINDS["frozen"](), tmp_path)
    edit_config(folder, lambda config: config.update(format=1))
    assert_refused(folder, "format 1 has no masked: a ticket with that says format 2")


def test_levels_that_do_not_nest_have_a_bit_for_each_weight(tmp_path: Path) -> None:
    folder = saved(KINDS["not nested"](), tmp_path)
    with safe_open(folder / "seed-0/masks.safetensors", "np") as file:
        stated = file.metadata()["encoding"]
        bits = {key: file.get_tensor(key).tolist() for key in file.keys()}  # noqa: SIM118
    assert '"level-2/fc1.weight":"bits"' in stated
    assert stated.count("survivor-bits") == 3
    assert bits["level-2/fc1.weight"] == [0b1110_1010, 0b1]
    ticket = Ticket.from_pretrained(folder)
    assert all(same(ticket.at(level=level).masks, moved_masks(level)) for level in MOVED)
    assert [entry.nested for entry in ticket.levels] == [True, False]
    assert ticket.known_rewind["fc1.weight"].flatten().nonzero().flatten().tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert load_file(folder / "seed-0/rewind.safetensors")["fc1.weight"].tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert ticket.at(level=2).rewind_state["fc1.weight"].flatten().tolist() == [0, 1, 0, 3, 0, 5, 6, 7, 8, 0]
    assert ticket.known_state["fc1.weight"].flatten().tolist() == [0, 1, 2, 3, 0, 5, 6, 7, 8, 9]


def test_a_level_that_keeps_more_than_the_one_before() -> None:
    ticket = toy_ticket(replicates=[Found(0, {1: masks(4), 2: masks(1)}, rewind_state())])
    assert [(entry.kept, entry.nested) for entry in ticket.levels] == [(5, True), (10, False)]


def test_counts_may_differ_between_seeds(tmp_path: Path) -> None:
    ticket = Ticket.from_pretrained(saved(KINDS["counts by seed"](), tmp_path))
    assert ticket.levels[0].kept == [10, 8]
    assert ticket.levels[0].sparsity == 6 / 24
    assert [ticket.at(seed=seed).sparsity for seed in (7, 3)] == [2 / 12, 4 / 12]
    edit_config(tmp_path / "toy", lambda config: config["levels"][0].update(kept=[8, 10]))
    assert_refused(tmp_path / "toy", "level 1 keeps 10 weights, but ticket.json says 8")


def test_frozen_weights_are_at_their_start_values_and_stay_there(tmp_path: Path) -> None:
    folder = saved(KINDS["frozen"](), tmp_path)
    assert load_file(folder / REWIND)["fc1.weight"].tolist() == list(range(10))
    ticket, model = Ticket.from_pretrained(folder, level=4), Toy()
    assert same(ticket.rewind_state, rewind_state())
    ticket.apply(model)
    assert same(attached_masks(model) or {}, masks(4))
    before = model.fc1.weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        model.eval()(torch.ones(1, 5)).sum().backward()
        optimizer.step()
    kept = masks(4)["fc1.weight"]
    assert torch.equal(model.fc1.weight[~kept], before[~kept])
    assert strayed(model) == {}
    with torch.no_grad():
        model.fc1.weight[0, :3] += 1  # of these the first is kept
    assert strayed(model) == {"fc1.weight": 2}
    assert not (model.fc1.weight[kept] == before[kept]).any()


def test_a_layer_that_is_frozen_whole_may_be_used() -> None:
    none = masks(1) | {"fc2.weight": torch.zeros(1, 2).bool()}
    model = Toy()
    toy_ticket(masked="frozen", replicates=[Found(0, {1: none}, rewind_state())]).apply(model)
    assert model.fc2.weight.tolist() == [[21, 22]]


def test_signed_weights_are_a_magnitude_and_a_bit_each(tmp_path: Path) -> None:
    stored = load_file(saved(KINDS["signed"](), tmp_path) / REWIND)
    assert stored["scale/fc1.weight"].tolist() == [0.5]
    assert stored["sign/fc1.weight"].tolist() == [0b1010_1100]  # of 0 2 3 5 6 7 8 9 the odd ones are positive
    assert stored["scale/fc2.weight"].tolist() == [2]
    assert stored["sign/fc2.weight"].tolist() == [0b01]


def test_signed_and_packed_form_of_one_ticket_have_the_same_digests() -> None:
    found = [Found(seed, levels(), signed_state()) for seed in (7, 3)]
    one, other = (toy_ticket(rewind_kind=kind, replicates=found) for kind in ("signed", "packed"))
    assert (one.config.format, other.config.format) == (2, 1)
    digests = [[replicate.rewind_sha256 for replicate in ticket.config.replicates] for ticket in (one, other)]
    assert digests[0] == digests[1]
    assert one.config.mask_sha256 == other.config.mask_sha256
    assert same(one.rewind_state, other.rewind_state)


@pytest.mark.parametrize("weights", [torch.arange(10.0), torch.tensor([0.5] * 9 + [0.25]), torch.ones(10).double()])
def test_weights_that_are_not_signed_are_refused(weights: torch.Tensor) -> None:
    state = signed_state() | {"fc1.weight": weights.view(2, 5)}
    with pytest.raises(TicketError, match=r"'fc1\.weight' is not one float32 magnitude with signs"):
        toy_ticket(rewind_kind="signed", replicates=[Found(0, levels(), state)])


def test_weights_from_a_seed_are_those_that_the_model_draws(tmp_path: Path) -> None:
    folder = saved(from_seed(), tmp_path)
    assert not list(folder.rglob("rewind.safetensors"))
    for seed, drawn in ((0, 5), (1, 6)):
        ticket = Ticket.from_pretrained(folder, seed=seed)
        state = model_state(create_from_architecture(LENET, seed=drawn))
        expected = {name: value * ticket.masks.get(name, 1) for name, value in state.items()}
        assert same(ticket.rewind_state, expected)
        assert same(dict(ticket.build().state_dict()), expected)


def test_other_numbers_from_a_seed_are_noticed(tmp_path: Path) -> None:
    folder = saved(from_seed(), tmp_path)
    edit_config(folder, lambda config: config["rewind"].update(seeds=[5, 7]))
    assert_refused(folder, r"seed 1: the rewind weights have digest \w{64}, but .* torch draws other numbers")


def test_a_network_far_larger_than_the_masks_is_not_drawn(tmp_path: Path) -> None:
    folder = saved(from_seed(), tmp_path)
    edit_config(folder, lambda config: config["architecture"]["kwargs"].update(width=30.0))
    with pytest.raises(ModelError, match=r"has 27,.* parameters with .* at most 4,194,"):
        _ = Ticket.from_pretrained(folder).rewind_state


def test_every_level_may_start_from_weights_of_its_own(tmp_path: Path) -> None:
    folder = saved(KINDS["levels of their own"](), tmp_path)
    stored = load_file(folder / REWIND)
    assert stored["level-4/fc1.weight"].tolist() == [4.5] * 4
    assert stored["level-1/fc2.bias"].tolist() == [-1.0]
    for level in KEPT:
        view = Ticket.from_pretrained(folder, level=level)
        expected = rewind_state() | trained(level)
        assert same(view.rewind_state, {name: value * masks(level).get(name, 1) for name, value in expected.items()})
        assert same(view.known_rewind, masks(level))
        assert same(view.known_state, view.rewind_state)


def test_trained_values_stand_beside_the_rewind_weights(tmp_path: Path) -> None:
    ticket = Ticket.from_pretrained(saved(KINDS["trained values"](), tmp_path), level=2)
    assert ticket.at(level=1).trained_state is None
    state = ticket.trained_state or {}
    assert state["fc1.weight"].tolist() == [[2.5, 0, 0, 2.5, 0], [2.5, 2.5, 2.5, 2.5, 0]]
    assert (state["fc2.bias"].item(), state["fc1.bias"].tolist()) == (-1, [10, 11])
    model = Toy()
    ticket.apply(model)
    assert same(dict(model.state_dict()), ticket.rewind_state)


def test_a_delta_is_put_on_the_model_as_it_is(tmp_path: Path) -> None:
    ticket, model = Ticket.from_pretrained(saved(KINDS["a delta"](), tmp_path)), Toy()
    ticket.apply(model)
    assert model.fc1.weight.tolist() == [[4.5, 1, 2, 3, 4], [4.5, 4.5, 4.5, 8, 9]]
    assert model.fc2.weight.tolist() == [[21, 4.5]]


def test_a_ticket_to_use_as_it_is_is_built_for_evaluation() -> None:
    assert not of_lenet(use="as-is").build().training
    assert of_lenet().build().training


def test_a_network_of_the_users_own(tmp_path: Path) -> None:
    ticket = Ticket.from_pretrained(saved(KINDS["the user's own network"](), tmp_path), level=4)
    with pytest.raises(ModelError, match=r"'Toy' is a network of the ticket's author: .*ticket\.apply\(model\)"):
        ticket.build()
    model = Toy()
    ticket.apply(model)
    assert same(dict(model.state_dict()), ticket.rewind_state)


def test_other_parameters_than_the_weights_have_are_noticed(tmp_path: Path) -> None:
    folder = saved(KINDS["the user's own network"](), tmp_path)
    edit_config(folder, lambda config: config["architecture"]["parameters"][1].update(shape=[3]))
    assert_refused(folder, r"'fc1\.bias' has shape \(2,\) in the weights, \(3,\) in ticket.json")


def test_filters_that_are_stated_follow_from_the_masks(tmp_path: Path) -> None:
    folder = saved(KINDS["filters"](), tmp_path)
    ticket = Ticket.from_pretrained(folder)
    assert ticket.config.replicates[0].filters == {"1": {"fc1.weight": [1]}}
    edit_config(folder, lambda config: config["replicates"][0].update(filters={"1": {"fc1.weight": [0]}}))
    assert_refused(folder, "level 1: structure: the mask of 'fc[12].weight' is not what its filters")


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"1": {"fc1.weight": [1], "fc2.weight": [0]}}, "level 1: structure: 'fc2.weight' is no layer that loses filt"),
        ({"1": {"fc1.weight": [1], "other": [0]}}, "level 1: structure: 'other' is no layer that loses filters"),
        ({"1": {}}, "level 1: structure: 'fc1.weight' has no kept filters"),
        ({"1": {"fc1.weight": [999]}}, "level 1: structure: the kept filters of 'fc1.weight' must be rising numbers f"),
        ({"1": {"fc1.weight": [-1]}}, "level 1: structure: the kept filters of 'fc1.weight' must be rising numbers fr"),
        ({"1": {"fc1.weight": [1, 1]}}, "level 1: structure: the kept filters of 'fc1.weight' must be rising numbers"),
        ({"1": {"fc1.weight": [True]}}, r"filters\.1\.fc1\.weight\.0: Input should be a valid integer"),
        ({"1": {"fc1.weight": [1]}, "77": {"fc1.weight": [1]}}, r"must have filters of the packaged levels \[1\], and"),
        ({"01": {"fc1.weight": [1]}}, r"seed 7 must have filters of the packaged levels \[1\], and of no others"),
        ({}, r"seed 7 must have filters of the packaged levels \[1\], and of no others"),
    ],
)
def test_forged_filters_are_refused_when_the_ticket_is_read(tmp_path: Path, filters: object, message: str) -> None:
    folder = saved(KINDS["filters"](), tmp_path)
    edit_config(folder, lambda config: config["replicates"][0].update(filters=filters))
    assert_refused(folder, message)
    with pytest.raises(TicketError, match=message):
        Ticket.from_pretrained(folder)


def test_a_structure_of_no_parameter_is_refused_when_the_ticket_is_read(tmp_path: Path) -> None:
    folder = saved(KINDS["filters"](), tmp_path)

    edit_config(folder, lambda config: config["pruning"]["structure"].update(layers={"fc9.weight": {}}))
    edit_config(folder, lambda config: config["replicates"][0].update(filters={"1": {"fc9.weight": [0]}}))
    with pytest.raises(TicketError, match=r"structure: 'fc9\.weight' has no mask with rows and columns"):
        Ticket.from_pretrained(folder)


def test_masks_that_keep_no_whole_filters_are_refused() -> None:
    other = filter_masks() | {"fc2.weight": torch.ones(1, 2).bool()}
    pruning = {"method": "imp", "scope": "global", "structure": FILTERS}
    with pytest.raises(TicketError, match=r"structure: the mask of 'fc2\.weight' is not what"):
        toy_ticket(pruning=pruning, replicates=[Found(0, {1: other}, rewind_state())])


def test_further_files_are_kept_checked_and_replaced(tmp_path: Path) -> None:
    folder = saved(KINDS["further files"](), tmp_path)
    ticket = Ticket.from_pretrained(folder)
    assert ticket.read_file("scores.txt") == b"1 2 3"
    with pytest.raises(TicketError, match=r"has no file '\.\./ticket\.json'; it has scores\.txt"):
        ticket.read_file("../ticket.json")
    (folder / "extra/scores.txt").write_bytes(b"1 2 4")
    with pytest.raises(TicketError, match=r"extra/scores\.txt: damaged"):
        Ticket.from_pretrained(folder).read_file("scores.txt")
    saved(toy_ticket(), tmp_path)
    assert not (folder / "extra").exists()


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "a..b", "a" * 200])
def test_further_files_have_plain_names(name: str) -> None:
    with pytest.raises(TicketError, match="files"):
        toy_ticket(files={name: b""})


def test_what_is_handed_out_is_no_part_of_the_ticket(tmp_path: Path) -> None:
    ticket = Ticket.from_pretrained(saved(KINDS["a delta"](), tmp_path))
    before = [state or {} for state in (ticket.masks, ticket.rewind_state, ticket.trained_state)]
    for state in (ticket.masks, ticket.rewind_state, ticket.trained_state or {}, ticket.known_rewind):
        for tensor in state.values():
            tensor.zero_()
    model = Toy()
    ticket.apply(model)
    assert same(dict(model.state_dict()), before[2])
    after = [state or {} for state in (ticket.masks, ticket.rewind_state, ticket.trained_state)]
    assert all(same(one, other) for one, other in zip(before, after, strict=True))


def test_building_does_not_touch_the_ticket() -> None:
    ticket = of_lenet()
    before = ticket.rewind_state
    for tensor in [*ticket.rewind_state.values(), *ticket.build().state_dict().values()]:
        tensor.fill_(7)
    assert same(ticket.rewind_state, before)
    assert same(dict(ticket.build().state_dict()), before)


VALUES = "seed-7/values.safetensors"


@pytest.mark.parametrize(
    ("kind", "name", "tensors", "message"),
    [
        ("signed", REWIND, {"scale/fc1.weight": torch.tensor([0.0])}, "'scale/fc1.weight' must be a positive number"),
        ("signed", REWIND, {"scale/fc1.weight": torch.tensor([float("nan")])}, "must be a positive number"),
        ("signed", REWIND, {"scale/fc1.weight": torch.ones(2)}, r"shape \(2,\), but it holds one magnitude"),
        ("signed", REWIND, {"scale/fc1.weight": torch.ones(1).half()}, "'scale/fc1.weight' must be float32"),
        ("signed", REWIND, {"sign/fc2.weight": torch.tensor([4]).byte()}, "bits set beyond its 2 weights"),
        ("signed", REWIND, {"sign/fc2.weight": torch.tensor([1, 0]).byte()}, r"need uint8 of shape \(1,\)"),
        ("signed", REWIND, {"scale/fc2.weight": torch.tensor([3.0])}, r"the rewind weights have digest"),
        ("signed", REWIND, {"fc1.weight": torch.ones(1)}, "has tensor 'fc1.weight', which ticket.json does"),
        ("frozen", REWIND, {"fc1.weight": torch.ones(8)}, "frozen weights are all known: 10 weights"),
        ("levels of their own", REWIND, {"level-4/fc1.weight": torch.ones(5)}, "its mask at level 4 keeps 4 weights"),
        ("levels of their own", REWIND, {"fc1.bias": torch.ones(2)}, "has tensor 'fc1.bias', which ticket.json does"),
        ("trained values", VALUES, {"level-2/fc1.weight": torch.ones(6)}, "the trained values have digest"),
        ("trained values", VALUES, {"level-1/fc1.weight": torch.ones(8)}, "has tensor 'level-1/fc1.weight', which"),
    ],
)
def test_forged_weights_are_refused(
    kind: str, name: str, tensors: dict[str, torch.Tensor], message: str, tmp_path: Path
) -> None:
    folder = saved(KINDS[kind](), tmp_path)
    forge_tensors(folder, name, lambda stored: stored.update(tensors))
    assert_refused(folder, message)


def test_the_release_before_refuses_format_2_in_one_line(tmp_path: Path) -> None:
    before = os.environ.get("TICKETZOO_OF_FORMAT_1")
    if not before:
        pytest.skip("TICKETZOO_OF_FORMAT_1 names no folder with a ticketzoo that knows format 1 alone")
    folder = saved(KINDS["signed"](), tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "ticketzoo", "info", str(folder)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": before},
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "format 2 was made by a newer ticketzoo" in done.stderr
