"""Which column of a data set holds images."""

from typing import Any

from ticketzoo.errors import DataError
from ticketzoo.tasks.labels import what_there_is


def find_image_column(path: str, features: dict[str, Any], asked: str | None) -> str:
    """The column asked for, or the one Image feature. Raises DataError listing the columns."""
    from datasets import Image

    images = [column for column, feature in features.items() if isinstance(feature, Image)]
    if asked is not None:
        if asked in images or (asked in features and _holds_encoded_images(features[asked])):
            return asked
        raise DataError(f"{path} has no image column {asked!r}; {what_there_is('image', images, features)}")
    images = images or [column for column, feature in features.items() if _is_image_struct(feature)]
    if len(images) == 1:
        return images[0]
    if images:
        raise DataError(f"{path} has several image columns, {', '.join(images)}: say which with image_column")
    raise DataError(f"{path} has no image column; {what_there_is('image', images, features)}")


def _is_image_struct(feature: Any) -> bool:
    """How an image column reads when a parquet file has lost its Hub metadata."""
    return isinstance(feature, dict) and set(feature) == {"bytes", "path"}


def _holds_encoded_images(feature: Any) -> bool:
    return _is_image_struct(feature) or getattr(feature, "dtype", None) in ("binary", "large_binary")
