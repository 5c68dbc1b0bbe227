"""A pruned tiny Llama, brought, trained by the Trainer with LoRA, under FSDP2 and otherwise: every zero stays one."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from launched import results_of
from torch import Tensor, nn

from ticketzoo import Ticket, TicketCallback, check, load_ticket
from ticketzoo.masks.checks import strayed
from ticketzoo.ticket import BaseWeights

pytestmark = pytest.mark.slow

SIZES: dict[str, Any] = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
SIZES |= {"num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": False}
TEXTS = torch.randint(0, 64, (40, 8), generator=torch.Generator().manual_seed(1))
DATA = [{"input_ids": text, "labels": text} for text in TEXTS]


def llama(seed: int = 0) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(**SIZES))


def pruned() -> Any:
    """Half of each row's weights is 0.0, those of least magnitude times the norm of their input, as Wanda has it."""
    model = llama()
    seen: dict[str, Tensor] = {}

    def look(name: str) -> Any:
        return lambda module, inputs, output: seen.__setitem__(name, inputs[0].flatten(0, -2).norm(dim=0))

    layers = {name: part for name, part in model.model.named_modules() if isinstance(part, nn.Linear)}
    hooks = [part.register_forward_hook(look(name)) for name, part in layers.items()]
    with torch.no_grad():
        model(input_ids=TEXTS[:8])
        for name, part in layers.items():
            least = (part.weight.abs() * seen[name]).argsort(dim=1)[:, : part.in_features // 2]
            part.weight.scatter_(1, least, 0)
    for hook in hooks:
        hook.remove()
    return model


def zeros(model: nn.Module) -> dict[str, int]:
    return {name: int((one == 0).sum()) for name, one in model.named_parameters() if name.endswith("proj.weight")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pruned")
    pruned().save_pretrained(place)
    return place


def trainer(model: Any, folder: Path, ticket: Ticket | None, **keys: Any) -> Any:
    from transformers import Trainer, TrainingArguments

    settings: dict[str, Any] = {"output_dir": str(folder), "max_steps": 10, "per_device_train_batch_size": 4}
    settings |= {"learning_rate": 0.01, "weight_decay": 0.1, "report_to": "none", "disable_tqdm": True, "use_cpu": True}
    callbacks = [TicketCallback(ticket, rewind=False)] if ticket else []
    return Trainer(model, TrainingArguments(**settings | keys), train_dataset=DATA, callbacks=callbacks)


def test_the_trainer_with_lora_merged_leaves_every_layer_as_sparse(folder: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    ticket = load_ticket(Ticket.from_zeros(folder).save_pretrained(tmp_path / "ticket"))
    model = AutoModelForCausalLM.from_pretrained(folder)
    before = zeros(model)
    assert len(before) == 14
    ticket.apply(model)
    start = {name: one.clone() for name, one in model.state_dict().items()}
    settings = peft.LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
    adapted = peft.get_peft_model(model, settings)
    trainer(adapted, tmp_path / "run", None).train()
    merged = adapted.merge_and_unload()
    merged.save_pretrained(tmp_path / "merged")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert zeros(again) == before
    moved = again.state_dict()
    assert (moved["model.layers.0.mlp.up_proj.weight"] != start["model.layers.0.mlp.up_proj.weight"]).any()
    assert Ticket.from_zeros(tmp_path / "merged").config.mask_sha256 == ticket.config.mask_sha256


COMPILED = {"torch_compile": True, "torch_compile_backend": "aot_eager"}


@pytest.mark.parametrize("keys", [{}, {"gradient_accumulation_steps": 2}, {"bf16": True}, COMPILED])
def test_the_trainer_with_the_callback(folder: Path, tmp_path: Path, keys: dict[str, Any]) -> None:
    model = llama(seed=1)
    ticket = Ticket.from_zeros(folder)
    ticket.apply(model)
    before = zeros(model)
    trainer(model, tmp_path, ticket, **keys).train()
    check(model)
    assert zeros(model) == before


def test_averages_of_the_weights(folder: Path) -> None:
    from torch.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn

    model = llama(seed=1)
    Ticket.from_zeros(folder).apply(model)
    before = zeros(model)
    averages = [AveragedModel(model), AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    schedule = SWALR(optimizer, swa_lr=0.05)
    for text in TEXTS[:10]:
        optimizer.zero_grad()
        model(input_ids=text[None], labels=text[None]).loss.backward()
        optimizer.step()
        schedule.step()
        for average in averages:
            average.update_parameters(model)
    assert [zeros(average.module) for average in averages] == [before, before]


def sharded(folder: str) -> dict[str, Any]:
    """Train under FSDP2 and return the zeros of the whole state, and which were there before."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    model = pruned()
    Ticket.from_zeros(folder).apply(model)
    before = zeros(model)
    mesh = init_device_mesh("cpu", (2,))
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    for text in TEXTS[:10]:
        optimizer.zero_grad()
        model(input_ids=text[None], labels=text[None]).loss.backward()
        optimizer.step()
    state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
    after = {name: int((one == 0).sum()) for name, one in state.items() if name in before}
    masks = [Ticket.from_zeros(one).config.mask_sha256 for one in (model, folder)]
    return {"before": before, "after": after, "strayed": strayed(model), "same": masks[0] == masks[1]}


def changed() -> Any:
    model = llama()
    with torch.no_grad():
        for name, one in model.named_parameters():
            one.add_((torch.rand(one.shape, generator=torch.Generator().manual_seed(len(name))) < 0.1) * 0.25)
    return model


def sharded_delta() -> dict[str, bool]:
    """Put a delta on a model that is cut up already, and take it out again."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    def whole(model: nn.Module) -> dict[str, Tensor]:
        state: dict[str, Any] = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
        return state

    def same(one: dict[str, Tensor], other: nn.Module) -> bool:
        return not one or all(torch.equal(one[name], value) for name, value in other.state_dict().items())

    ticket = Ticket.from_diff(llama(), changed())
    model = llama(seed=5)
    mesh = init_device_mesh("cpu", (2,))
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    ticket.apply(model)
    on = same(whole(model), changed())
    ticket.remove(model)
    return {"on": on, "off": same(whole(model), llama())}


def test_a_delta_under_fsdp2(tmp_path: Path) -> None:
    assert results_of(2, sharded_delta, tmp_path) == [{"on": True, "off": True}] * 2


def test_fsdp2_on_two_processes(folder: Path, tmp_path: Path) -> None:
    first, second = results_of(2, sharded, tmp_path, str(folder))
    assert first["after"] == first["before"]
    assert first["strayed"] == second["strayed"] == {}
    assert first["same"] and second["same"]  # a ticket of the zeros of a model that is cut up is that of the whole


def test_a_checkpoint_with_zeros_goes_out_and_in(folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    ticket = Ticket.from_zeros(AutoModelForCausalLM.from_pretrained(folder))
    assert str(folder).encode() not in ticket.read_file("config.json")
    ticket.export(tmp_path / "out", "transformers")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert all(torch.equal(one, other) for one, other in zip(again.parameters(), pruned().parameters(), strict=True))
    assert Ticket.from_file(tmp_path / "out").config.mask_sha256 == ticket.config.mask_sha256


@pytest.fixture
def tuned() -> Iterator[Any]:
    model = llama().bfloat16()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, one in model.named_parameters():
            if name.endswith("proj.weight"):
                one.add_((torch.rand(one.shape, generator=generator) < 0.1) * 0.25)
    return model


def test_a_delta_as_an_adapter_that_peft_loads(tuned: Any, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    base = llama().bfloat16()
    ticket = Ticket.from_diff(base, tuned)
    ticket.export(tmp_path / "adapter", "shira")
    merged = peft.PeftModel.from_pretrained(copy.deepcopy(base), tmp_path / "adapter").merge_and_unload()
    assert all(torch.equal(one, other) for one, other in zip(merged.parameters(), tuned.parameters(), strict=True))
    again = Ticket.from_file(tmp_path / "adapter", base=base)
    assert all(torch.equal(ticket.masks[name], mask) for name, mask in again.masks.items())


def test_an_adapter_that_peft_saves(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    base = llama()
    for settings in (
        peft.ShiraConfig(r=1, target_modules=["q_proj", "up_proj"], init_weights=False, random_seed=3),
        peft.SupertuningConfig(sparsity=0.9, target_modules=["q_proj", "up_proj"], init_weights=False),
    ):
        adapted = peft.get_peft_model(copy.deepcopy(base), settings)
        adapted.save_pretrained(tmp_path / type(settings).__name__)
        ticket = Ticket.from_file(tmp_path / type(settings).__name__, base=base)
        ticket.apply(model := copy.deepcopy(base))
        merged = adapted.merge_and_unload()
        assert all(torch.equal(one, other) for one, other in zip(model.parameters(), merged.parameters(), strict=True))
        ticket.remove(model)
        assert all(torch.equal(one, other) for one, other in zip(model.parameters(), base.parameters(), strict=True))


def test_a_delta_in_the_trainer_is_put_on_its_base_and_resumes(tuned: Any, tmp_path: Path) -> None:
    base = llama()
    ticket = Ticket.from_masks({name: torch.rand(one.shape) < 0.1 for name, one in base.named_parameters()
                                if name.endswith("proj.weight")}, base, masked="frozen")  # fmt: skip
    for steps in (25, 50):
        model = copy.deepcopy(base)
        keys = {"max_steps": steps, "save_steps": 25, "max_grad_norm": 0.5, "seed": 3}
        trainer(model, tmp_path, ticket, **keys).train(resume_from_checkpoint=steps == 50)
    for name, mask in ticket.masks.items():
        one, other = model.get_parameter(f"model.{name}"), base.get_parameter(f"model.{name}")
        assert torch.equal(one[~mask], other[~mask])
        assert (one[mask] != other[mask]).any()


def test_masks_of_bert_tickets_over_a_file_with_names_of_old(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file
    from transformers import BertConfig, BertForMaskedLM

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    torch.manual_seed(0)
    model = BertForMaskedLM(BertConfig(vocab_size=50, **sizes))
    model.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    old = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): one
           for name, one in state.items()}  # fmt: skip
    save_file(old | {"bert.embeddings.position_ids": torch.arange(512)[None]}, tmp_path / "model.safetensors")
    name = "bert.encoder.layer.0.output.dense.weight"
    torch.save({f"{name}_mask": (state[name] > 0).float()}, tmp_path / "mask.pt")
    base = BaseWeights.from_folder(tmp_path, "lab/bert", "1" * 40)
    for under in (tmp_path, base):
        ticket = Ticket.from_file(tmp_path / "mask.pt", base=under)
        assert list(ticket.masks) == [name.removeprefix("bert.")]
        ticket.apply(other := BertForMaskedLM(BertConfig(vocab_size=50, **sizes)))
        state[name] = state[name] * (state[name] > 0)
        assert all(torch.equal(one, other.state_dict()[key]) for key, one in state.items())
    assert ticket.config.rewind.kind == "base"


@pytest.mark.parametrize("form", ["state-dict", "torch-prune", "transformers"])
def test_the_mask_of_the_head_comes_back_with_the_others(form: str, tmp_path: Path) -> None:
    model = pruned()
    with torch.no_grad():
        model.lm_head.weight[:, ::2] = 0
    out = tmp_path / ("out" if form == "transformers" else "out.safetensors")
    ticket = Ticket.from_zeros(model)
    ticket.export(out, form)
    fresh = llama()
    Ticket.from_file(out).apply(fresh)
    check(fresh)
    assert int((fresh.lm_head.weight == 0).sum()) == 64 * 8
    assert zeros(fresh) == zeros(model)
