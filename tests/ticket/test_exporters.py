"""Tickets exported and imported again are the same, or differ as docs/bring-your-masks.md says."""

import copy
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ticketzoo import Ticket
from ticketzoo.errors import TicketError
from ticketzoo.ticket.forms import FORMS
from ticketzoo.util.files import making_folder

PAGE = Path(__file__).resolve().parents[2] / "docs" / "bring-your-masks.md"
MASKS = {"0.weight": torch.arange(32).view(8, 4) % 3 != 0, "2.weight": torch.arange(64).view(8, 8) % 2 == 0}
THE_SAME, MASKS_ALONE, WEIGHTS_ALONE, REFUSED = "the same", "masks alone", "weights alone", "refused"


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8)).bfloat16()


def tuned() -> nn.Sequential:
    model = net()
    with torch.no_grad():
        for name, mask in MASKS.items():
            model.get_parameter(name).add_(mask * torch.randn(mask.shape, generator=torch.Generator().manual_seed(1)))
    return model


def zeroed() -> nn.Sequential:
    model = net()
    with torch.no_grad():
        for name, mask in MASKS.items():
            model.get_parameter(name).mul_(mask)
    return model


TICKETS = {
    "zero": lambda: Ticket.from_zeros(zeroed()),
    "frozen": lambda: Ticket.from_masks(MASKS, net(), masked="frozen"),
    "delta": lambda: Ticket.from_diff(net(), tuned()),
}


def applied(ticket: Ticket) -> dict[str, Tensor]:
    model = copy.deepcopy(net())
    ticket.apply(model)
    return dict(model.state_dict())


def kept(ticket: Ticket) -> dict[str, Tensor]:
    return {name: mask for name, mask in ticket.masks.items() if mask.any()}


def came_back(kind: str, form: str, folder: Path) -> str:
    """In words, the ticket of `kind` after it was exported and imported over its base."""
    ticket = TICKETS[kind]()
    try:
        ticket.export(folder / "out", form)
    except TicketError:
        return REFUSED
    try:
        facts = {"masked": kind} if form == "masks" and kind != "delta" else {}
        again = Ticket.from_file(folder / "out", base=zeroed() if kind == "zero" else net(), **facts)
    except TicketError as error:
        assert "it is dense" in str(error)
        if kind == "delta":
            again = Ticket.from_diff(net(), folder / "out")
            assert torch.equal(applied(again)["0.weight"], tuned()[0].weight)
        return WEIGHTS_ALONE
    assert kept(again).keys() == kept(ticket).keys()
    assert all(torch.equal(mask, kept(ticket)[name]) for name, mask in kept(again).items())
    one, other = applied(ticket), applied(again)
    same = all(torch.equal(one[name], other[name]) for name in one)
    return THE_SAME if same and again.kind == kind else MASKS_ALONE


TABLE = {
    "masks": (THE_SAME, THE_SAME, MASKS_ALONE),
    "patch": (REFUSED, REFUSED, THE_SAME),
    "shira": (REFUSED, REFUSED, THE_SAME),
    "state-dict": (THE_SAME, WEIGHTS_ALONE, WEIGHTS_ALONE),
    "torch-prune": (THE_SAME, REFUSED, REFUSED),
    "trained": (REFUSED, REFUSED, WEIGHTS_ALONE),
    "transformers": (REFUSED, REFUSED, REFUSED),  # of networks without a config.json
}


@pytest.mark.parametrize("form", sorted(FORMS))
def test_the_way_out_and_in(form: str, tmp_path: Path) -> None:
    found = []
    for kind in TICKETS:
        (tmp_path / kind).mkdir()
        try:
            found.append(came_back(kind, form, tmp_path / kind))
        except TicketError as error:
            found.append(str(error))
    assert tuple(found) == TABLE[form]


def test_an_adapter_that_cannot_hold_the_delta_is_refused(tmp_path: Path) -> None:
    other = tuned()
    with torch.no_grad():
        other.get_parameter("0.bias").add_(1)
    with pytest.raises(TicketError, match=r"linear layers alone, and '0.bias' changes, too: export a patch"):
        Ticket.from_diff(net(), other).export(tmp_path / "out", "shira")
    with pytest.raises(TicketError, match=r"is no delta but of kind zero"):
        TICKETS["zero"]().export(tmp_path / "out", "patch")
    with pytest.raises(TicketError, match=r"freezes what its masks exclude"):
        TICKETS["frozen"]().export(tmp_path / "out", "torch-prune")
    with pytest.raises(TicketError, match=r"knows no config.json"):
        TICKETS["zero"]().export(tmp_path / "out", "transformers")


KILLED = """
import os, signal
from test_exporters import TICKETS

ticket, synced, fsync = TICKETS["delta"](), [], os.fsync

def until_the_second_file(handle):
    synced.append(handle)
    if len(synced) == 3:  # the first file, its folder, the second file
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(handle)

os.fsync = until_the_second_file
ticket.export("out", "shira")
"""


@pytest.mark.slow
def test_a_folder_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    """Killed between its files, an export leaves nothing of the name that was asked for; the next one is whole."""
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", KILLED], cwd=tmp_path, env=os.environ | {"PYTHONPATH": paths}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert [path.name[:5] for path in tmp_path.iterdir()] == [".out."]
    TICKETS["delta"]().export(tmp_path / "out", "shira")
    assert {path.name for path in (tmp_path / "out").iterdir()} == ADAPTER


def test_what_is_there_is_never_written_into(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / ".new.new").mkdir()
    (tmp_path / ".new.new" / "half").touch()
    with pytest.raises(TicketError, match=r"out: exists; choose another name$"):
        TICKETS["delta"]().export(tmp_path / "out", "shira")
    TICKETS["delta"]().export(tmp_path / "new", "shira")
    assert {path.name for path in tmp_path.rglob("*")} == {"out", ".new.new", "half", "new", *ADAPTER}


def test_two_exports_of_one_name_do_not_mix(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="not empty"), making_folder(tmp_path / "out") as slow:
        (slow / "slow").touch()
        TICKETS["delta"]().export(tmp_path / "out", "shira")
        assert {path.name for path in (tmp_path / "out").iterdir()} == ADAPTER
    assert {path.name for path in tmp_path.rglob("*")} == {"out", *ADAPTER}


ADAPTER = {"adapter_model.safetensors", "adapter_config.json"}


def test_a_patch_with_running_averages_comes_back_the_same(tmp_path: Path) -> None:
    """Averages and the count of batches have no masks, and are whole in the patch as in the delta."""
    torch.manual_seed(0)
    base = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    other = copy.deepcopy(base)
    with torch.no_grad():
        other[0].weight[0, 1] += 1
        for _, buffer in other.named_buffers():
            buffer += 2
    ticket = Ticket.from_diff(base, other)
    ticket.export(tmp_path / "patch.safetensors", "patch")
    again = Ticket.from_file(tmp_path / "patch.safetensors", base=base)
    assert {name: mask.nonzero().tolist() for name, mask in kept(again).items()} == {"0.weight": [[0, 1]]}
    again.apply(model := copy.deepcopy(base))
    assert all(torch.equal(one, other.state_dict()[name]) for name, one in model.state_dict().items())
