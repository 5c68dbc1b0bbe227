"""How a ticket was found, in the words of the tables and with their citations."""

from collections.abc import Mapping
from typing import Any

from ticketzoo.finding.method import METHODS
from ticketzoo.pruning.config import PruneConfig
from ticketzoo.pruning.criteria import CRITERIA
from ticketzoo.pruning.schedule import SCHEDULES
from ticketzoo.pruning.scope import SCOPES
from ticketzoo.pruning.structure import STRUCTURES
from ticketzoo.ticket.ways import WAYS
from ticketzoo.util.registry import Registry


def found_words(pruning: Mapping[str, Any]) -> dict[str, str]:
    """Return what the tables say of the way a ticket was found, by part: words, and in brackets the citation.

    Of a name that no table has nothing is said, nor of the criterion of a method whose words leave it out.

    Args:
        pruning: of ticket.json: `method`, and where they are stated `criterion`, `structure`, `scope` and `schedule`.
    """
    method, scope, usual = pruning["method"], pruning.get("scope", ""), PruneConfig()
    words = METHODS[method].words if method in METHODS else ""
    criterion = pruning.get("criterion") or (usual.criterion.name if "{criterion}" in words else "")
    name, _, keys = criterion.partition(" (")
    said = {
        "method": _said_of_method(method, criterion, name) or _said(WAYS, method),
        "criterion": _said(CRITERIA, name) + ("; " + keys.removesuffix(")") if keys and name in CRITERIA else ""),
        "structure": _said(STRUCTURES, pruning.get("structure") or usual.structure.name),
        "scope": _said(SCOPES, scope) or (METHODS[method].scopes.get(scope, "") if method in METHODS else ""),
        "schedule": _said(SCHEDULES, pruning.get("schedule")),
    }
    return {part: text for part, text in said.items() if text}


def _said_of_method(method: str, criterion: str, name: str) -> str:
    if method not in METHODS or not METHODS[method].cites_criterion:
        return _said(METHODS, method).replace("{criterion}", criterion)
    cite = CRITERIA[name].cite if name in CRITERIA else ""
    return METHODS[method].words.replace("{criterion}", criterion) + (f" ({cite})" if cite else "")


def _said(table: Registry[Any], name: object) -> str:
    if not isinstance(name, str) or name not in table:
        return ""
    row = table[name]
    return (row.words or row.name) + (f" ({row.cite})" if row.cite else "")
