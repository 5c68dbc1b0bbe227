"""Where a ticket is found by its name, and how it gets there."""

import logging
from pathlib import Path
from typing import Any

import pytest
from toy_zoo import equal, make_ticket, save_ticket
from typer.testing import CliRunner

import ticketzoo
from ticketzoo import Ticket, load_ticket
from ticketzoo.cli.main import app
from ticketzoo.errors import ArgumentError, RegistryError, TicketError, TicketzooError
from ticketzoo.hub.references import FolderReference, folder_reference, parse_reference
from ticketzoo.util.shipped import shipped_registry
from ticketzoo.zoo.add import add_ticket
from ticketzoo.zoo.places import registries, ticket_folder, ticket_folders

NAME = "lenet.digits-imp"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TICKETZOO_REGISTRY", raising=False)
    return tmp_path


def names(table: Any) -> list[str]:
    return [row[0] for row in table.rows]


def test_the_ticket_of_a_run_is_found_by_name_from_the_folder_where_the_run_was_made(here: Path) -> None:
    made = save_ticket(here / "runs" / "try" / NAME)
    (made.parent / f".{NAME}.1a2b.new").mkdir()
    (made.parent / f".{NAME}.1a2b.new" / "ticket.json").write_text("half")
    assert equal(load_ticket(NAME), Ticket.from_pretrained(made))
    assert NAME in names(ticketzoo.search())
    assert names(ticketzoo.search("runs")) == [NAME] == names(ticketzoo.search(here / "runs" / "try"))
    with pytest.raises(RegistryError, match=f"no ticket 'lenet.digit-imp' in runs, .*did you mean {NAME}"):
        load_ticket("lenet.digit-imp")


