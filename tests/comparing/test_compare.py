"""Tickets compared, on tickets small enough to count."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from toy_ticket import KEPT, fields, masks, rewind_state
from toy_zoo import make_ticket, save_ticket

import ticketzoo
from ticketzoo import load_ticket
from ticketzoo.comparing.compare import compare_tickets
from ticketzoo.comparing.layers import dead_units
from ticketzoo.comparing.pairs import WHOLE, pairs_of
from ticketzoo.comparing.unread import _seen_by, read_unread, unread_in_data
from ticketzoo.errors import TicketError, TicketzooError
from ticketzoo.ticket import Found, Ticket
from ticketzoo.ticket.start_weights import same_start, start_weights


def toy(**changed: Any) -> Ticket:
    return Ticket.create(**fields(**changed))


def mirrored(**changed: Any) -> Ticket:
    """The toy ticket with the masks of its seeds exchanged."""
    replicates = [Found(seed, {n: masks(n, seed == 7) for n in KEPT}, rewind_state()) for seed in (7, 3)]
    return toy(name="mirrored", replicates=replicates, **changed)


def test_a_ticket_with_itself_overlaps_wholly() -> None:
    found = compare_tickets([toy(), toy()])
    assert found.names == ("toy.numbers-imp", "toy.numbers-imp (2)")
    ends = [(one.pair.first, one.pair.second, one.overlap.iou) for one in found.found]
    same = [iou for (one, seed), (other, again), iou in ends if one != other and seed == again]
    assert same == [1.0] * (3 * 2 * 3)
    assert {stage.levels[0] for stage in found.stages} == {1, 2, 4}


def test_the_overlap_of_two_seeds_is_counted_in_each_layer() -> None:
    """At level 4 fc1 keeps [0, 5, 6, 7] and, mirrored in rows of five, [4, 7, 8, 9]: one of seven."""
    found = compare_tickets([toy()], level=4)
    overlaps = {one.parameter: one.overlap for one in found.found}
    assert (overlaps["fc1.weight"].both, overlaps["fc1.weight"].iou) == (1, 1 / 7)
    assert (overlaps["fc2.weight"].both, overlaps["fc2.weight"].iou) == (0, 0)
    assert overlaps[WHOLE].iou == 1 / 9
    assert {one.pair.start for one in found.found} == {"same"}


def test_start_weights_are_let_go_once_a_pair_is_compared(tmp_path: Path) -> None:
    """A ticket keeps what it has read; of what comparing reads it keeps no weights."""
    ticket = load_ticket(save_ticket(tmp_path / "lenet.digits-imp"))
    replicates = ticket._stored.replicates
    pairs = pairs_of([ticket, ticket])
    assert [pair.start for pair in pairs] == ["other", "other", "same", "other", "other", "same"]
    assert not [seed for seed, one in replicates.items() if "rewind" in vars(one)]
    assert ticket.rewind_state and "rewind" in vars(replicates[ticket.seed])


def test_two_tickets_in_either_order_give_the_same() -> None:
    one, other = compare_tickets([toy(), mirrored()]), compare_tickets([mirrored(), toy()])

    def between(found: Any) -> set[Any]:
        of_two = [row for row in found.rows if row["first"] != row["second"]]
        keys = ("sparsity", "parameter", "iou", "expected", "z")
        ends = [frozenset([(row["first"], row["first_seed"]), (row["second"], row["second_seed"])]) for row in of_two]
        return {(end, *(row[key] for key in keys)) for end, row in zip(ends, of_two, strict=True)}

    assert between(one) == between(other)


def test_starts_are_told_apart_by_the_weights_that_both_know() -> None:
    other = {**rewind_state(), "fc1.weight": rewind_state()["fc1.weight"] + 1}
    moved = toy(replicates=[Found(7, {level: masks(level) for level in KEPT}, other)])
    starts = [start_weights(one) for one in (toy(), mirrored(), moved)]
    assert same_start(starts[0], starts[1]) is True
    assert same_start(starts[0], starts[2]) is False
    assert same_start(starts[0], None) is None


def test_levels_go_with_the_nearest_number_of_weights_and_others_are_left_out() -> None:
    """The toy keeps 10, 8, 5 of 12. A ticket of one level with 7 goes with 8, and the others have no match."""
    kept = {"fc1.weight": masks(2)["fc1.weight"], "fc2.weight": masks(4)["fc2.weight"]}
    lone = toy(name="lone", replicates=[Found(7, {5: kept}, rewind_state())])
    found = compare_tickets([toy(), lone])
    assert [stage.levels for stage in found.stages] == [{0: 2, 1: 5}]
    assert found.notes == (
        "levels of unlike size are compared, by weights kept: toy.numbers-imp level 2 8, lone level 5 7",
        "levels 1, 4 of toy.numbers-imp were left out: others have none as sparse",
    )
    with pytest.raises(TicketError, match="no level of another ticket goes with level 4: choose from 2"):
        compare_tickets([toy(), lone], level=4)


def test_tickets_of_other_networks_are_refused_in_one_line() -> None:
    with pytest.raises(TicketError, match=r"^'fc1.weight' is 2x5 in 'toy.numbers-imp' and 15x16 in 'lenet.digits-imp'"):
        compare_tickets([toy(), make_ticket()])
    fewer = [Found(7, {1: {"fc1.weight": masks(1)["fc1.weight"]}}, rewind_state())]
    with pytest.raises(
        TicketError, match=r"'fc2.weight' has a mask in 'toy.numbers-imp' and none in 'fewer': masks of"
    ):
        compare_tickets([toy(), toy(name="fewer", replicates=fewer)])
    with pytest.raises(TicketError, match="has one replicate"):
        compare_tickets([toy(name="fewer", replicates=fewer)])
    with pytest.raises(TicketzooError, match="no tickets to compare"):
        ticketzoo.compare()


def test_units_that_are_cut_off_are_counted() -> None:
    """Of the toy's level 4, fc1 [0, 5, 6, 7] has all outputs, and nothing reads inputs 3 and 4; a kernel is one."""
    assert dead_units(masks(4)["fc1.weight"]) == (2, 0, 5, 2)
    kernels = torch.zeros(3, 2, 2, 2, dtype=torch.bool)
    kernels[0, 1, 0, 1] = True
    assert dead_units(kernels) == (3, 2, 2, 1)
    layers = compare_tickets([toy()], level=4).layers
    assert [(one.seed, one.parameter, one.density, one.no_output) for one in layers] == [
        (7, "fc1.weight", 0.4, 2), (7, "fc2.weight", 0.5, 1), (3, "fc1.weight", 0.4, 2), (3, "fc2.weight", 0.5, 1),
    ]  # fmt: skip


