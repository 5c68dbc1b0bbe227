"""A gallery's folder: written whole or not at all, and never over what somebody else put there."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from ticketzoo.errors import RunError
from ticketzoo.util.files import replace_folder, sync_folder, writing_into

MARK = "gallery.json"
"""The file that says a folder is a gallery, and which files it has."""
MAKER = "ticketzoo site"
MOST_BYTES = 64 * 2**20
"""Size of the mark, at most."""


def write_gallery(files: Iterable[tuple[str, bytes]], out: Path) -> int:
    """Write `files`, each a path within the folder and its content, as the folder `out`; return their bytes.

    A gallery that is there is replaced once the new one is complete.

    Raises:
        RunError: `out` holds anything else, or cannot be written.
    """
    folder = out.expanduser().resolve()
    refuse_foreign(folder)
    new, old = (folder.with_name(f".{folder.name}.{state}") for state in ("new", "old"))
    names, total = [], 0
    try:
        with writing_into(out):
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(parents=True)
        for name, content in files:
            with writing_into(out):
                path = new / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            names.append(name)
            total += len(content)
        with writing_into(out):
            mark = {"made_by": MAKER, "files": sorted([*names, MARK])}
            (new / MARK).write_text(json.dumps(mark, indent=1) + "\n")
            sync_folder(new)
            refuse_foreign(folder)
            replace_folder(folder, new, old)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return total


def refuse_foreign(folder: Path) -> None:
    """Raise RunError where `folder` is anything but a gallery, an empty folder or nothing."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RunError(f"{folder}: is a file, not a folder to write a gallery into: choose another name")
    with writing_into(folder):
        if not any(folder.iterdir()):
            return
        known = _known(folder / MARK)
        if known is None:
            raise RunError(f"{folder}: holds something else than a gallery: choose a new folder, or empty this one")
        there = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
        foreign = next((name for name in sorted(there) if name not in known), None)
    if foreign is not None:
        raise RunError(f"{folder}: {foreign} is not of the gallery there, and would be lost: move it away")


def _known(mark: Path) -> set[str] | None:
    """Return the files that a gallery's mark lists; None where it is no gallery's."""
    if not mark.is_file() or mark.stat().st_size > MOST_BYTES:
        return None
    try:
        content = json.loads(mark.read_bytes())
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or content.get("made_by") != MAKER:
        return None
    files = content.get("files")
    return {name for name in files if isinstance(name, str)} if isinstance(files, list) else None
