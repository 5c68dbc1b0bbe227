"""`ticketzoo repack`: the same ticket with its masks encoded anew, and back to the same bytes."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from hub_server.fixtures import LocalHub
from toy_zoo import ZOO
from typer.testing import CliRunner

from ticketzoo import Ticket, load_ticket
from ticketzoo.cli.main import app
from ticketzoo.errors import RegistryError, TicketError
from ticketzoo.util.shipped import shipped_registry
from ticketzoo.zoo.repack import repack_ticket
from ticketzoo.zoo.verify import verify_ticket

NAME = "lenet-300-100.digits-imp"
REGISTRY = Path(__file__).parents[2] / "registry"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TICKETZOO_REGISTRY", raising=False)
    return tmp_path


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.slow
def test_everything_but_the_masks_stays_and_it_goes_back_to_the_same_bytes() -> None:
    made = repack_ticket(NAME, "range")
    assert made.folder == Path(f"{NAME}-range")
    old, new = files_of(shipped_registry() / NAME), files_of(made.folder)
    masks = {name for name in old if name.endswith("masks.safetensors")}
    weights = {name for name in old if name.endswith("rewind.safetensors")}
    assert {name for name in old if old[name] != new[name]} == masks | {"ticket.json"}
    assert new.keys() == old.keys()
    assert (made.before, made.after) == tuple(sum(len(files[name]) for name in masks | weights) for files in (old, new))
    assert sum(len(new[name]) for name in masks) < 0.8 * sum(len(old[name]) for name in masks)
    stated, told = json.loads(old["ticket.json"]), json.loads(new["ticket.json"])
    assert (stated["format"], told["format"]) == (1, 2)
    assert (stated["mask_sha256"], stated["verdict"]) == (told["mask_sha256"], told["verdict"])
    assert verify_ticket(made.folder)
    plain, ranged = load_ticket(NAME), load_ticket(f"./{made.folder}")
    for seed in plain.seeds:
        for entry in plain.levels:
            one, other = (ticket.at(seed=seed, level=entry.level) for ticket in (plain, ranged))
            assert all(torch.equal(one.masks[name], other.masks[name]) for name in one.masks)
    assert files_of(repack_ticket(made.folder, "bits", "back").folder) == old


def test_the_command_prints_the_folder_and_what_it_saved() -> None:
    runner = CliRunner()
    done = runner.invoke(app, ["repack", NAME, "--encoding", "range", "--out", "a/smaller"], catch_exceptions=False)
    assert done.stdout.splitlines() == ["a/smaller"]
    assert "masks and weights: " in done.stderr
    again = runner.invoke(app, ["repack", "./a/smaller", "--encoding", "bits", "--json"], catch_exceptions=False)
    told = json.loads(again.stdout)
    assert told["folder"] == f"{NAME}-bits"
    assert told["ok"]
    assert told["bytes"] > told["bytes_before"]
    assert runner.invoke(app, ["repack", NAME]).exit_code == 2  # what changes has to be named


def test_an_initialisation_is_left_to_its_seed(here: Path) -> None:
    recipe = """
name: tiny
model: {name: lenet-300-100, kwargs: {width: 0.05}}
task: {type: image-classification, dataset: {path: digits, classes: [0, 1], examples: 64}}
training: {steps: 2it, batch_size: 16, optimizer: {name: sgd, lr: 0.1}}
finder: {method: at-init, levels: 1, prune: {criterion: magnitude}}
arms: []
seeds: [0, 5]
"""
    (here / "pai.yaml").write_text(recipe)
    runner = CliRunner()
    assert runner.invoke(app, ["find", "pai.yaml"], catch_exceptions=False).exit_code == 0
    made = repack_ticket("./runs/tiny/tiny", rewind="seed")
    assert made.folder == Path("tiny-seed")
    assert not list(made.folder.rglob("rewind.safetensors"))
    assert "the initialization drawn from seed" in (made.folder / "README.md").read_text()
    assert made.after < made.before
    old, new = load_ticket("./runs/tiny/tiny"), load_ticket("./tiny-seed")
    assert [one.rewind_sha256 for one in old.config.replicates] == [one.rewind_sha256 for one in new.config.replicates]
    for seed in (0, 5):
        states = [ticket.at(seed=seed).rewind_state for ticket in (old, new)]
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    with pytest.raises(TicketError, match="tiny: its start weights are not an initialisation, or not stored"):
        repack_ticket("./tiny-seed", rewind="seed", out="again")
    with pytest.raises(TicketError, match="cannot be stored as 'drawn': choose seed"):
        repack_ticket("./tiny-seed", rewind="drawn", out="again")
    with pytest.raises(TicketError, match=r"lenet-300-100\.mnist-imp-rewind-100it: its start weights are not"):
        repack_ticket(REGISTRY / "lenet-300-100.mnist-imp-rewind-100it", rewind="seed", out="again")
    assert not (here / "again").exists()


def test_nothing_is_overwritten(here: Path) -> None:
    for kind in ("file", "folder", "link"):
        out = here / kind
        if kind == "file":
            out.write_text("mine")
        elif kind == "folder":
            out.mkdir()
        else:
            out.symlink_to(here / "nowhere")
        with pytest.raises(TicketError, match=rf"{kind}: exists; choose another folder with --out"):
            repack_ticket(NAME, "range", out)
    assert (here / "file").read_text() == "mine"
    assert names(here) == ["file", "folder", "link"]


def test_an_unknown_encoding_or_ticket_leaves_nothing(here: Path) -> None:
    with pytest.raises(TicketError, match="masks cannot be encoded as 'zip': choose bits or range"):
        repack_ticket(NAME, "zip")
    with pytest.raises(RegistryError, match=r"no ticket 'lenet-300-100\.digits-im'"):
        repack_ticket("lenet-300-100.digits-im", "range")
    assert not names(here)


def test_a_damaged_ticket_is_refused_and_leaves_nothing(here: Path) -> None:
    folder = Path(shutil.copytree(shipped_registry() / NAME, here / "damaged"))
    masks = folder / "seed-1/masks.safetensors"
    content = bytearray(masks.read_bytes())
    content[-1] ^= 1
    masks.write_bytes(content)
    with pytest.raises(TicketError, match=r"seed-1/masks\.safetensors: damaged: its sha256 is"):
        repack_ticket("./damaged", "range", "new")
    assert names(here) == ["damaged"]


def test_it_goes_to_the_hub_and_comes_back(hub: LocalHub, here: Path) -> None:
    hub.login("alice")
    folder = repack_ticket(NAME, "range").folder
    Ticket.from_pretrained(folder).push_to_hub(ZOO)
    loaded = load_ticket(ZOO)
    assert loaded.config == Ticket.from_pretrained(folder).config
    assert all(torch.equal(loaded.masks[name], mask) for name, mask in load_ticket(NAME).masks.items())
    back = repack_ticket(ZOO, "bits", here / "back").folder
    assert (back / "ticket.json").read_bytes() == (shipped_registry() / NAME / "ticket.json").read_bytes()
