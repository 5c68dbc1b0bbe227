import sys
from typing import Any

import matplotlib
import pytest
from matplotlib.image import imread

from ticketzoo.evaluation.arms import ARMS, CHANCE, arm_style
from ticketzoo.evaluation.drawing import COLOURS
from ticketzoo.evaluation.plots import plot_early_stopping, plot_metric, plot_transfer


def rows(
    arm: str, values: Any, *, level: int = 3, target: str = "mnist", ticket: str = "lenet", step: int = 100
) -> list[dict[str, Any]]:
    level = 0 if arm == "dense" else level
    return [
        {
            "ticket": ticket, "level": level, "sparsity": 1 - 0.8**level, "arm": arm, "target": target, "seed": seed,
            "draw": 0, "at": at, "step": step + 10 * seed, "metric": "test_accuracy", "value": value,
        }
        for seed, value in enumerate(values)
        for at in ("final", "best")
    ]  # fmt: skip


MEASURED = [
    *rows("dense", [0.97, 0.98, 0.99]),
    *rows("ticket", [0.98, 0.98, 0.97]),
    *rows("ticket", [0.97, 0.97, 0.96], level=6),
    *rows("random_mask", [0.90, 0.91, 0.92], level=6, step=300),
]


def drawn(path: Any, colour: Any) -> Any:
    """Count how many pixels of `path` have this exact colour."""
    wanted = matplotlib.colors.to_rgb(colour)
    return int((abs(imread(path)[..., :3] - wanted) < 1 / 255).all(axis=-1).sum())


@pytest.mark.parametrize("plot", [plot_metric, plot_early_stopping])
def test_curves_show_the_measured_arms_in_their_colours(tmp_path: Any, plot: Any) -> None:
    path = tmp_path / "curve.png"
    plot(MEASURED, path, target="mnist")
    seen = {arm for arm in ARMS if drawn(path, arm_style(arm).colour) > 50}
    assert seen == {"ticket", "dense", "random_mask"}


def test_same_rows_give_the_same_bytes_whatever_the_settings(tmp_path: Any) -> None:
    plot_metric(MEASURED, tmp_path / "a.png", target="mnist")
    with matplotlib.rc_context({"lines.linewidth": 7, "axes.facecolor": "red"}):
        plot_metric(list(reversed(MEASURED)), tmp_path / "b.png", target="mnist")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]
    assert b"Software" not in (tmp_path / "a.png").read_bytes()


def test_heat_map_is_white_where_ticket_equals_dense_and_coloured_by_sign(tmp_path: Any) -> None:
    better, worse = matplotlib.colormaps["PuOr"]([1.0, 0.0])
    measured = rows("dense", [0.90, 0.90]) + rows("ticket", [0.95, 0.95])
    measured += rows("dense", [0.90, 0.90], target="kmnist") + rows("ticket", [0.85, 0.85], target="kmnist")
    plot_transfer(measured, path := tmp_path / "both.png")
    assert drawn(path, better) > 2000 and drawn(path, worse) > 2000
    plot_transfer(measured[:8], path := tmp_path / "better.png")
    assert drawn(path, better) > 2000 and drawn(path, worse) < 200
    plot_transfer(rows("dense", [0.9, 0.9]) + rows("ticket", [0.9, 0.9]), path := tmp_path / "equal.png")
    assert drawn(path, better) < 200 and drawn(path, worse) < 200


def test_names_from_outside_are_drawn_as_they_are(tmp_path: Any) -> None:
    odd = [{**row, "ticket": "$\\frac{$\x1b" * 30, "target": "$x^2$"} for row in MEASURED]
    plot_metric(odd, tmp_path / "a.png", target="$x^2$")
    plot_transfer(odd, tmp_path / "t.png")
    assert (tmp_path / "t.png").stat().st_size > 1000


def test_one_seed_and_one_level_can_be_drawn(tmp_path: Any) -> None:
    measured = rows("dense", [0.9]) + rows("ticket", [0.9])
    plot_metric(measured, tmp_path / "a.png", target="mnist")
    plot_metric(rows("dense", [0.9]), tmp_path / "d.png", target="mnist")
    assert (tmp_path / "d.png").exists()


def test_nothing_to_draw_is_said(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="no ticket shares"):
        plot_transfer(rows("ticket", [0.9]), tmp_path / "a.png")
    with pytest.raises(ValueError, match="about 0"):
        plot_metric(MEASURED, tmp_path / "a.png", target="kmnist")
    assert list(tmp_path.iterdir()) == []


