"""Data sets that are not there: told of at once, with what may have been meant."""

import difflib
from contextlib import suppress
from pathlib import Path

from ticketzoo.errors import DataError
from ticketzoo.hub.calls import call_hub, client, is_offline
from ticketzoo.hub.errors import HubMissing, HubUnreachable
from ticketzoo.util.text import show_names

BUILT_IN = ("digits", "emma")
"""Names of data sets that need neither a folder nor the Hub."""
ON_HUB = ("ylecun/mnist", "zalando-datasets/fashion_mnist", "uoft-cs/cifar10", "nyu-mll/glue", "rajpurkar/squad")
"""Data sets of the Hub's that are often called without their owner."""


def check_there(path: str, revision: str | None) -> None:
    """Raise DataError unless `path` is a folder, or a data set that is in the cache or on the Hub.

    The Hub is asked once; `datasets` would ask again and again, for half a minute.
    """
    check_path(path)
    folder = Path(path).expanduser()
    if folder.is_dir() or is_offline() or _is_cached(path):
        return
    try:
        call_hub(lambda: client().dataset_info(path, revision=revision), path, repeat=False)
    except (HubMissing, HubUnreachable) as error:
        raise DataError(
            f"could not load data set {path}: no such folder here{near(folder)}, and on the Hub: {error}"
        ) from error


def check_path(path: str) -> None:
    """Raise DataError if `path` is no folder and cannot be the name of a data set on the Hub."""
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    folder = Path(path).expanduser()
    if folder.is_file():
        advice = "give the folder that it is in, which may hold one file or one for each split"
        raise DataError(f"{path} is a file: {advice}")
    if folder.is_dir():
        return
    try:
        validate_repo_id(path)
    except HFValidationError:
        advice = "give one with --set task.dataset.path=FOLDER"
        raise DataError(f"no data set at {path}: there is no such folder{near(folder)}: {advice}") from None


def near(folder: Path) -> str:
    """Return the folders beside it, and known data sets, that are called almost like it, in words; "" for none."""
    known: dict[str, object] = {}
    if len(folder.parts) == 1:
        if on_hub := [name for name in ON_HUB if _plain(name.rpartition("/")[2]) == _plain(folder.name)]:
            return f" (did you mean {show_names(on_hub)}?)"
        known = {name: name for name in BUILT_IN}
    with suppress(OSError):
        known |= {entry.name.casefold(): entry for entry in folder.parent.iterdir() if entry.is_dir()}
    meant = difflib.get_close_matches(folder.name.casefold(), known, n=3, cutoff=0.6)
    return f" (did you mean {show_names([known[name] for name in meant])}?)" if meant else ""


def _plain(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "")


def _is_cached(path: str) -> bool:
    """Tell whether a data set of the Hub's has been loaded before: it may be loaded without the Hub."""
    import datasets.config
    from datasets.naming import camelcase_to_snakecase
    from huggingface_hub.constants import HF_HUB_CACHE

    *owner, name = path.split("/")
    prepared = Path(datasets.config.HF_DATASETS_CACHE) / "___".join([*owner, camelcase_to_snakecase(name)])
    return prepared.is_dir() or (Path(HF_HUB_CACHE) / "--".join(["datasets", *owner, name])).is_dir()
