"""Write the gallery: a static page of tickets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ticketzoo.errors import RegistryError
from ticketzoo.gallery.collect import collect
from ticketzoo.gallery.pages import files_of
from ticketzoo.gallery.writing import refuse_foreign, write_gallery
from ticketzoo.util.arguments import checked
from ticketzoo.zoo.places import own_registry, registries

TITLE = "Ticket zoo"


@dataclass(frozen=True)
class Site:
    """A gallery that was written.

    Attributes:
        index: its first page.
        tickets: names of the tickets that it shows, by name.
        left_out: a line on each ticket that is damaged, and why.
        bytes: of all its files.
    """

    index: Path
    tickets: list[str]
    left_out: list[str]
    bytes: int


@checked
def site(
    out: str | Path,
    registry: str | Path | Sequence[str | Path] | None = None,
    *,
    title: str = TITLE,
    token: str | bool | None = None,
) -> Site:
    """Write a static page of tickets, made of what they say and of their rows: no mask and no weight is fetched.

        site("public", ["registry", "hub:owner"])

    It needs no server: `public/index.html` opens in a browser as it is. The same tickets give the same bytes.

    Args:
        out: the folder; a gallery that is there is replaced.
        registry: a folder or `hub:owner`, or several; by default `registry/` in the current folder, or what
            `TICKETZOO_REGISTRY` says, and where that is not there `runs/` and the shipped tickets.
        title: the name at the top of each page.
        token: for the Hub; by default that of `HF_TOKEN` or `hf auth login`. False for none.

    Raises:
        RegistryError: there is no such folder, or the Hub cannot be searched.
        RunError: `out` holds something else than a gallery, or cannot be written.
    """
    if registry is None:
        given: Sequence[str | Path] = [own_registry()] if own_registry().is_dir() else registries()
    else:
        given = [registry] if isinstance(registry, str | Path) else registry
    for place in given:
        if str(place) == "hub:":
            raise RegistryError("hub: is all of the Hub, too much for a page: write hub:OWNER")
    refuse_foreign(Path(out).expanduser().resolve())
    found = collect(given, token=token)
    size = write_gallery(files_of(found.exhibits, title), Path(out))
    names = [one.title for one in found.exhibits]
    return Site(Path(out) / "index.html", names, found.left_out, size)