def test_inputs_that_never_change_are_counted_apart(tmp_path: Path) -> None:
    """Without inputs 0 and 1, fc1 at level 4 has [7] of six weights, and mirrored [4, 7, 8, 9]: one of four."""
    file = tmp_path / "unread.safetensors"
    save_file({"fc1.weight": torch.tensor([1, 1, 0, 0, 0], dtype=torch.uint8)}, file)
    found = ticketzoo.compare(toy(), level=4, unread=file)
    parts = {one.part: one.overlap for one in found.found if one.parameter == "fc1.weight"}
    assert (parts["all"].weights, parts["read"].weights, parts["unread"].weights) == (10, 6, 4)
    assert (parts["read"].first, parts["read"].second, parts["read"].iou) == (1, 4, 0.25)
    assert (parts["unread"].first, parts["unread"].second, parts["unread"].iou) == (3, 0, 0)
    assert found.overlap_table().columns[-1] == "input changes"
    with pytest.raises(TicketError, match=r"'fc1.weight' of shape \[5\]: no mask has that name"):
        read_unread(file, {"fc9.weight": (2, 5)})


def test_pixels_of_digits_that_never_change_are_those_of_the_images() -> None:
    from sklearn.datasets import load_digits

    recipe = "task: {type: image-classification, dataset: {path: digits, validation: 0}}\n"
    kwargs = {"num_classes": 10, "in_shape": [1, 8, 8], "width": 0.05}
    from ticketzoo.models import architecture_of, create_model, prunable_parameters

    model = create_model("lenet-300-100", seed=0, **kwargs)
    kept = {name: torch.rand(one.shape) < 0.5 for name, one in prunable_parameters(model).items()}
    ticket = make_ticket(
        architecture=architecture_of("lenet-300-100", kwargs),
        replicates=[Found(0, {1: kept}, model.state_dict())],
        recipe_text=recipe,
        results=[],
    )
    unread = unread_in_data(ticket)["fc1.weight"]
    always = torch.tensor((load_digits().images == 0).all(0)).flatten()
    assert always.sum() == 3
    assert bool((unread | ~always).all())  # of the images that are trained on, some of all
    with pytest.raises(TicketError, match="data: no ticket was found on 'mnist': they were found on digits"):
        ticketzoo.compare(ticket, ticket, data={"mnist": None})


def test_a_place_of_a_kernel_that_meets_only_black_pixels_sees_nothing() -> None:
    """An image of 3x3 whose last column varies: kernels of 2x2 meet it at their right column alone."""
    varies = torch.zeros(1, 3, 3, dtype=torch.bool)
    varies[0, :, 2] = True
    assert _seen_by(torch.nn.Conv2d(1, 1, 2), varies).tolist() == [[[False, True], [False, True]]]


def test_times_chance_is_a_ratio_of_means_and_says_so() -> None:
    """Of replicates that keep 10 and 5 of 12, the pairs have unlike chances."""
    unlike = [Found(7, {1: masks(1)}, rewind_state()), Found(3, {1: masks(4)}, rewind_state())]
    found = compare_tickets([toy(name="a", replicates=unlike), toy(name="b", replicates=unlike)])
    (summary,) = [one for one in found.summaries(parameter=WHOLE) if one.group.first != one.group.second]
    assert summary.ratio == summary.iou / summary.expected
    assert summary.ratio != pytest.approx(sum(summary.ratios) / len(summary.ratios), rel=0.01)
    assert "Times chance: the first mean over the second" in found.overlap_table().caption


def test_a_comparison_is_shown_as_tables_and_figure(tmp_path: Path) -> None:
    found = compare_tickets([toy(), mirrored()])
    assert found._repr_html_().count("<table>") == 3
    lines = found.overlap_table().rows
    assert lines[0][0] == "toy.numbers-imp, two seeds, the same start"
    assert len(found.layer_table().rows) == 2 * 3
    assert found.density_table().rows[0] == ("fc1.weight", "toy.numbers-imp", "0.4000", "0.0 of 2", "2.0 of 5")
    found.plot(tmp_path / "overlap.png")
    assert (tmp_path / "overlap.png").read_bytes().startswith(b"\x89PNG")
    assert found.as_json()["tickets"] == ["toy.numbers-imp", "mirrored"]
