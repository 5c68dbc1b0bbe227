"""The unit that each unit of a deeper or shallower network is a copy of: Chen et al. 2021 (arXiv 2103.16547), sec. 3.

Units of a stage are numbered from 0. The first is always that of the source; the others, 1 to n, are copied.
"""

import re
from collections.abc import Mapping, Sequence

from ticketzoo.errors import TicketError
from ticketzoo.models.stages import Stages
from ticketzoo.util.text import for_terminal

ORDERS = ("append", "interpolate")
Copied = list[list[int]]
"""For each stage of the target, and each of its units from 1 on, the number of the source's unit."""
Map = Mapping[int, Sequence[int]]
"""By the number of a unit of the source, those of its copies."""

_PART = re.compile(r"\s*(\d{1,6})\s*:\s*(\d{1,6}(?:\s*,\s*\d{1,6})*)\s*")


def copies(source: int, target: int, order: str = "append") -> list[int]:
    """Return the number of the source's unit for each unit of a stage from 1 to `target`.

    With q, r = divmod(target, source) the first r units get q + 1 copies and the others q. `append` repeats the whole
    sequence; `interpolate` puts the copies of a unit next to each other. With fewer units both undo what they did:
    `append` keeps the first ones, `interpolate` the first of each group of copies.

    Args:
        source: units of the source beside the first, at least 1 unless `target` is 0.
        target: units of the target beside the first.
        order: `append` or `interpolate`.
    """
    if order == "append":
        return [number % source + 1 for number in range(target)]
    if target < source:
        each, more = divmod(source, max(target, 1))
        return [number * each + min(number, more) + 1 for number in range(target)]
    each, more = divmod(target, max(source, 1))
    return [unit for unit in range(1, source + 1) for _ in range(each + (unit <= more))]


def ordered(source: Stages, target: Stages, order: str, name: str) -> Copied:
    """Return what each unit of the target is a copy of, in an order of `ORDERS`.

    Args:
        source: stages of the source, as many as of the target.
        target: stages of the target.
        order: `append` or `interpolate`.
        name: of the target, for messages.

    Raises:
        TicketError: a stage has no unit to copy.
    """
    for stage, (mine, others) in enumerate(zip(source, target, strict=True), 1):
        if len(mine) == 1 < len(others):
            where = unit_called(target, stage, 1, name)
            raise TicketError(f"{where} has nothing to be a copy of: the first unit of a stage is never copied")
    return [copies(len(mine) - 1, len(others) - 1, order) for mine, others in zip(source, target, strict=True)]


def read_maps(text: str) -> list[Map]:
    """Return the maps of `1:1,3;2:2,4`, of one stage or for all, or of several stages with / between.

    Raises:
        TicketError: anything else.
    """
    maps: list[Map] = []
    for stage in text.split("/"):
        parts = [_PART.fullmatch(part) for part in stage.split(";")]
        if not all(parts):
            remedy = f"give {' or '.join(ORDERS)}, or UNIT:COPIES such as 1:1,3;2:2,4 with / between stages"
            raise TicketError(f"{for_terminal(repr(text))[:100]} says nothing of units: {remedy}")
        numbers = [(int(part[1]), [int(number) for number in part[2].split(",")]) for part in parts if part]
        if repeated := [unit for place, (unit, _) in enumerate(numbers) if unit in dict(numbers[:place])]:
            raise TicketError(f"--map: unit {repeated[0]} is given twice: list all of its copies behind one colon")
        maps.append(dict(numbers))
    return maps


def mapped(source: Stages, target: Stages, text: str, names: tuple[str, str]) -> Copied:
    """Return what each unit of the target is a copy of, by a map for all stages, or one for each.

    Args:
        source: stages of the source, as many as of the target.
        target: stages of the target.
        text: as of `read_maps`; one map for all stages of the target that repeat something, or one for each of these.
        names: of source and target, for messages.

    Raises:
        TicketError: a unit that there is not, one with no copy or with two, named.
    """
    maps, repeating = read_maps(text), [number for number, units in enumerate(target) if len(units) > 1]
    if len(maps) not in (1, len(repeating)):
        raise TicketError(f"--map: has {len(maps)} stages, and {names[1]} {len(repeating)} that repeat something")
    each = dict(zip(repeating, maps * len(repeating) if len(maps) == 1 else maps, strict=True))
    return [
        _of_stage(source, target, number + 1, each[number], names) if number in each else []
        for number in range(len(target))
    ]


def _of_stage(source: Stages, target: Stages, stage: int, given: Map, names: tuple[str, str]) -> list[int]:
    there: dict[int, int] = {}
    for unit, others in given.items():
        _check_there(source, stage, unit, names[0])
        for other in others:
            _check_there(target, stage, other, names[1])
            if other in there:
                where = unit_called(target, stage, other, names[1])
                raise TicketError(f"--map: {where} is named twice, as a copy of {there[other]} and of {unit}")
            there[other] = unit
    wanted = range(1, len(target[stage - 1]))
    if missed := [unit for unit in wanted if unit not in there]:
        where = unit_called(target, stage, missed[0], names[1])
        raise TicketError(f"--map: {where} is a copy of nothing: every unit has to be one")
    return [there[unit] for unit in wanted]


def checked_copies(source: Stages, target: Stages, stated: object) -> Copied:
    """Return what a ticket states of its units. Raises TicketError unless it is as `Copied` says, of these stages."""
    lists = stated if isinstance(stated, list) else []
    sizes = [len(stage) - 1 for stage in target]
    known = [len(stage) - 1 for stage in source]
    if len(source) != len(target) or [len(one) if isinstance(one, list) else -1 for one in lists] != sizes:
        raise TicketError(f"derived.arguments: units are not {len(target)} lists with a number for each unit")
    for of_stage, most in zip(lists, known, strict=True):
        if not all(type(unit) is int and 1 <= unit <= most for unit in of_stage):
            raise TicketError(f"derived.arguments: units of a stage are not numbers from 1 to {most}")
    return lists


def unit_called(stages: Stages, stage: int, unit: int, network: str) -> str:
    """Return words for a unit, its stage counted from 1: "blocks.3 of resnet-32 (unit 3 of stage 1)"."""
    return f"{stages[stage - 1][unit]} of {network} (unit {unit} of stage {stage})"


def _check_there(stages: Stages, stage: int, unit: int, network: str) -> None:
    most = len(stages[stage - 1]) - 1
    if not 1 <= unit <= most:
        known = f"those from 1 to {most}" if most else "none"
        raise TicketError(f"--map: stage {stage} of {network} has no unit {unit}: it has {known} beside its first, 0")
