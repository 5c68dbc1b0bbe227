"""Pictures of at most 256 colours: a plot so stored is about a quarter as large and looks the same."""

import numpy as np
from PIL import Image

MOST = 256
POINTS = 100
"""A colour of so many points is one that was drawn with and stays what it is; others are edges of lines and letters."""
STEP = 17
"""Values of red, green and blue of the others are multiples of this."""


def with_few_colours(image: Image.Image) -> Image.Image:
    """Return an opaque picture with a palette.

    Colours of at least 100 points are kept, the most frequent first. Other points have each channel rounded to one of
    16 values; where there are more such colours than the palette has room for, the rarest become the nearest that is
    in it. So a point that another processor rounds otherwise changes itself alone, not the palette of all others.
    """
    points = np.asarray(image.convert("RGB"), dtype=np.int32)
    exact = _coded(points)
    frequent = _by_frequency(exact, POINTS)[:MOST]
    codes = np.where(np.isin(exact, frequent), exact, _coded((points + STEP // 2) // STEP * STEP))
    others = _by_frequency(codes, 1)
    palette = np.concatenate([frequent, others[~np.isin(others, frequent)]])[:MOST]
    found, at = np.unique(codes, return_inverse=True)
    apart = ((_channels(found)[:, None] - _channels(palette)) ** 2).sum(-1)
    drawn = Image.fromarray(apart.argmin(1).astype(np.uint8)[at].reshape(codes.shape), "P")
    drawn.putpalette(_channels(palette).astype(np.uint8).tobytes())
    return drawn


def _coded(points: np.ndarray) -> np.ndarray:
    """Return colours [..., 3] as one number each."""
    coded: np.ndarray = points @ np.array([1 << 16, 1 << 8, 1])
    return coded


def _channels(codes: np.ndarray) -> np.ndarray:
    """Return numbers [n] as the colours [n, 3] that they stand for."""
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], 1)


def _by_frequency(codes: np.ndarray, least: int) -> np.ndarray:
    """Return the colours of at least so many points, most frequent first, then by their number."""
    found, counts = np.unique(codes, return_counts=True)
    found, counts = found[counts >= least], counts[counts >= least]
    return found[np.argsort(-counts, kind="stable")]
