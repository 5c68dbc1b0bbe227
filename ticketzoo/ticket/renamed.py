"""Models of `transformers` whose files name or lay out tensors otherwise than the model does, such as ViT of old."""

from collections.abc import Iterable
from pathlib import Path

from torch import nn

from ticketzoo.bridges.brought import Source
from ticketzoo.errors import ModelError, TicketError
from ticketzoo.models.by_settings import class_of, shapes_by_settings
from ticketzoo.util.text import one_line


def renamed_module(place: Path, source: Source, names: Iterable[str]) -> nn.Module | None:
    """Return the model in a folder, where its files name tensors otherwise than it does; else None.

    Args:
        place: the folder.
        source: what is in it.
        names: of its tensors, as in a bare model.

    Raises:
        TicketError: it cannot be loaded.
    """
    kinds = source.settings.get("architectures")
    kind = kinds[0] if isinstance(kinds, list) and kinds else None
    if not place.is_dir() or (made := class_of(kind)) is None or "model_type" not in source.settings:
        return None
    try:
        there = shapes_by_settings(source.settings, made.__name__, len(source.tensors))
    except ModelError:
        return None
    if set(there) <= (known := set(names)) or known <= set(there):
        return None
    try:
        model, found = made.from_pretrained(
            place, dtype="auto", local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:  # transformers raises dozens of unrelated types for files that do not fit
        raise TicketError(f"{place}: cannot be loaded as {kind}: {one_line(error)[:300]}") from error
    return None if found["missing_keys"] else model  # what is missing would be random
