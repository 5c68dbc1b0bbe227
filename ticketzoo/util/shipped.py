"""Files that travel with the package: the recipes, the model card template, and tickets.

A wheel holds them in `ticketzoo/shipped/`; in a checkout they are in the repository root, beside the package.
"""

import difflib
from pathlib import Path

from ticketzoo.errors import TicketzooError

_PACKAGE = Path(__file__).resolve().parents[1]
MODEL_CARD_TEMPLATE = "MODEL_CARD_TEMPLATE.md"


def shipped(name: str) -> Path:
    """Return the path of a shipped file, by a name such as `recipes/quickstart.yaml` or `MODEL_CARD_TEMPLATE.md`.

    Raises:
        TicketzooError: any other name, saying which are near.
    """
    names = [MODEL_CARD_TEMPLATE, *shipped_recipes()]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names
        raise TicketzooError(f"no shipped file is called {name!r}; near are {', '.join(near)}")
    return _root() / name


def shipped_recipes() -> list[str]:
    """Return the names of the shipped recipes, as `recipes/quickstart.yaml`."""
    root = _root()
    return sorted(path.relative_to(root).as_posix() for path in (root / "recipes").rglob("*.yaml"))


def shipped_registry() -> Path:
    """Return the folder of the tickets that come with ticketzoo: in a wheel a small one, in a checkout the zoo."""
    return _root() / "registry"


def _root() -> Path:
    installed = _PACKAGE / "shipped"
    return installed if installed.is_dir() else _PACKAGE.parent
