"""The parts of pruning: a row of each of its tables, and how a recipe names one and sets its keys."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from pydantic import model_serializer

from ticketzoo.recipe import Config, ConfiguredBy

PartT = TypeVar("PartT", bound="Part")


class PartConfig(Config):
    """A row of a table by its name, with its keys; `snip` is short for `{name: snip}`."""

    name: str

    @property
    def layer_patterns(self) -> tuple[str, ...]:
        """Patterns of layers that the keys name, which have to be in the model."""
        return ()

    def check_levels(self, levels: int) -> None:
        """Raise ValueError where the keys cannot be for so many `levels`."""

    @model_serializer(mode="wrap")
    def _in_short(self, write: Callable[[Any], dict[str, Any]]) -> Any:
        content = write(self)
        return self.name if set(content) == {"name"} else content


@dataclass(frozen=True)
class Part:
    """A row of one of the four tables of pruning.

    Attributes:
        name: by which recipes ask for it.
        make: its function; the table says what it is given. Rows with a `config` of their own get it as `config=`.
        cite: where it comes from.
        words: what a card says of it.
        config: the keys that a recipe may set; by default there are none.
    """

    name: str
    make: Callable[..., Any]
    cite: str
    words: str = ""
    config: type[PartConfig] = PartConfig

    def configured(self: PartT, config: PartConfig) -> PartT:
        """Return the row with the keys that a recipe gives it."""
        return self if self.config is PartConfig else replace(self, make=partial(self.make, config=config))


@dataclass(frozen=True)
class NamedIn(ConfiguredBy):
    """Annotation of a part in a recipe: a name, or a mapping with the keys of the row.

    Without `name`, a mapping is of the row that one of its keys is called by: `{rate: 0.2}` is of `rate`.
    """

    def named(self, content: Any) -> Any:
        """Return the name of the row that a part is of."""
        if isinstance(content, dict) and self.key not in content:
            return next((key for key in content if key in self.table()), self.default)
        return content if isinstance(content, str) else super().named(content)

    def _read(self, content: Any) -> Any:
        if isinstance(content, str):
            content = {self.key: self.table().known(content)}
        elif isinstance(content, dict) and self.key not in content:
            content = {self.key: self.named(content), **content}
        return super()._read(content)
