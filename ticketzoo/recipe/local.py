"""Local paths in recipes: what is published of a recipe names the last part of a folder alone."""

import re
from typing import Any

_LOCAL = re.compile(r"(transformers/)?(?:/|~|\.\.[/\\]|[A-Za-z]:[/\\]|\\\\).*", re.DOTALL)


def without_local_paths(value: Any) -> Any:
    """Return a recipe's values with absolute paths, and those from `~` or `..`, as `./<last part>`."""
    if isinstance(value, dict):
        return {key: without_local_paths(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_local_paths(item) for item in value]
    if isinstance(value, str) and (found := _LOCAL.fullmatch(value)):
        parts = [part for part in re.split(r"[/\\]", value) if part not in ("", ".", "..", "~")]
        return f"{found[1] or ''}./{parts[-1] if parts[found[1] is not None :] else ''}"
    return value
