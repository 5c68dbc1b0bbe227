"""A ticket on a module of a model, on layers with other names, and on what other libraries put around them."""

from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from tiny_bert import make_ticket, random_masks, save_tiny_bert, tiny_bert, tokens
from torch import Tensor, nn
from toy_ticket import Toy, rewind_state, toy_ticket

from ticketzoo import Ticket, check
from ticketzoo.errors import TicketError
from ticketzoo.masks.checks import attached_masks, strayed
from ticketzoo.ticket import Found
from ticketzoo.ticket.base import BaseWeights


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


class Around(nn.Module):
    """As a Lightning module is: the network is a part of it, which is called, not the module itself."""

    def __init__(self, net: nn.Module | None = None) -> None:
        super().__init__()
        self.net = net or Toy()
        self.score = nn.Linear(1, 1)

    def training_step(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.score(self.net(x))).sum()


class Other(nn.Module):
    """Toy's layers under other names."""

    def __init__(self) -> None:
        super().__init__()
        self.lower = nn.Sequential(nn.Linear(5, 2), nn.BatchNorm1d(2))
        self.upper = nn.Linear(2, 1)


NAMES = {"fc1": "lower.0", "norm": "lower.1", "fc2": "upper"}


def test_on_a_module_of_the_model() -> None:
    ticket, model = toy_ticket(), Around()
    ticket.apply(model, prefix="net")
    assert same(dict(model.net.state_dict()), ticket.rewind_state)
    assert same(attached_masks(model) or {}, {f"net.{name}": mask for name, mask in ticket.masks.items()})
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model.training_step(torch.randn(8, 5)).backward()
    optimizer.step()
    assert strayed(model) == {}
    cast(Toy, model.net).fc1.weight.data.fill_(1)
    with pytest.raises(TicketError, match=r"'net\.fc1\.weight'"):
        check(model)
    ticket.reapply(model)
    check(model)
    ticket.remove(model)
    assert attached_masks(model) is None


def test_head_and_leave_are_names_inside_it() -> None:
    model = Around(Toy(classes=3))
    toy_ticket().apply(model, prefix="net", head="fc2")
    assert set(attached_masks(model) or {}) == {"net.fc1.weight"}


@pytest.mark.parametrize(
    "rename",
    [NAMES, lambda name: NAMES[name.partition(".")[0]] + "." + name.partition(".")[2]],
    ids=["names", "function"],
)
def test_on_layers_with_other_names(rename: Any) -> None:
    ticket, model = toy_ticket(), Other()
    ticket.apply(model, rename=rename)
    assert torch.equal(model.lower[0].weight, ticket.rewind_state["fc1.weight"])
    assert torch.equal(model.lower[1].running_mean, ticket.rewind_state["norm.running_mean"])
    assert same(
        attached_masks(model) or {}, dict(zip(["lower.0.weight", "upper.weight"], ticket.masks.values(), strict=True))
    )
    ticket.apply(model, rename=NAMES | {"fc1.weight": "lower.0.weight"}, rewind=False)


def test_a_longer_name_goes_before_a_shorter_one() -> None:
    model = nn.Module()
    model.first, model.second = nn.Linear(5, 2), nn.Linear(2, 1)
    model.bias = nn.Parameter(torch.zeros(2))
    model.first.register_parameter("bias", None)
    model.norm = nn.BatchNorm1d(2)
    toy_ticket().apply(model, rename={"fc1": "first", "fc1.bias": "bias", "fc2": "second"})
    assert model.bias.tolist() == rewind_state()["fc1.bias"].tolist()


@pytest.mark.parametrize(
    ("model", "keys", "message"),
    [
        (Around, {}, r"not in the model: .*; the ticket fits its module 'net': pass prefix='net'$"),
        (lambda: Around(Toy(3)), {}, r"the ticket fits its module 'net': pass prefix='net'$"),
        (lambda: Around(Around()), {}, r"the ticket fits its module 'net\.net': pass prefix='net\.net'$"),
        (Other, {}, r"its layers have the shapes of the ticket's.* rename=\{'fc1': 'lower\.0', 'fc2': 'upper'\}$"),
        (Around, {"prefix": "nets"}, "prefix 'nets' is not the name of a module in the model, which has net, score"),
        (Other, {"rename": NAMES | {"fc3": "upper"}}, "rename has 'fc3', which is no module or tensor of the ticket"),
        (Other, {"rename": {"fc1": "upper", "fc2": "upper"}}, r"gives two tensors .* the name 'upper\.(weight|bias)'"),
        (lambda: nn.Linear(4, 4), {}, "not in the ticket: weight, bias$"),
    ],
)  # fmt: skip
def test_what_does_not_fit_says_what_would(model: Callable[[], nn.Module], keys: Any, message: str) -> None:
    with pytest.raises(TicketError, match=message):
        toy_ticket().apply(model(), **keys)


