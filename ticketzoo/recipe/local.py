"""Local paths in recipes: what is published of a recipe names the last part of a folder alone."""

import os
import re
from pathlib import PurePath, PurePosixPath
from typing import Any

_LOCAL = re.compile(r"(transformers/)?(?:/|~|\.\.[/\\]|[A-Za-z]:[/\\]|\\\\).*", re.DOTALL)


def last_part(path: str) -> str:
    """Return the last part of a Hub id or folder, also of `.` and `images/..`; a link keeps its own name."""
    whole = os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 (follow no link, never fail)
    return PurePath(whole).name


def without_local_paths(value: Any, key: str = "") -> Any:
    """Return a recipe's values with absolute paths, and those from `~` or `..`, as `./<last part>`.

    Args:
        value: the recipe, or a part of it.
        key: under which the part stands; a `path` may also be `.` or `images/..`.
    """
    if isinstance(value, dict):
        return {key: without_local_paths(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [without_local_paths(item) for item in value]
    if isinstance(value, str) and key == "path" and _names_no_folder(value):
        return f"./{last_part(value)}"
    if isinstance(value, str) and (found := _LOCAL.fullmatch(value)):
        parts = [part for part in re.split(r"[/\\]", value) if part not in ("", ".", "..", "~")]
        return f"{found[1] or ''}./{parts[-1] if parts[found[1] is not None :] else ''}"
    return value


def _names_no_folder(path: str) -> bool:
    """Return True where the last part of a path's text need not be the folder's name, as of `.` and `images/..`."""
    parts = PurePosixPath(path).parts
    return not parts or ".." in parts or parts == ("~",)
