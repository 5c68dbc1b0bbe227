"""Tickets that earlier versions wrote: they load, mean the same, and are written again as they were."""

import json
from pathlib import Path
from typing import Any

import pytest

from ticketzoo.masks.digests import state_sha256
from ticketzoo.ticket import Ticket
from ticketzoo.zoo.verify import verify_ticket

ROOT = Path(__file__).resolve().parents[2]
ARTEFACTS = ROOT / "tests" / "artefacts"
STATED: dict[str, Any] = {
    f"format-{number}/{name}": stated
    for number in (1, 2)
    for name, stated in json.loads((ARTEFACTS / f"format-{number}/digests.json").read_text()).items()
}


def load(folder: Path) -> Ticket:
    """The ticket; one by reference with the copy of its base model that lies beside it."""
    base = folder.parent / "tiny-bert" if folder.name.startswith("tiny-bert.") else None
    return Ticket.from_pretrained(folder, base=base)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_artefact_is_listed() -> None:
    folders = [path.parent for path in ARTEFACTS.glob("format-*/*/ticket.json")]
    assert {folder.relative_to(ARTEFACTS).as_posix() for folder in folders} == set(STATED)


@pytest.mark.parametrize("name", STATED)
def test_masks_weights_and_rows_are_those_that_were_written(name: str) -> None:
    ticket, stated = load(ARTEFACTS / name), STATED[name]
    assert name.startswith(f"format-{ticket.config.format}/")
    assert ticket.config.library_version == stated["library_version"]
    assert ticket.config.mask_sha256 == stated["mask_sha256"]
    assert len(ticket.results) == stated["rows"]
    for seed in ticket.seeds:
        for entry in ticket.levels:
            view, key = ticket.at(seed=seed, level=entry.level), f"seed {seed} level {entry.level}"
            assert {key: int(mask.sum()) for key, mask in view.masks.items()} == stated["kept"][key]
            assert state_sha256(view.rewind_state) == stated["rewind_sha256"][key]


@pytest.mark.parametrize("name", STATED)
def test_it_verifies_and_is_saved_again_as_the_same_bytes(name: str, tmp_path: Path) -> None:
    if json.loads((ARTEFACTS / name / "ticket.json").read_text())["architecture"]["name"] != "toy":
        assert verify_ticket(ARTEFACTS / name)  # nobody can build the toy
    again = load(ARTEFACTS / name).save_pretrained(tmp_path / name)
    assert files_of(again) == files_of(ARTEFACTS / name)


REGISTRY: dict[str, Any] = json.loads((ARTEFACTS / "registry.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", REGISTRY)
def test_a_ticket_of_the_registry_verifies_with_the_digests_it_was_published_with(name: str) -> None:
    folder = ROOT / "registry" / name
    assert verify_ticket(folder, results=False)  # recomputes the digests that ticket.json states
    config = json.loads((folder / "ticket.json").read_text())
    stated = [replicate["rewind_sha256"] for replicate in config["replicates"]]
    assert {"mask_sha256": config["mask_sha256"], "rewind_sha256": stated} == REGISTRY[name]
