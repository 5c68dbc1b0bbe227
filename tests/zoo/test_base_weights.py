"""Tickets that hold masks alone and rewind to the weights of a model on the Hub."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from hub_server.fixtures import LocalHub
from safetensors.torch import save
from toy_zoo import KWARGS, ZOO, equal, found, make_ticket

from ticketzoo import Ticket, load_ticket
from ticketzoo.errors import ModelError, RegistryError, TicketError
from ticketzoo.masks.digests import state_sha256
from ticketzoo.models import create_model
from ticketzoo.ticket import BaseWeights, Found
from ticketzoo.zoo.pull import pull_ticket
from ticketzoo.zoo.verify import verify_ticket

BASE = "big/model"
STATE = create_model("lenet-300-100", seed=9, **KWARGS).state_dict()
WHOLE = {"model.safetensors": save(STATE), "config.json": b"{}", "pytorch_model.bin": b"never opened"}


def sharded() -> dict[str, bytes]:
    names = list(STATE)
    shards = {"model-00001-of-00002.safetensors": names[:2], "model-00002-of-00002.safetensors": names[2:]}
    files = {shard: save({name: STATE[name] for name in held}) for shard, held in shards.items()}
    index = {"metadata": {}, "weight_map": {name: shard for shard, held in shards.items() for name in held}}
    return {**files, "model.safetensors.index.json": json.dumps(index).encode()}


def masks_alone(seed: int) -> Found:
    return Found(seed, found(seed).levels)


@pytest.fixture
def ticket(hub: LocalHub) -> Ticket:
    hub.login("alice")
    hub.create(BASE, WHOLE)
    return make_ticket(replicates=[masks_alone(0), masks_alone(1)], base=BaseWeights.from_hub(BASE))


def test_a_ticket_by_reference_names_the_commit_and_holds_no_weights(
    hub: LocalHub, ticket: Ticket, tmp_path: Path
) -> None:
    folder = ticket.save_pretrained(tmp_path / "t")
    rewind = json.loads((folder / "ticket.json").read_text())["rewind"]
    assert (rewind["kind"], rewind["repo_id"], rewind["revision"]) == ("base", BASE, hub.repo(BASE).find().oid)
    assert not list(folder.rglob("rewind.safetensors"))
    assert verify_ticket(folder)
    loaded = Ticket.from_pretrained(folder, level=1)
    assert equal(loaded, ticket.at(level=1))
    kept = loaded.masks["fc1.weight"]
    assert torch.equal(loaded.rewind_state["fc1.weight"], STATE["fc1.weight"] * kept)
    assert torch.equal(loaded.rewind_state["fc1.bias"], STATE["fc1.bias"])
    assert torch.equal(loaded.build().fc1.weight, STATE["fc1.weight"] * kept)


def test_by_reference_end_to_end(hub: LocalHub, ticket: Ticket, tmp_path: Path) -> None:
    ticket.push_to_hub(ZOO)
    assert b"base_model: big/model" in hub.repo(ZOO).files()["README.md"]
    copy, _ = pull_ticket(ZOO, tmp_path / "copy")
    hub.repo(BASE).write({"model.safetensors": save({name: tensor + 1 for name, tensor in STATE.items()})})
    hub.requests.clear()
    loaded = load_ticket(ZOO, cache_dir=tmp_path / "cache")
    assert not hub.calls("*", "*big/model*")  # the weights come once they are asked for, and not for masks
    assert equal(loaded, ticket)
    with hub.down():
        assert equal(load_ticket(ZOO, cache_dir=tmp_path / "cache", local_files_only=True), ticket)
    assert equal(Ticket.from_pretrained(copy, cache_dir=tmp_path / "cache", local_files_only=True), ticket)


def test_weights_in_several_files(hub: LocalHub, ticket: Ticket, tmp_path: Path) -> None:
    hub.create("big/sharded", sharded())
    base = BaseWeights.from_hub("big/sharded")
    assert base.sha256 == BaseWeights.from_hub(BASE).sha256
    again = make_ticket(replicates=[masks_alone(0)], base=base).save_pretrained(tmp_path / "t")
    assert equal(Ticket.from_pretrained(again), ticket)


def test_base_weights_damaged_in_the_cache_are_fetched_again(hub: LocalHub, ticket: Ticket, tmp_path: Path) -> None:
    folder = ticket.save_pretrained(tmp_path / "t")
    cache = tmp_path / "cache"
    assert Ticket.from_pretrained(folder, cache_dir=cache).rewind_state
    (blob,) = (path for path in cache.glob("models--*/snapshots/*/model.safetensors"))
    content = blob.read_bytes()
    blob.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with hub.down(), pytest.raises(RegistryError, match=r"big/model@.*damaged.*force_download=True"):
        _ = Ticket.from_pretrained(folder, cache_dir=cache, local_files_only=True).rewind_state
    assert equal(Ticket.from_pretrained(folder, cache_dir=cache), ticket)


def test_other_weights_than_the_tickets_are_explained(hub: LocalHub, ticket: Ticket, tmp_path: Path) -> None:
    folder = ticket.save_pretrained(tmp_path / "t")
    content = json.loads((folder / "ticket.json").read_text())
    content["rewind"]["sha256"] = "0" * 64
    (folder / "ticket.json").write_text(json.dumps(content))
    with pytest.raises(
        TicketError, match=rf"hub:big/model@[0-9a-f]{{40}}: .*says {'0' * 64}, .* made with other weights"
    ):
        _ = Ticket.from_pretrained(folder).rewind_state


def test_a_base_that_is_gone(hub: LocalHub, ticket: Ticket, tmp_path: Path) -> None:
    folder = ticket.save_pretrained(tmp_path / "t")
    hub.repo(BASE).private = True
    assert Ticket.from_pretrained(folder, cache_dir=tmp_path / "cache").masks
    with pytest.raises(RegistryError, match=r"big/model@.*no such repository"):
        _ = Ticket.from_pretrained(folder, cache_dir=tmp_path / "cache").rewind_state


def test_models_without_safetensors_are_refused_whatever_else_they_have(hub: LocalHub) -> None:
    hub.create("old/model", {"pytorch_model.bin": b"\x80\x04pickle", "config.json": b"{}"})
    with pytest.raises(RegistryError, match=r"old/model@.* no model.safetensors or model.safetensors.index.json"):
        BaseWeights.from_hub("old/model")
    assert not hub.calls("GET", "*pytorch_model.bin")


@pytest.mark.parametrize(
    "shard", ["../../etc/passwd", "/etc/passwd", "a/b.safetensors", "C:\\x.safetensors", "x.bin", 7]
)
def test_an_index_leads_nowhere_else(hub: LocalHub, shard: object) -> None:
    index = {"weight_map": {"fc1.weight": shard}}
    hub.create("evil/model", {"model.safetensors.index.json": json.dumps(index).encode()})
    with pytest.raises(TicketError, match=r"evil/model@.*is not the name of a safetensors file beside it"):
        BaseWeights.from_hub("evil/model")


def test_an_index_that_promises_what_is_not_there(hub: LocalHub) -> None:
    index = json.dumps({"weight_map": {"fc1.weight": "model.safetensors", "fc9.weight": "model.safetensors"}}).encode()
    shards = {"model.safetensors.index.json": index.replace(b"model.s", b"shard.s"), "shard.safetensors": save(STATE)}
    hub.create("evil/model", shards)
    with pytest.raises(TicketError, match=r"evil/model@.*has no tensor 'fc9.weight'"):
        BaseWeights.from_hub("evil/model")


def test_weights_are_given_one_way(hub: LocalHub, ticket: Ticket) -> None:
    base = BaseWeights.from_hub(BASE)
    with pytest.raises(TicketError, match=r"seed 0: give one of a rewind state, .* or base weights"):
        make_ticket(replicates=[found(0)], base=base)
    with pytest.raises(TicketError, match=r"seed 0: give one of a rewind state, .* or base weights"):
        make_ticket(replicates=[masks_alone(0)])
    narrow = BaseWeights(BASE, base.revision, {**base.state, "fc1.weight": torch.zeros(2, 2)})
    with pytest.raises(TicketError, match=r"'fc1.weight' has shape \(2, 2\)"):
        make_ticket(replicates=[masks_alone(0)], base=narrow)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 783\n"


def test_a_git_lfs_pointer_is_no_weights(hub: LocalHub, tmp_path: Path) -> None:
    hub.create("big/pointer").write({".gitattributes": b"\n"})
    hub.repo("big/pointer").write({"model.safetensors": POINTER})
    (tmp_path / "model.safetensors").write_bytes(POINTER)
    for read in (
        lambda: BaseWeights.from_hub("big/pointer"),
        lambda: BaseWeights.from_folder(tmp_path, BASE, "a" * 40),
    ):
        with pytest.raises(TicketError, match=r"model.safetensors: is a Git LFS pointer, not the file itself: run `"):
            read()


def test_nan_in_base_weights_is_said_once_and_where(hub: LocalHub, ticket: Ticket, tmp_path: Path) -> None:
    """Whoever made the ticket: it names the model, the file and the tensor, and nothing is fetched again for it."""
    spoiled = {name: tensor.clone() for name, tensor in STATE.items()}
    spoiled["fc1.weight"][0, 0] = float("nan")
    commit = hub.create("big/nan", {"model.safetensors": save(spoiled)}).find().oid
    words = rf"hub:big/nan@{commit}: model.safetensors: 'fc1.weight' holds NaN in 1 of 240 values: .*another model"
    with pytest.raises(ModelError, match=words):
        BaseWeights.from_hub("big/nan")
    folder = ticket.save_pretrained(tmp_path / "t")
    content = json.loads((folder / "ticket.json").read_text())
    content["rewind"] |= {"repo_id": "big/nan", "revision": commit, "sha256": state_sha256(spoiled)}
    (folder / "ticket.json").write_text(json.dumps(content))
    hub.requests.clear()
    with pytest.raises(ModelError, match=words):
        Ticket.from_pretrained(folder, cache_dir=tmp_path / "cache").build()
    assert len(hub.calls("GET", "/files/*")) == 1


def test_a_ticket_by_reference_can_be_sent_to_another_process(hub: LocalHub, ticket: Ticket, tmp_path: Path) -> None:
    token = hub.token("alice")
    loaded = Ticket.from_pretrained(ticket.save_pretrained(tmp_path / "t"), token=token)
    assert equal(loaded, ticket)
    sent = pickle.dumps(loaded)
    assert token.encode() not in sent
    assert equal(pickle.loads(sent), ticket)
