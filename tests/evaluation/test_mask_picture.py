"""The picture of a ticket's masks."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from toy_ticket import toy_ticket

from ticketzoo.evaluation.figure import Plot
from ticketzoo.evaluation.mask_picture import mask_plots, plot_masks
from ticketzoo.evaluation.plot_check import check_plot
from ticketzoo.masks.masks import Masks
from ticketzoo.ticket import Ticket


def drawn(masks: list[Masks], in_shape: list[int] | None = None) -> Plot:
    ticket = toy_ticket()
    config = ticket.config
    kwargs = {"in_shape": in_shape} if in_shape else {}
    architecture = config.architecture.model_copy(update={"kwargs": kwargs})
    replicates = [config.replicates[0].model_copy(update={"seed": seed}) for seed in range(len(masks))]
    config = config.model_copy(update={"architecture": architecture, "replicates": replicates})
    return plot_masks(config, config.levels[-1].level, lambda level, seed: masks[seed])


def test_bars_are_the_means_of_replicates_and_the_picture_counts_weights_by_pixel() -> None:
    first = {"fc1.weight": torch.zeros(2, 8, dtype=torch.bool), "fc2.weight": torch.ones(1, 2, dtype=torch.bool)}
    second = {"fc1.weight": torch.zeros(2, 8, dtype=torch.bool), "fc2.weight": torch.ones(1, 2, dtype=torch.bool)}
    first["fc1.weight"][0, 0] = first["fc1.weight"][1, 0] = first["fc1.weight"][0, 4] = True
    second["fc1.weight"][0, 3] = True
    figure = drawn([first, second], in_shape=[2, 2, 2])
    bars, picture = figure.axes[:2]
    assert [bar.get_width() for bar in bars.patches] == pytest.approx([4 / 32, 1.0])
    assert [label.get_text() for label in bars.get_yticklabels()] == ["fc1", "fc2"]
    # Pixel (0, 0) of both channels is read by inputs 0 and 4: three weights of one replicate, none of the other.
    assert np.asarray(picture.images[0].get_array()).tolist() == [[1.5, 0.0], [0.0, 0.5]]


def test_more_replicates_than_a_byte_counts_are_all_counted() -> None:
    mask = torch.ones(1, 4, dtype=torch.bool)
    figure = drawn([{"fc1.weight": mask}] * 300, in_shape=[1, 2, 2])
    assert [bar.get_width() for bar in figure.axes[0].patches] == pytest.approx([1.0])
    assert np.asarray(figure.axes[1].images[0].get_array()).tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_kernels_stand_beside_each_other() -> None:
    mask = torch.zeros(2, 1, 2, 2, dtype=torch.bool)
    mask[0, 0, 0, 0] = mask[1, 0, 1, 1] = True
    figure = drawn([{"conv.weight": mask}], in_shape=[1, 4, 4])
    shown = np.ma.filled(figure.axes[1].images[0].get_array(), -1).tolist()
    assert shown == [[1, 0, -1, 0, 0], [0, 0, -1, 0, 1]]


def test_of_a_deep_network_each_kind_of_layer_is_a_curve() -> None:
    masks = {f"layer.{n}.{kind}.weight": torch.arange(4) < n for n in range(1, 5) for kind in "abcdefg"}
    figure = drawn([masks])
    assert len(figure.axes) == 1
    assert [line.get_label() for line in figure.axes[0].lines] == [f"layer.*.{kind}" for kind in "abcdefg"]
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [[0.25, 0.5, 0.75, 1.0]] * 7


def test_a_picture_of_other_masks_is_told() -> None:
    ticket = toy_ticket()

    def of(one: Ticket) -> Callable[[], Plot]:
        return mask_plots(one.config, lambda level, seed: one.at(level=level, seed=seed).masks)["masks.png"]

    content = of(ticket)().png()
    assert content == of(ticket)().png()
    assert check_plot(content, of(ticket)).words == "the picture that its masks give"
    other = ticket.config.model_copy(update={"mask_sha256": "0" * 64})
    draw = mask_plots(other, lambda level, seed: ticket.at(level=level, seed=seed).masks)["masks.png"]
    found = check_plot(content, draw)
    assert (found.state, found.words) == ("differs", "was drawn of other masks than the ticket's")