def test_plots_need_no_pyplot_and_leave_settings_alone(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # importing it now fails
    before = str(matplotlib.rcParams.copy())
    plot_metric(MEASURED, tmp_path / "a.png", target="mnist")
    plot_transfer(MEASURED, tmp_path / "t.png")
    assert str(matplotlib.rcParams.copy()) == before


def test_without_a_path_nothing_is_written_and_a_notebook_shows_the_same_picture(
    tmp_path: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    figure = plot_metric(MEASURED, target="mnist")
    assert list(tmp_path.iterdir()) == []
    plot_metric(MEASURED, tmp_path / "a.png", target="mnist")
    assert figure._repr_png_() == (tmp_path / "a.png").read_bytes()


def test_an_arm_that_this_version_does_not_know_is_drawn_under_its_own_name(tmp_path: Any) -> None:
    odd = [row | {"arm": "sign_$flip"} for row in MEASURED if row["arm"] == "random_mask"]
    figure = plot_metric(MEASURED + odd, tmp_path / "a.png", target="mnist")
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["ticket", "dense", "random mask", "sign_$flip"]
    assert drawn(tmp_path / "a.png", arm_style("sign_$flip").colour) > 50


def falling(measured: Any) -> list[dict[str, Any]]:
    return [row | {"metric": "test_loss", "decides": True, "higher_is_better": False} for row in measured]


def test_where_less_is_better_axis_and_colours_say_so(tmp_path: Any) -> None:
    better, worse = matplotlib.colormaps["PuOr"]([1.0, 0.0])
    measured = falling(rows("dense", [0.90, 0.90]) + rows("ticket", [0.85, 0.85]))
    figure = plot_transfer(measured, path := tmp_path / "t.png")
    assert drawn(path, better) > 2000 and drawn(path, worse) < 200
    assert "-0.05" in [text.get_text() for text in figure.axes[0].texts]
    curves = plot_metric(measured, target="mnist")
    assert curves.axes[0].get_ylabel() == "Test loss (less is better)"


def test_an_early_stopping_plot_of_one_value_has_whole_ticks_that_differ() -> None:
    measured = [row | {"step": 42} for row in rows("dense", [0.9, 0.9]) + rows("ticket", [0.9, 0.9])]
    axes = plot_early_stopping(measured, target="mnist").axes[0]
    ticks = [axes.yaxis.get_major_formatter()(tick) for tick in axes.get_yticks()]
    assert len(ticks) == len(set(ticks)) and "0" in ticks
    assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 42


def test_equal_values_have_a_range_of_a_point_at_least() -> None:
    axes = plot_metric(rows("dense", [0.9, 0.9]) + rows("ticket", [0.9, 0.9]), target="mnist").axes[0]
    low, high = axes.get_ylim()
    assert low <= 89.5 and high >= 90.5


@pytest.mark.parametrize("difference", [0.0, 1e-12])
def test_a_heat_map_of_zeros_has_a_scale_of_its_own(difference: float) -> None:
    figure = plot_transfer(rows("dense", [0.9, 0.9]) + rows("ticket", [0.9 + difference, 0.9]))
    assert figure.axes[0].images[0].get_clim() == (-1, 1)


def test_a_band_wider_than_the_plot_goes_from_the_smallest_to_the_largest_seed() -> None:
    """Of two seeds one apart the interval is 12.7 times half of it to either side."""
    noisy = rows("ticket", [0.80, 0.90]) + rows("ticket", [0.70, 0.80], level=6)
    figure = plot_metric(rows("dense", [0.85, 0.85]) + noisy, target="mnist")
    (band,) = figure.axes[0].collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min().round(6), heights.max().round(6)) == (70, 90)
    assert "smallest to the largest seed" in figure.axes[0].get_title(loc="left")
    lower = [row | {"value": row["value"] - 0.3} for row in MEASURED]
    quiet = plot_metric(lower, target="mnist").axes[0].get_title(loc="left")
    assert quiet.endswith("3 seeds; bands: 95% intervals of the mean")


def title_of(figure: Any) -> str:
    return figure.axes[0].get_title(loc="left").replace("\n", " ")


def legend_of(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


@pytest.mark.parametrize(("values", "low", "high"), [([1.0, 0.99, 0.98], 97, 100.2), ([0.0, 0.01, 0.02], -0.2, 3)])
def test_an_axis_of_accuracies_ends_at_its_bounds(values: list[float], low: float, high: float) -> None:
    axes = plot_metric(rows("dense", values) + rows("ticket", values), target="mnist").axes[0]
    assert low < axes.get_ylim()[0] and axes.get_ylim()[1] < high
    inside = [tick for tick in axes.get_yticks() if axes.get_ylim()[0] <= tick <= axes.get_ylim()[1]]
    assert min(inside) >= 0 and max(inside) <= 100


def test_a_guess_far_below_is_named_and_leaves_the_range_to_what_was_trained() -> None:
    chance = rows("chance", [0.1, 0.1, 0.1], level=0)
    figure = plot_metric(MEASURED + chance, target="mnist")
    assert figure.axes[0].get_ylim() == plot_metric(MEASURED, target="mnist").axes[0].get_ylim()
    assert "chance, below this range: 10.00%" in title_of(figure)
    assert legend_of(figure) == ["ticket", "dense", "random mask"]


def test_a_guess_that_is_near_is_drawn_in_a_colour_of_its_own() -> None:
    figure = plot_metric(MEASURED + rows("chance", [0.89, 0.89, 0.89], level=0), target="mnist")
    assert legend_of(figure) == ["ticket", "dense", "random mask", "chance"] and "chance" not in title_of(figure)
    styled = [arm.name for arm in ARMS.values() if arm.style]  # others take one of COLOURS
    colours = [arm_style(name).colour for name in [*styled, CHANCE]] + list(COLOURS)
    assert len(colours) == len(set(colours))


def test_a_guess_stops_at_no_iteration() -> None:
    figure = plot_early_stopping(MEASURED + rows("chance", [0.1, 0.1, 0.1], level=0), target="mnist")
    assert legend_of(figure) == ["ticket", "dense", "random mask"]
    assert "chance" not in title_of(figure)


def test_one_seed_is_one_seed() -> None:
    assert title_of(plot_metric(rows("dense", [0.9]) + rows("ticket", [0.9]), target="mnist")).endswith(", 1 seed")
