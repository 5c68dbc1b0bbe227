"""Pictures of few colours: those that were drawn with stay, and no point moves far."""

import numpy as np
from PIL import Image

from ticketzoo.evaluation.figure import with_few_colours


def test_frequent_colors_stay_and_others_are_rounded() -> None:
    points = np.full((20, 20, 3), 255, dtype=np.uint8)
    points[:10, :10] = (0, 114, 178)  # 100 points
    points[19, 19] = (8, 9, 130)  # 8 is nearer to 0 than to 17, 9 to 17, 130 to 136
    drawn = with_few_colours(Image.fromarray(points))
    assert drawn.mode == "P"
    expected = points.copy()
    expected[19, 19] = (0, 17, 136)
    assert (np.array(drawn.convert("RGB")) == expected).all()


def test_more_colors_than_a_palette_holds() -> None:
    every = np.stack(np.meshgrid(*[np.arange(0, 256, 17)] * 3), -1).reshape(64, 64, 3).astype(np.uint8)
    every[:32, :] = (1, 2, 3)
    drawn = with_few_colours(Image.fromarray(every))
    shown = np.array(drawn.convert("RGB"))
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) == 256 and (shown[:32] == (1, 2, 3)).all()


def test_one_point_that_differs_changes_itself_alone() -> None:
    drawn = np.random.default_rng(0).integers(200, 256, (60, 60, 3)).astype(np.uint8)
    drawn[:30] = 255
    other = drawn.copy()
    other[59, 59] = drawn[59, 59] - 60
    shown = [np.array(with_few_colours(Image.fromarray(picture)).convert("RGB")) for picture in (drawn, other)]
    assert (shown[0] != shown[1]).any(-1).sum() <= 1
