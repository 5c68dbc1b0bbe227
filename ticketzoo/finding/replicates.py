"""From what a seed found to what a ticket packages of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from safetensors.torch import save
from torch import nn

from ticketzoo.finding.method import Level
from ticketzoo.finding.run import Replicate
from ticketzoo.models import bare_names
from ticketzoo.models.state import State
from ticketzoo.ticket import Found
from ticketzoo.training.parametrisation import NOTHING


def packaged(replicate: Replicate, model: nn.Module, package_from: int, *, by_reference: bool, trained: bool) -> Found:
    """Return what a seed found, as a ticket packages it: one state to start from, or each level's own.

    Args:
        replicate: the seed's.
        model: of the tickets' architecture, for the names of its parameters.
        package_from: the densest level to package.
        by_reference: whether the state to start from is a base model's, which the ticket does not hold.
        trained: whether the trained weights of the levels are packaged, too; of levels that are not trained, none.
    """
    levels = replicate.levels.renamed(partial(bare_names, model=model))
    numbers, found = range(package_from, len(replicate.found)), replicate.found
    values = None
    if trained:
        trained_levels = [level for level in numbers if found[level].learn != NOTHING]
        values = _States(found, trained_levels, _trained_state, model)
    known = Found(replicate.seed, levels, values=values, environments=_environments(found))
    if by_reference:
        return known
    if all(found[level].start == found[-1].start for level in numbers if level):
        return replace(known, rewind_state=bare_names(found[-1].start.state, model))
    return replace(known, rewind_levels=_States(found, numbers, _start_state, model))


def extra_files(replicate: Replicate) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each file of further tensors that the method gave."""
    for number, level in enumerate(replicate.found):
        for kind, state in level.extras.items():
            yield f"{kind}-seed-{replicate.seed}-level-{number}.safetensors", save(state)


def _environments(found: Sequence[Level]) -> list[dict[str, Any]]:
    """Return the distinct environments that the levels were trained in, in the order of their levels."""
    cells = [level.trained.cell for level in found if level.trained is not None]
    distinct: list[dict[str, Any]] = []
    for cell in cells:
        if cell.environment not in distinct:
            distinct.append(cell.environment)
    return distinct


def _start_state(level: Level) -> State:
    return level.start.state


def _trained_state(level: Level) -> State:
    assert level.trained is not None
    return level.trained.final


@dataclass(frozen=True, eq=False)
class _States(Mapping[int, State]):
    """A state of each of `numbers`, read when it is asked for."""

    levels: Sequence[Level]
    numbers: Sequence[int]
    state: Callable[[Level], State]
    model: nn.Module

    def __getitem__(self, level: int) -> State:
        return bare_names(self.state(self.levels[level]), self.model)

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)
