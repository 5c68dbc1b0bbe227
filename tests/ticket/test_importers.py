"""Files as other projects write them become tickets; what cannot be one is refused in one line."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import prune
from typer.testing import CliRunner

from ticketzoo import Ticket, load_ticket
from ticketzoo.bridges.checkpoint import _unwrapped, open_source
from ticketzoo.bridges.formats import guess, names
from ticketzoo.cli.main import app
from ticketzoo.errors import TicketError
from ticketzoo.ticket.bring import named_base
from ticketzoo.zoo.verify import verify_ticket


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


STATE = {name: tensor.detach() for name, tensor in net().state_dict().items()}
MASKS = {"0.weight": torch.arange(12).view(4, 3) % 3 != 0, "2.weight": torch.arange(8).view(2, 4) % 2 == 0}


def zeroed(state: dict[str, Tensor] = STATE) -> dict[str, Tensor]:
    return {name: one * MASKS[name] if name in MASKS else one.clone() for name, one in state.items()}


def apply(ticket: Ticket) -> dict[str, Tensor]:
    model = net()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    ticket.apply(model)
    return dict(model.state_dict())


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    save_file(STATE, tmp_path / "base.safetensors")
    return tmp_path / "base.safetensors"


def checked(path: Path, name: str, **options: Any) -> Ticket:
    """The ticket of a file that is told to be of this format, whose masks and network are as they should."""
    assert guess(open_source(path)).name == name
    ticket = Ticket.from_file(path, **options)
    assert all(torch.equal(ticket.masks[key], mask) for key, mask in MASKS.items())
    assert equal(apply(ticket), zeroed())
    return ticket


def test_files_of_a_ticket_are_no_files_of_another_tool(tmp_path: Path) -> None:
    """Its masks look like those of several tasks; alone they are known by how they are encoded."""
    folder = Ticket.from_masks(MASKS, net(), name="net.given").save_pretrained(tmp_path / "net.given")
    load = r"load the folder with load_ticket\('[^']*net.given'\)$"
    for path in (folder, folder / "seed-0", *(folder / "seed-0").iterdir()):
        with pytest.raises(TicketError, match="this is a ticket.*: " + load):
            Ticket.from_file(path)
    alone = tmp_path / "mine.safetensors"
    alone.write_bytes((folder / "seed-0" / "masks.safetensors").read_bytes())
    done = CliRunner().invoke(app, ["import", str(alone), str(tmp_path / "out")])
    assert isinstance(done.exception, TicketError)
    assert str(done.exception).endswith(
        "this is a ticket's own file: load the folder it was in with load_ticket(FOLDER)"
    )


class Name(str):
    """A name that counts how often its parts are looked at."""

    looked = 0

    def rpartition(self, separator: str) -> tuple[str, str, str]:
        Name.looked += 1
        return super().rpartition(separator)


def test_names_are_unwrapped_group_by_group_and_each_is_looked_at_a_few_times() -> None:
    """As many dicts in a file as there are names; those of one keep what not all in it have."""
    tensors = {Name(f"{group}/module._orig_mod.weight"): torch.ones(1) for group in range(300)}
    tensors |= {Name("0/module._orig_mod.bias"): torch.ones(1), Name("1/bias"): torch.ones(1)}
    found = list(_unwrapped(tensors))
    assert found[:3] == ["0/weight", "1/module._orig_mod.weight", "2/weight"]
    assert found[-2:] == ["0/bias", "1/bias"]
    assert Name.looked <= 3 * len(tensors)


def test_pairs_of_torch_prune_as_a_training_saves_them(tmp_path: Path) -> None:
    model = net()
    for name, mask in MASKS.items():
        prune.custom_from_mask(model.get_submodule(name[0]), "weight", mask)
    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3, "best_acc1": 0.5, "arch": "net"}, tmp_path / "checkpoint.pth.tar")
    checked(tmp_path / "checkpoint.pth.tar", "torch-prune")


def test_masks_of_open_lth_over_its_weights(tmp_path: Path) -> None:
    torch.save({name: mask.int() for name, mask in MASKS.items()}, tmp_path / "mask.pth")
    torch.save(STATE, tmp_path / "model_ep0_it0.pth")
    checked(tmp_path / "mask.pth", "masks", base=tmp_path / "model_ep0_it0.pth")
    with pytest.raises(TicketError, match=r"mask.pth: holds masks alone, and no weights: give the weights \(--base"):
        Ticket.from_file(tmp_path / "mask.pth")


def test_masks_of_bert_tickets(tmp_path: Path, base: Path) -> None:
    torch.save({f"{name}_mask": mask.float() for name, mask in MASKS.items()}, tmp_path / "mask.pt")
    checked(tmp_path / "mask.pt", "bert-tickets", base=base)


def test_a_level_of_turboprune(tmp_path: Path) -> None:
    state = STATE | {name.replace("weight", "mask"): mask.float() for name, mask in MASKS.items()}
    torch.save({f"_orig_mod.{name}": one for name, one in state.items()}, tmp_path / "model_level_3.pt")
    checked(tmp_path / "model_level_3.pt", "turboprune")


def test_scores_of_edge_popup(tmp_path: Path) -> None:
    order = {"0.weight": torch.tensor([5.0, -3, 0.1]).repeat(4), "2.weight": torch.arange(8.0)}
    state = STATE | {f"{name[0]}.scores": one.view(STATE[name].shape) for name, one in order.items()}
    torch.save({"state_dict": {f"module.{name}": one for name, one in state.items()}}, tmp_path / "model_best.pth")
    assert guess(open_source(tmp_path / "model_best.pth")).name == "edge-popup"
    ticket = Ticket.from_file(tmp_path / "model_best.pth", keep=0.5)
    assert ticket.masks["0.weight"].sum() == 6  # 12 - int(0.5 * 12), the 5s and two of the -3s
    assert ticket.masks["0.weight"][:, 0].all()
    assert ticket.masks["2.weight"].flatten().tolist() == [False] * 4 + [True] * 4
    with pytest.raises(TicketError, match="scores alone do not say how many weights stay: give --keep"):
        Ticket.from_file(tmp_path / "model_best.pth")


def test_a_sharded_checkpoint_with_zeros(tmp_path: Path) -> None:
    state, names = zeroed(), [["0.weight", "0.bias"], ["2.weight", "2.bias"]]
    places = {name: f"model-{number}.safetensors" for number, part in enumerate(names) for name in part}
    for number, part in enumerate(names):
        save_file({name: state[name] for name in part}, tmp_path / f"model-{number}.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    checked(tmp_path, "zeros")
    (tmp_path / "model-1.safetensors").unlink()
    with pytest.raises(TicketError, match=r"shard model-1.safetensors is missing \(1 of 2\): fetch it too"):
        Ticket.from_file(tmp_path)


def test_tall_masks_over_their_base(tmp_path: Path, base: Path) -> None:
    whole = {name: MASKS.get(name, torch.ones_like(one, dtype=torch.bool)) for name, one in sorted(STATE.items())}
    string = np.packbits(torch.cat([one.flatten() for one in whole.values()]).numpy())
    torch.save({"Cars": string, "MNIST": ~string}, tmp_path / "TALL_mask_2task.npy")
    assert guess(open_source(tmp_path / "TALL_mask_2task.npy")).name == "tall"
    ticket = Ticket.from_file(tmp_path / "TALL_mask_2task.npy", base=base, task="Cars")
    assert ticket.kind == "frozen"
    assert all(torch.equal(ticket.masks[name], mask) for name, mask in whole.items())
    with pytest.raises(TicketError, match=r"masks of several tasks: give --task Cars\|MNIST"):
        Ticket.from_file(tmp_path / "TALL_mask_2task.npy", base=base)


def new_values() -> dict[str, Tensor]:
    return {name: one + 0.5 * MASKS[name] if name in MASKS else one.clone() for name, one in STATE.items()}


def adapter(folder: Path, kind: str, tensors: dict[str, Tensor]) -> Path:
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": kind, "target_modules": ["0", "2"]}))
    return folder


def shira() -> dict[str, Tensor]:
    tensors = {}
    for name, mask in MASKS.items():
        tensors[f"base_model.model.{name[0]}.shira_weight"] = torch.full((int(mask.sum()),), 0.5)
        tensors[f"base_model.model.{name[0]}.shira_indices"] = torch.stack(torch.where(mask)).int()
    return tensors


def flat(values: str, indices: str, first: str = "", weight: str = "") -> dict[str, Tensor]:
    tensors = {}
    for name, mask in MASKS.items():
        tensors[f"{first}{name[0]}{weight}.{values}"] = torch.full((int(mask.sum()),), 0.5)
        tensors[f"{first}{name[0]}{weight}.{indices}"] = mask.flatten().nonzero().flatten().int()
    return tensors


def test_adapters_of_peft_become_deltas(tmp_path: Path, base: Path) -> None:
    one = adapter(tmp_path / "one", "SHIRA", shira())
    two = adapter(
        tmp_path / "two", "SUPERTUNING", flat("supertuning_values", "supertuning_indices", "base_model.model.")
    )
    for folder, name in ((one, "shira"), (two, "supertuning")):
        assert guess(open_source(folder)).name == name
        ticket = Ticket.from_file(folder, base=base)
        assert ticket.kind == "delta"
        assert all(torch.equal(ticket.masks[key], mask) for key, mask in MASKS.items())
        assert equal(apply(ticket), new_values())


@pytest.mark.parametrize("encoding", ["raw", "gap_delta"])
def test_a_patch_as_trl_writes_it(tmp_path: Path, base: Path, encoding: str) -> None:
    tensors = {}
    for name, mask in MASKS.items():
        places = mask.flatten().nonzero().flatten()
        gaps = (places - torch.cat([torch.tensor([-1]), places[:-1]]) - 1).to(torch.uint16)
        tensors[f"{name}.idx"] = gaps if encoding == "gap_delta" else places.int()
        tensors[f"{name}.val"] = new_values()[name].flatten()[places]
    save_file(tensors, tmp_path / "patch.safetensors", {"encoding": encoding, "sparse": "True"})
    assert guess(open_source(tmp_path / "patch.safetensors")).name == "patch"
    assert equal(apply(Ticket.from_file(tmp_path / "patch.safetensors", base=base)), new_values())


def test_a_patch_by_indices_and_values(tmp_path: Path, base: Path) -> None:
    tensors = flat("values", "indices", weight=".weight")
    save_file(tensors, tmp_path / "patch.safetensors")
    ticket = Ticket.from_file(tmp_path / "patch.safetensors", base=base)
    assert (apply(ticket)["0.weight"][MASKS["0.weight"]] == 0.5).all()


def test_the_command_says_which_format_it_took(tmp_path: Path, base: Path) -> None:
    torch.save({name: mask.int() for name, mask in MASKS.items()}, tmp_path / "mask.pth")
    words = ["import", str(tmp_path / "mask.pth"), str(tmp_path / "mine"), "--base", str(base)]
    done = CliRunner().invoke(app, [*words, "--json", "--masked", "frozen", "--license", "mit"], catch_exceptions=False)
    told = json.loads(done.stdout)
    assert (told["format"], told["kind"], told["parameters"]) == ("masks", "frozen", 2)
    assert load_ticket(tmp_path / "mine").config.license == "mit"
    assert any(check.holds.startswith("NOTE: how it was found") for check in verify_ticket(tmp_path / "mine"))
    listed = CliRunner().invoke(app, ["import", "--list"]).stdout
    assert [line.split()[0] for line in listed.splitlines()] == names()
    with pytest.raises(TicketError, match=r"--base owner/name: name the whole commit that .* is a copy of"):
        named_base("owner/name", tmp_path)


def test_a_copy_of_a_base_is_named_by_its_commit(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "model.safetensors")
    save_file({"0.weight.idx": torch.tensor([3]), "0.weight.val": torch.ones(1)}, tmp_path / "patch.safetensors")
    base = named_base(f"lab/net@{'1' * 40}", tmp_path)
    ticket = Ticket.from_file(tmp_path / "patch.safetensors", base=base)
    assert ticket.config.rewind.kind == "base"
    assert apply(ticket)["0.weight"][1, 0] == 1


class Other:
    """Something that only pickle could load."""


def damaged(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    outside, nan, short = shira(), shira(), shira()
    outside["base_model.model.0.shira_indices"][0, 0] = 4
    nan["base_model.model.0.shira_weight"][0] = torch.nan
    short["base_model.model.0.shira_weight"] = torch.zeros(2)
    twice = {"0.weight.indices": torch.tensor([1, 1]), "0.weight.values": torch.zeros(2)}
    files = {"twice": twice, "absent": {"9.weight.idx": torch.tensor([0]), "9.weight.val": torch.zeros(1)}}
    files |= {"far": {"0.weight.idx": torch.tensor([12]), "0.weight.val": torch.zeros(1)}, "dense": STATE}
    for name, tensors in files.items():
        save_file(tensors, tmp_path / f"{name}.safetensors")
    torch.save({"model": Other()}, tmp_path / "code.pth")
    torch.save({"a.weight_mask": torch.full((2, 2), 0.5)}, tmp_path / "half.pth")
    torch.save({"x": torch.zeros(1).expand(10**7)}, tmp_path / "bomb.pth")
    (tmp_path / "text.pth").write_text("not a file of torch")
    with zipfile.ZipFile(tmp_path / "zip.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zip/data/0", bytes(10**7))
    return {
        "outside": (adapter(tmp_path / "outside", "SHIRA", outside), r"'0.weight' has indices outside \(4, 3\)"),
        "nan": (adapter(tmp_path / "nan", "SHIRA", nan), "holds NaN or infinity in 1 of 8 new values"),
        "short": (adapter(tmp_path / "short", "SHIRA", short), "'0' has 8 indices and 2 values"),
        "twice": (tmp_path / "twice.safetensors", "'0.weight' has an index twice"),
        "absent": (tmp_path / "absent.safetensors", "'9.weight' is no parameter of the base"),
        "far": (tmp_path / "far.safetensors", "'0.weight' has indices outside its 12 weights"),
        "dense": (tmp_path / "dense.safetensors", "no weight of it is 0.0: it is dense"),
        "pickle": (
            tmp_path / "code.pth",
            r"code\.pth: needs pickle, which runs code, and is not read \(it asks for [\w.]+\): ",
        ),
        "half": (tmp_path / "half.pth", "'a.weight_mask' is no mask: it has values other than 0 and 1"),
        "bomb": (tmp_path / "bomb.pth", "its tensors would take 40000000 bytes, and the file has"),
        "zip": (tmp_path / "zip.pth", "would unpack to 10000000 bytes, and the file has"),
        "text": (tmp_path / "text.pth", "text.pth: (needs pickle|cannot be read as a .pth)"),
        "missing": (tmp_path / "none.pth", "none.pth: there is no such file or folder"),
    }


@pytest.mark.parametrize(
    "which",
    ["outside", "nan", "short", "twice", "absent", "far", "dense", "pickle", "half", "bomb", "zip", "text", "missing"],
)
def test_damage_is_named_in_one_line(tmp_path: Path, base: Path, which: str) -> None:
    path, message = damaged(tmp_path)[which]
    with pytest.raises(TicketError, match=message) as raised:
        Ticket.from_file(path, base=base)
    assert "\n" not in str(raised.value)


def test_a_base_that_is_needed_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(
        TicketError, match=r"a SHiRA adapter of peft: give its base \(--base FOLDER or owner/name@commit\)"
    ):
        Ticket.from_file(adapter(tmp_path / "one", "SHIRA", shira()))
    with pytest.raises(TicketError, match="unknown format of masks 'shirra'; did you mean shira"):
        Ticket.from_file(tmp_path / "one", format="shirra")