@pytest.fixture(scope="module")
def encoder_ticket(tmp_path_factory: pytest.TempPathFactory) -> Ticket:
    folder = tmp_path_factory.mktemp("encoder")
    weights = BaseWeights.from_folder(save_tiny_bert(folder / "base", "fill-mask"), "big/bert", "1" * 40)
    return make_ticket(replicates=[Found(0, {1: random_masks()})], base=weights)


def test_base_weights_are_handed_out_as_copies(encoder_ticket: Ticket) -> None:
    before = encoder_ticket.base_state or {}
    for tensor in (encoder_ticket.base_state or {}).values():
        tensor.zero_()
    assert same(encoder_ticket.base_state or {}, before)


def test_an_encoder_inside_says_which_module_it_is(encoder_ticket: Ticket) -> None:
    model = Around(tiny_bert("text-classification"))
    with pytest.raises(TicketError, match=r"not in the model: [^,]+, [^,]+, [^,]+, [^,]+ and \d+ more.*prefix='net'$"):
        encoder_ticket.apply(model)
    encoder_ticket.apply(model, prefix="net")
    assert len(attached_masks(model) or {}) == len(encoder_ticket.masks)


@pytest.mark.slow
def test_on_a_sentence_transformer(encoder_ticket: Ticket) -> None:
    library = pytest.importorskip("sentence_transformers")
    model = library.SentenceTransformer(modules=[Around(tiny_bert(None))])
    encoder_ticket.apply(model, prefix="0.net")
    assert {name.split(".")[0] for name in attached_masks(model) or {}} == {"0"}


def lora(model: nn.Module) -> nn.Module:
    library = pytest.importorskip("peft")
    settings = library.LoraConfig(target_modules=["query", "value"])
    return cast(nn.Module, library.get_peft_model(model, settings))


def train(model: nn.Module) -> None:
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        model(input_ids=tokens(), labels=torch.tensor([0, 1, 2, 0])).loss.backward()
        optimizer.step()


def test_under_an_adapter_of_peft_and_merged(encoder_ticket: Ticket) -> None:
    model = tiny_bert("text-classification")
    encoder_ticket.apply(model)
    adapted = lora(model)
    train(adapted)
    assert strayed(adapted) == {}
    assert len(attached_masks(adapted) or {}) == len(encoder_ticket.masks)
    merged = cast(Any, adapted).merge_and_unload()
    with pytest.raises(TicketError, match=r"query\.weight"):
        check(merged)
    merged.state_dict()
    check(merged)
    assert set(attached_masks(merged) or {}) == {f"bert.{name}" for name in encoder_ticket.masks}


def test_on_a_model_of_peft(encoder_ticket: Ticket) -> None:
    adapted = lora(tiny_bert("text-classification"))
    with pytest.raises(TicketError, match=r"pass prefix='base_model\.model'$"):
        encoder_ticket.apply(adapted)
    encoder_ticket.apply(adapted, prefix="base_model.model")
    train(adapted)
    assert strayed(adapted) == {}


def test_in_a_module_of_lightning() -> None:
    library = pytest.importorskip("lightning")

    class Module(library.LightningModule):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = Toy()

        def training_step(self, batch: list[Tensor], index: int) -> Tensor:
            return cast(Tensor, self.net(batch[0])).square().mean()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), lr=0.1)

    model = Module()
    toy_ticket().apply(model, prefix="net")
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(8, 5)), batch_size=4)
    library.Trainer(max_epochs=2, accelerator="cpu", **quiet).fit(model, data)
    check(model)
    assert not torch.equal(model.net.fc1.weight, rewind_state()["fc1.weight"])