def test_a_part_of_a_name_is_enough_for_a_hint_and_of_many_names_a_few_are_shown(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKETZOO_REGISTRY", "registry")
    for number in range(6):
        save_ticket(here / "registry" / f"ticket.with-a-long-name-{number}")
    save_ticket(here / "registry" / NAME)
    with pytest.raises(RegistryError, match=f"did you mean {NAME}\\?$"):
        load_ticket("lenet")
    with pytest.raises(RegistryError, match=r"name-3, \.\.\. \(7 in all\); ticketzoo list shows all$"):
        load_ticket("nix")


def test_a_registry_goes_before_runs_and_those_before_what_comes_with_ticketzoo(
    here: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert registries() == [shipped_registry()]
    save_ticket(here / "runs" / NAME / NAME)
    save_ticket(here / "registry" / NAME)
    assert registries() == [Path("registry"), Path("runs"), shipped_registry()]
    with caplog.at_level(logging.WARNING, "ticketzoo"):
        assert ticket_folder(NAME) == Path("registry", NAME)
        assert not caplog.records, "both have the same masks"
        make_ticket(replicates=make_ticket_of_seeds(1)).save_pretrained(here / "registry" / NAME)
        assert ticket_folder(NAME) == Path("registry", NAME)
    line = (
        f"2 tickets are called '{NAME}', which means the one in registry/{NAME}; say ./runs/{NAME}/{NAME} for the other"
    )
    assert [record.getMessage() for record in caplog.records] == [line]
    listed = CliRunner().invoke(app, ["list", "--filter", NAME])
    assert line in listed.stderr
    assert f"./runs/{NAME}/{NAME}" in listed.stdout
    assert [name for name in names(ticketzoo.search()) if NAME in name] == [NAME, f"./runs/{NAME}/{NAME}"]
    monkeypatch.setenv("TICKETZOO_REGISTRY", str(here / "elsewhere"))
    with pytest.raises(RegistryError, match="elsewhere: no such folder"):
        load_ticket(NAME)
    save_ticket(here / "elsewhere" / "other")
    assert registries() == [here / "elsewhere", Path("runs")]


def make_ticket_of_seeds(*seeds: int) -> list[Any]:
    from toy_zoo import found

    return [found(seed) for seed in seeds]


def test_a_folder_that_is_registry_and_shipped_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shipped_registry().parent)
    assert registries()[0] == Path("registry")
    assert len({place.resolve() for place in registries()}) == len(registries())


def test_add_copies_a_ticket_once_and_replaces_another_only_if_told(here: Path) -> None:
    made = save_ticket(here / "runs" / "try" / NAME)
    (made / "README.md").write_text("a card\n")
    added = add_ticket(made)
    assert added == Path("registry", NAME) == add_ticket(str(made))
    assert (added / "README.md").read_text() == "a card\n"
    assert [folder.name for folder in ticket_folders("registry")] == [NAME]
    (added / "seed-0" / "masks.safetensors").write_bytes(b"damaged")
    assert equal(Ticket.from_pretrained(add_ticket(made)), Ticket.from_pretrained(made))
    other = make_ticket(replicates=make_ticket_of_seeds(1)).save_pretrained(here / "other")
    with pytest.raises(RegistryError, match=r"registry/lenet\.digits-imp: holds another ticket; --replace"):
        add_ticket(other)
    add_ticket(other, replace=True)
    assert equal(load_ticket(NAME), Ticket.from_pretrained(other))
    (other / "seed-1" / "masks.safetensors").write_bytes(b"")
    with pytest.raises(TicketError, match="truncated"):
        add_ticket(other, "registry-2")
    assert not Path("registry-2", NAME).exists()


def test_a_path_and_a_text_are_both_taken(here: Path) -> None:
    made = save_ticket(here / "zoo" / NAME)
    for ticket in (load_ticket(made), load_ticket(str(made)), load_ticket(NAME, registry=made.parent)):
        assert equal(ticket, Ticket.from_pretrained(str(made)))
    assert ticketzoo.verify(made) == ticketzoo.verify(f"./zoo/{NAME}") == ticketzoo.verify(NAME, registry="zoo")
    assert ticket_folder(Path("zoo", NAME)) == Path("zoo", NAME)
    with pytest.raises(RegistryError, match=f"^{NAME}: there is no such folder"):
        load_ticket(Path(NAME))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"sparsity": "0.9"}, "load_ticket: sparsity: give a number, not '0.9'"),
        ({"level": "2"}, "load_ticket: level: give a whole number, not '2'"),
        ({"level": 1.0}, "load_ticket: level: give a whole number, not 1.0: write 1"),
        ({"seed": True}, "load_ticket: seed: give a whole number, not True"),
    ],
)
def test_a_wrong_type_is_one_line(here: Path, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        load_ticket(save_ticket(here / NAME), **arguments)
    assert str(raised.value) == said


def test_other_wrong_types_are_one_line_too(here: Path) -> None:
    find: Any = ticketzoo.find
    calls: list[Any] = [
        lambda: load_ticket(3),
        lambda: ticketzoo.search("runs", sparsity="0.9"),
        lambda: ticketzoo.judge("ticket"),
        lambda: find(3),
        lambda: find(model=list, train=(), evaluate=(), training="5ep"),
    ]
    for call in calls:
        with pytest.raises(TicketzooError) as raised:
            call()
        assert "\n" not in str(raised.value)


def test_tickets_of_one_name_are_listed_by_what_each_is_loaded_by(
    here: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("installed") / "registry"
    monkeypatch.setattr("ticketzoo.zoo.places.shipped_registry", lambda: elsewhere)
    folders = [save_ticket(place / NAME) for place in (here / "registry", here / "runs" / NAME, elsewhere)]
    listed = names(ticketzoo.search())
    assert listed == [NAME, f"./runs/{NAME}/{NAME}", str(elsewhere / NAME)]
    assert [ticket_folder(name).resolve() for name in listed] == [folder.resolve() for folder in folders]


@pytest.mark.parametrize("path", ["/a/b", "../a", "~/a", "a", "a/b", ".", "..", "a/../b"])
def test_the_reference_of_a_folder_means_it(path: str) -> None:
    found = parse_reference(folder_reference(Path(path)))
    assert isinstance(found, FolderReference) and found.path == Path(path).expanduser()


def test_the_folder_of_a_run_names_the_ticket_in_it(here: Path) -> None:
    save_ticket(here / "runs" / "try" / NAME)
    with pytest.raises(RegistryError, match=f"runs/try: holds no ticket; say ./runs/try/{NAME}$"):
        ticket_folder("./runs/try")
    with pytest.raises(RegistryError, match="runs/none: there is no such folder; find one first"):
        ticket_folder("./runs/none")


def test_add_takes_the_name_of_a_run_before_that_of_a_registry(here: Path) -> None:
    old = save_ticket(here / "registry" / NAME)
    new = make_ticket(replicates=make_ticket_of_seeds(1)).save_pretrained(here / "runs" / "try" / NAME)
    command = CliRunner()
    refused = command.invoke(app, ["add", NAME])
    assert isinstance(refused.exception, RegistryError) and "holds another ticket" in str(refused.exception)
    assert command.invoke(app, ["add", NAME, "--replace"]).stdout.splitlines() == [f"registry/{NAME}"]
    assert equal(Ticket.from_pretrained(old), Ticket.from_pretrained(new))
    for wrong, said in (("lenet.digit-imp", f"did you mean {NAME}"), ("owner/name", "ticketzoo pull owner/name")):
        assert said in str(command.invoke(app, ["add", wrong]).exception)
