"""A plot that shows something else than its rows is found out, whatever it says of itself."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, PngImagePlugin

from ticketzoo.evaluation.drawing import digest_of_rows
from ticketzoo.evaluation.plot_check import check_plot
from ticketzoo.evaluation.plots import plot_metric


def rows(of_ticket: float) -> list[dict[str, Any]]:
    return [
        {
            "ticket": "lenet", "level": level, "sparsity": level / 2, "arm": arm, "target": "mnist", "seed": seed,
            "draw": 0, "at": "final", "step": 100, "metric": "test_accuracy", "value": value + seed / 100,
        }
        for level, arm, value in ((0, "dense", 0.9), (1, "ticket", of_ticket))
        for seed in range(3)
    ]  # fmt: skip


MEASURED = rows(0.8)
PICTURE = plot_metric(MEASURED, target="mnist").png()
OTHER = plot_metric(rows(0.95), target="mnist").png()


def said(content: bytes) -> tuple[str, str]:
    found = check_plot(content, lambda: plot_metric(MEASURED, target="mnist"))
    return found.state, found.words


def stamped(picture: bytes, **texts: str) -> bytes:
    """The pixels of a picture under other texts."""
    with Image.open(io.BytesIO(picture)) as image:
        info = PngImagePlugin.PngInfo()
        of_both: dict[Any, Any] = {**image.info, **texts}
        for key, text in of_both.items():
            if isinstance(text, str):
                info.add_text(key.replace("_", " "), text)
        image.save(file := io.BytesIO(), "PNG", pnginfo=info)
    return file.getvalue()


def test_the_picture_of_the_rows_holds_in_any_order_and_however_it_is_compressed() -> None:
    assert said(PICTURE) == ("holds", "the picture that its rows give")
    assert plot_metric(list(reversed(MEASURED)), target="mnist").png() == PICTURE
    again = stamped(PICTURE)
    assert again != PICTURE and said(again)[0] == "holds"


def test_a_picture_of_other_rows() -> None:
    assert said(OTHER) == ("differs", "was drawn of other rows than those of results.jsonl")
    assert said(stamped(OTHER, Rows=digest_of_rows(MEASURED))) == ("differs", "shows something else")


def test_a_picture_that_was_drawn_upon() -> None:
    with Image.open(io.BytesIO(PICTURE)) as image:
        drawn = image.convert("RGB")
    drawn.paste((0, 114, 178), (200, 200, 210, 210))
    drawn.save(file := io.BytesIO(), "PNG")
    texts = {"Rows": digest_of_rows(MEASURED), "Drawn_by": drawn_by(PICTURE)}
    assert said(stamped(file.getvalue(), **texts)) == ("differs", "shows something else")


def drawn_by(picture: bytes) -> str:
    with Image.open(io.BytesIO(picture)) as image:
        return str(image.info["Drawn by"])


def changed(change: Any) -> bytes:
    """The picture with `change` made to its points, under the texts of the true one."""
    with Image.open(io.BytesIO(PICTURE)) as image:
        points = np.array(image.convert("RGBA"))
    Image.fromarray(change(points) if callable(change) else points).save(file := io.BytesIO(), "PNG")
    return stamped(file.getvalue(), Rows=digest_of_rows(MEASURED), Drawn_by=drawn_by(PICTURE))


def test_points_as_they_are_hold_and_edges_rounded_otherwise_too() -> None:
    assert said(changed(lambda points: points))[0] == "holds"

    def rounded(points: np.ndarray) -> np.ndarray:
        edges = (points[..., 0] > 20) & (points[..., 0] < 235)
        points[::200, :, 0][edges[::200]] += 1
        points[300:302, 300, :3] = 0
        return points

    assert said(changed(rounded))[0] == "holds"


def test_a_picture_that_cannot_be_seen() -> None:
    def clear(points: np.ndarray) -> np.ndarray:
        points[..., 3] = 0
        return points

    assert said(changed(clear)) == ("differs", "shows something else")


def test_a_picture_with_another_digit_on_it() -> None:
    def covered(points: np.ndarray) -> np.ndarray:
        points[100:108, 60:65, :3] = 255 - points[100:108, 60:65, :3]
        return points

    assert said(changed(covered)) == ("differs", "shows something else")


@pytest.mark.parametrize("by", [50, 10, 2], ids=lambda by: f"paler by {by}")
def test_a_picture_with_pale_words_on_it(by: int) -> None:
    def words(points: np.ndarray) -> np.ndarray:
        paper = Image.new("L", (points.shape[1], points.shape[0]))
        ImageDraw.Draw(paper).text((120, 100), "WINNING at 0.99", fill=255, font_size=60)
        points[..., :3][np.array(paper) > 127] -= np.minimum(points[..., :3][np.array(paper) > 127], by)
        return points

    assert said(changed(words)) == ("differs", "shows something else")


def test_a_picture_that_moves() -> None:
    with Image.open(io.BytesIO(PICTURE)) as image, Image.open(io.BytesIO(OTHER)) as other:
        info = PngImagePlugin.PngInfo()
        for key, text in {"Rows": digest_of_rows(MEASURED), "Drawn by": drawn_by(PICTURE)}.items():
            info.add_text(key, text)
        image.save(file := io.BytesIO(), "PNG", pnginfo=info, save_all=True, append_images=[other])
    assert said(file.getvalue()) == ("differs", "has several frames")


def test_what_another_version_drew_is_not_compared_and_what_says_nothing_is_not_known() -> None:
    state, words = said(stamped(OTHER, Rows=digest_of_rows(MEASURED), Drawn_by="matplotlib\n1"))
    assert state == "unknown" and "matplotlib 1;" in words and "not compared" in words
    with Image.open(io.BytesIO(PICTURE)) as image:
        image.convert("RGB").save(file := io.BytesIO(), "PNG", pnginfo=PngImagePlugin.PngInfo())
    assert said(file.getvalue()) == ("unknown", "does not say which rows it was drawn of")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n", PICTURE[:400], PICTURE[:-2000], b"GIF89a" + PICTURE])
def test_what_is_no_picture(content: bytes) -> None:
    assert said(content)[0] == "differs"
