"""docs/format.md names every key that ticket.json may have."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from ticketzoo.ticket.config import TicketConfig
from ticketzoo.ticket.parts import Part

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "format.md"


def parts_in(annotation: Any) -> Iterator[type[Part]]:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation
        for field in annotation.model_fields.values():
            yield from parts_in(field.annotation)
    for inner in get_args(annotation):
        yield from parts_in(inner)


def test_every_key_is_in_the_document() -> None:
    spans = re.findall(r"`([^`\n]+)`", DOCUMENT.read_text().partition("## masks.safetensors")[0])
    named = set(re.findall(r"\w+", " ".join(spans)))
    keys = {(part.__name__, key) for part in parts_in(TicketConfig) for key in part.model_fields}
    assert {"verdict", "targets", "stated_margin", "published", "environments"} <= {key for _, key in keys}
    assert sorted((part, key) for part, key in keys if key not in named) == []
