"""Tickets stretched to deeper networks of their family, and squeezed to shallower ones."""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_bert import CONFIG, make_ticket, random_masks, save_tiny_bert, tiny_bert
from toy_ticket import edit_config
from typer.testing import CliRunner

from ticketzoo import Ticket, verify
from ticketzoo.api.stretch import stretch_into
from ticketzoo.cli.main import app
from ticketzoo.deriving.stretch import check_stretched, stretched
from ticketzoo.deriving.units import copies
from ticketzoo.errors import ModelError, RecipeError, TicketError
from ticketzoo.masks.masks import kept
from ticketzoo.models import architecture_of, bare_names, create_from_architecture, model_state, prunable_parameters
from ticketzoo.models.stages import stages_of
from ticketzoo.targets.pretrained import pretrained_weights
from ticketzoo.ticket import BaseWeights, Found


def ticket_of(
    name: str, *, seeds: Sequence[int] = (0,), exclude: Sequence[str] = (), called: str = "", **kwargs: Any
) -> Ticket:
    """A ticket of an architecture with random masks at two nested levels, that rewinds to iteration 3."""
    architecture = architecture_of(name, kwargs)
    replicates = []
    for seed in seeds:
        model = create_from_architecture(architecture, seed)
        generator = torch.Generator().manual_seed(seed)
        for tensor in model_state(model).values():
            if tensor.is_floating_point() and tensor.dim() == 1:
                tensor.uniform_(generator=generator)
        levels: dict[int, dict[str, torch.Tensor]] = {1: {}, 3: {}}
        for weight, parameter in prunable_parameters(model, exclude=exclude).items():
            scores = torch.rand(parameter.shape, generator=generator)
            levels[1][weight], levels[3][weight] = scores < 0.6, scores < 0.2
        named = {level: bare_names(masks, model) for level, masks in levels.items()}
        replicates.append(Found(seed, named, bare_names(model_state(model), model)))
    return Ticket.create(
        name=called or f"{name.rpartition('/')[2]}.made",
        architecture=architecture,
        task="image-classification",
        source={"dataset": "numbers"},
        pruning={"method": "imp", "scope": "global", "rate": 0.2},
        replicates=replicates,
        rewind_step=3,
    )


def target(name: str, **kwargs: Any) -> dict[str, Any]:
    return architecture_of(name, kwargs)


TINY = {"in_shape": (1, 8, 8), "width": 0.125}
"""Makes a ResNet of 2, 4 and 8 channels."""


def by_source(source: int, others: int, order: str) -> dict[int, list[int]]:
    """The targets of each unit, as the paper writes maps."""
    found: dict[int, list[int]] = {}
    for number, unit in enumerate(copies(source, others, order), 1):
        found.setdefault(unit, []).append(number)
    return found


@pytest.mark.parametrize(
    ("source", "others", "append", "interpolate"),
    [
        (20, 32, {1: [1, 3], 2: [2, 4]}, {1: [1, 2], 2: [3, 4]}),
        (14, 32, {1: [1, 2, 3, 4]}, {1: [1, 2, 3, 4]}),
        (32, 44, {1: [1, 5], 2: [2, 6], 3: [3], 4: [4]}, {1: [1, 2], 2: [3, 4], 3: [5], 4: [6]}),
        (32, 56, {1: [1, 5], 2: [2, 6], 3: [3, 7], 4: [4, 8]}, {1: [1, 2], 2: [3, 4], 3: [5, 6], 4: [7, 8]}),
        (56, 32, {1: [1], 2: [2], 3: [3], 4: [4]}, {1: [1], 3: [2], 5: [3], 7: [4]}),
        (20, 20, {1: [1], 2: [2]}, {1: [1], 2: [2]}),
    ],
)
def test_maps_of_the_paper(
    source: int, others: int, append: dict[int, list[int]], interpolate: dict[int, list[int]]
) -> None:
    """A ResNet of depth d has (d - 2) / 6 blocks a stage, the first of which is never copied."""
    units = [(depth - 2) // 6 - 1 for depth in (source, others)]
    assert by_source(units[0], units[1], "append") == append
    assert by_source(units[0], units[1], "interpolate") == interpolate


@given(st.integers(1, 12), st.integers(0, 40))
def test_what_an_order_makes(source: int, others: int) -> None:
    """Copies differ by one at most, earlier units have more; fewer units and back is nothing lost of what stayed."""
    for order in ("append", "interpolate"):
        made = copies(source, others, order)
        assert len(made) == others
        if others >= source:
            times = [made.count(unit) for unit in range(1, source + 1)]
            assert times == sorted(times, reverse=True)
            assert max(times) - min(times) <= 1
            back = copies(others, source, order)
            assert [made[unit - 1] for unit in back] == list(range(1, source + 1))
        else:
            assert made == sorted(set(made))
            assert made[:1] == [1] * bool(made)


@pytest.mark.parametrize(
    ("depth", "weights"), [(14, 173_488), (20, 270_256), (32, 463_792), (44, 657_328), (56, 850_864)]
)
def test_convolution_weights_of_resnets(depth: int, weights: int) -> None:
    """A block a stage has 2 x 9 x (16^2 + 32^2 + 64^2) = 96,768; 12 of depth are two of these."""
    model = create_from_architecture(target(f"resnet-{depth}"), 0)
    assert sum(one.numel() for one in prunable_parameters(model, exclude=["fc.weight"]).values()) == weights
    assert weights == 173_488 + (depth - 14) // 6 * 96_768


@pytest.mark.parametrize(("layers", "weights"), [(1, 266_200), (2, 356_200), (3, 446_200), (4, 536_200)])
def test_weights_of_mlps(layers: int, weights: int) -> None:
    model = create_from_architecture(target("mlp", hidden=[300] * layers + [100]), 0)
    assert sum(one.numel() for one in prunable_parameters(model).values()) == weights
    assert stages_of(model)[0] == [f"fc{number}" for number in range(1, layers + 1)]


def test_an_mlp_of_one_layer_of_300_is_lenet_300_100() -> None:
    mine, lenet = (create_from_architecture(target(name), 5) for name in ("mlp", "lenet-300-100"))
    for name, tensor in model_state(lenet).items():
        assert torch.equal(model_state(mine)[name], tensor)
    images = torch.rand(3, 1, 28, 28)
    assert torch.equal(mine(images), lenet(images))


def kept_of(ticket: Ticket, within: Sequence[str]) -> int:
    """The weights that a ticket keeps in some modules."""
    return kept({name: mask for name, mask in ticket.masks.items() if name.startswith(tuple(f"{m}." for m in within))})


def assert_same(one: Ticket, other: Ticket) -> None:
    assert (one.seeds, one.levels) == (other.seeds, other.levels)
    assert one.config.mask_sha256 == other.config.mask_sha256
    states = [[each.rewind_sha256 for each in ticket.config.replicates] for ticket in (one, other)]
    assert states[0] == states[1]


@pytest.mark.parametrize("order", ["append", "interpolate"])
@pytest.mark.parametrize(("source", "others"), [(14, 32), (20, 32), (32, 20), (20, 20)])
def test_a_resnet_keeps_what_stays_once_and_each_unit_as_often_as_it_is_copied(
    source: int, others: int, order: str
) -> None:
    ticket = ticket_of(f"resnet-{source}", seeds=(4, 2), exclude=["fc.*"], **TINY)
    made = stretched(ticket, target(f"resnet-{others}", **TINY), order, name="made")
    assert made.seeds == [4, 2]
    stages = stages_of(create_from_architecture(target(f"resnet-{source}", **TINY), 0))
    units = [unit for stage in stages for unit in stage[1:]]
    times = {
        unit: copies(len(stage) - 1, (others - 2) // 6 - 1, order).count(number)
        for stage in stages
        for number, unit in enumerate(stage[1:], 1)
    }
    for level in (1, 3):
        for seed in (4, 2):
            before, after = (one.at(level=level, seed=seed) for one in (ticket, made))
            once = kept(before.masks) - kept_of(before, units)
            assert kept(after.masks) == once + sum(times[unit] * kept_of(before, [unit]) for unit in units)
    made.build(allow_empty=True)
    if source == others:
        assert_same(ticket, made)
    if others >= source:
        assert_same(ticket, stretched(made, target(f"resnet-{source}", **TINY), order, name="back"))


def test_a_copied_block_has_its_masks_weights_and_statistics() -> None:
    """With append, blocks 1, 2 of stage 2 of ResNet-20 (numbers 4 and 5) become 1 to 4 of ResNet-32 (6 to 9)."""
    ticket = ticket_of("resnet-20", exclude=["fc.*"], **TINY)
    made = stretched(ticket, target("resnet-32", **TINY), name="made")
    for here, there in {6: 4, 7: 5, 8: 4, 9: 5, 5: 3, 0: 0}.items():
        for part in ("conv1.weight", "bn1.weight", "bn1.running_mean", "bn2.running_var", "bn2.num_batches_tracked"):
            one, other = f"blocks.{here}.{part}", f"blocks.{there}.{part}"
            assert torch.equal(made.rewind_state[one], ticket.rewind_state[other])
        assert torch.equal(made.masks[f"blocks.{here}.conv2.weight"], ticket.masks[f"blocks.{there}.conv2.weight"])
    assert made.config.rewind.step == 3
    assert "fc.weight" not in made.masks


def test_what_a_stretched_ticket_states() -> None:
    ticket = ticket_of("mlp", hidden=[6, 6, 4], in_shape=(1, 3, 3))
    made = stretched(ticket, target("mlp", hidden=[6, 6, 6, 4], in_shape=(1, 3, 3)), name="made")
    stated = made.config.derived
    assert (made.config.format, stated.method) == (2, "stretch")
    assert [(one.name, one.mask_sha256) for one in stated.parents] == [("mlp.made", ticket.config.mask_sha256)]
    assert stated.arguments == {"order": "append", "units": [[1, 1], [], []]}
    assert (made.results, made.config.verdict, made.recipe_text) == ([], None, None)
    assert torch.equal(made.masks["fc3.weight"], ticket.masks["fc2.weight"])
    assert torch.equal(made.masks["fc5.weight"], ticket.masks["fc4.weight"])
    before, after = (one.levels[0].sparsity for one in (ticket, made))
    assert before != after


@settings(max_examples=25)
@given(st.data())
def test_any_map_of_units(data: st.DataObject) -> None:
    """Sizes of all hidden layers but the last are one, so that any can be a copy of any."""
    source, others = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 6))
    wanted = data.draw(st.lists(st.integers(1, source), min_size=others, max_size=others))
    ticket = ticket_of("mlp", hidden=[3] * (source + 1), in_shape=(1, 2, 2))
    text = ";".join(
        f"{unit}:{','.join(str(number) for number, one in enumerate(wanted, 1) if one == unit)}"
        for unit in sorted(set(wanted))
    )
    made = stretched(ticket, target("mlp", hidden=[3] * (others + 1), in_shape=(1, 2, 2)), text, name="made")
    assert made.config.derived.arguments == {"units": [wanted, []]}
    for number, unit in enumerate(wanted, 1):
        assert torch.equal(made.masks[f"fc{number + 1}.weight"], ticket.masks[f"fc{unit + 1}.weight"])
    assert kept(made.masks) == kept_of(ticket, ["fc1", f"fc{source + 2}"]) + sum(
        kept_of(ticket, [f"fc{unit + 1}"]) for unit in wanted
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "1:1,3;2:2",
            r"^--map: blocks.4 of resnet-32 \(unit 4 of stage 1\) is a copy of nothing: every unit",
        ),
        (
            "1:1,3;2:2,3,4",
            r"^--map: blocks.3 of resnet-32 \(unit 3 of stage 1\) is named twice, as a copy of 1 and of",
        ),
        ("1:1,3;3:2,4", r"^--map: stage 1 of resnet-20 has no unit 3: it has those from 1 to 2 beside its first, 0$"),
        ("1:1,2,3,4;2:5", r"^--map: stage 1 of resnet-32 has no unit 5: it has those from 1 to 4"),
        ("0:1,2,3,4", r"^--map: stage 1 of resnet-20 has no unit 0"),
        ("1:1;1:2,3,4", r"^--map: unit 1 is given twice: list all of its copies behind one colon$"),
        ("1:1,2,3,4/1:1,2,3,4", r"^--map: has 2 stages, and resnet-32 3 that repeat something$"),
        ("prepend", r"^'prepend' says nothing of units: give append or interpolate, or UNIT:COPIES such as"),
    ],
)
def test_a_map_that_is_wrong_names_the_unit(text: str, message: str) -> None:
    with pytest.raises(TicketError, match=message):
        stretched(ticket_of("resnet-20", **TINY), target("resnet-32", **TINY), text, name="made")


def test_stages_have_maps_of_their_own() -> None:
    ticket = ticket_of("resnet-20", **TINY)
    made = stretched(ticket, target("resnet-20", **TINY), "1:1;2:2 / 1:2;2:1 / 2:1,2", name="made")
    assert made.config.derived.arguments == {"units": [[1, 2], [2, 1], [2, 2]]}
    assert torch.equal(made.masks["blocks.8.conv1.weight"], ticket.masks["blocks.8.conv1.weight"])
    assert torch.equal(made.masks["blocks.7.conv1.weight"], ticket.masks["blocks.8.conv1.weight"])


def test_networks_that_a_ticket_cannot_be_stretched_to() -> None:
    ticket = ticket_of("resnet-14", **TINY)
    with pytest.raises(TicketError, match=r"^'resnet-14.made' is a ticket of resnet-14, and vgg-11 does not have its"):
        stretched(ticket, target("vgg-11", in_shape=(3, 16, 16), width=0.1), name="made")
    with pytest.raises(TicketError, match=r"'conv.weight' of resnet-14 is .2, 1, 3, 3., and 'conv.weight' of"):
        stretched(ticket, target("resnet-20", in_shape=(1, 8, 8), width=0.25), name="made")
    lenet = ticket_of("lenet-300-100", width=0.1)
    with pytest.raises(ModelError, match=r"^LeNet300100 has no units that it repeats; mlp, resnet-\*, vgg-\*"):
        stretched(lenet, target("lenet-300-100", width=0.1), name="made")
    one = ticket_of("mlp", hidden=[6, 4], in_shape=(1, 3, 3))
    with pytest.raises(TicketError, match=r"^fc2 of mlp \(unit 1 of stage 1\) has nothing to be a copy of"):
        stretched(one, target("mlp", hidden=[6, 6, 4], in_shape=(1, 3, 3)), name="made")
    with pytest.raises(TicketError, match="and mlp as it is asked for does not have its stages and widths"):
        stretched(one, target("mlp", hidden=[6, 5, 4], in_shape=(1, 3, 3)), name="made")


def test_a_ticket_that_is_not_trained_is_refused() -> None:
    model = tiny_bert("fill-mask")
    found = Found(0, {1: random_masks()}, bare_names(model_state(model), model))
    as_is = make_ticket(name="as-is", replicates=[found], use="as-is")
    with pytest.raises(TicketError, match=r"^'as-is' is used as it is, or is a delta: only tickets that are"):
        stretched(as_is, target("transformers/bert", config=CONFIG, head="fill-mask"), name="made")


def test_convolutions_of_a_vgg_are_copied_with_their_norm_and_stages_keep_their_first() -> None:
    small = {"in_shape": (1, 16, 16), "width": 0.05}
    ticket = ticket_of("vgg-13", exclude=["fc.*"], **small)
    made = stretched(ticket, target("vgg-16", **small), name="made")
    assert made.config.derived.arguments["units"] == [[1], [1], [1, 1], [1, 1], [1, 1]]
    for here, there in {6: 6, 7: 7, 8: 7, 10: 9, 12: 10, 16: 13}.items():  # with a pooling after each stage
        for part in ("conv.weight", "conv.bias", "bn.running_mean"):
            one, other = f"layers.{here}.{part}", f"layers.{there}.{part}"
            assert torch.equal(made.rewind_state[one], ticket.rewind_state[other])
    made.build(allow_empty=True)
    assert_same(ticket, stretched(made, target("vgg-13", **small), name="back"))
    with pytest.raises(TicketError, match=r"^layers.1 of vgg-13 \(unit 1 of stage 1\) has nothing to be a copy of"):
        stretched(ticket_of("vgg-11", **small), target("vgg-13", **small), name="made")


@pytest.mark.parametrize("head", [None, "fill-mask"])
def test_layers_of_an_encoder_are_copied_but_for_the_first(head: str | None) -> None:
    def sized(depth: int) -> dict[str, Any]:
        return {"config": {**CONFIG, "num_hidden_layers": depth}, "head": head}

    ticket = ticket_of("transformers/bert", **sized(3))
    made = stretched(ticket, target("transformers/bert", **sized(6)), name="made")
    assert made.config.derived.arguments["units"] == [[1, 2, 1, 2, 1]]
    for here, there in {0: 0, 1: 1, 2: 2, 3: 1, 4: 2, 5: 1}.items():
        for part in ("attention.self.query.weight", "output.LayerNorm.bias"):
            one, other = (f"encoder.layer.{number}.{part}" for number in (here, there))
            assert torch.equal(made.rewind_state[one], ticket.rewind_state[other])
    embedded = "embeddings.word_embeddings.weight"
    assert torch.equal(made.rewind_state[embedded], ticket.rewind_state[embedded])
    made.build()
    assert_same(ticket, stretched(made, target("transformers/bert", **sized(3)), name="back"))


def test_a_ticket_of_a_base_model_becomes_one_that_holds_its_weights(tmp_path: Path) -> None:
    """A base of two layers squeezed to one: the first, which is never left out."""
    base = save_tiny_bert(tmp_path / "base", "fill-mask")
    weights = BaseWeights.from_folder(base, "big/bert", "1" * 40)
    make_ticket(replicates=[Found(0, {1: random_masks()})], base=weights).save_pretrained(tmp_path / "tiny")
    made, source = stretch_into(
        tmp_path / "tiny",
        "transformers/bert",
        tmp_path / "made",
        settings=["config.num_hidden_layers=1"],
        base=base,
    )
    assert (source.config.rewind.kind, made.config.rewind.kind) == ("base", "packed")
    name = "encoder.layer.0.output.dense.weight"
    loaded = Ticket.from_pretrained(tmp_path / "made")
    assert torch.equal(loaded.at(level=1).rewind_state[name], weights.state[f"bert.{name}"] * source.masks[name])
    assert torch.equal(loaded.known_state[name], weights.state[f"bert.{name}"])
    assert [entry.level for entry in loaded.levels] == [0, 1]
    loaded.build()
    assert check_stretched(loaded, [source])


def test_dense_starts_from_the_encoder_stretched_as_the_ticket_was(tmp_path: Path) -> None:
    sized: dict[str, Any] = {**CONFIG, "num_hidden_layers": 4}
    bare, headed = (target("transformers/bert", config=sized, head=head) for head in (None, "fill-mask"))
    base = save_tiny_bert(tmp_path / "base", "fill-mask")
    of_base = make_ticket(
        replicates=[Found(0, {1: random_masks()})], base=BaseWeights.from_folder(base, "big/bert", "1" * 40)
    )
    dense = pretrained_weights(stretched(of_base, headed, name="made"), None)
    assert dense is not None
    whole = of_base.base_state
    assert whole is not None
    part = "attention.self.query.weight"
    for layer in (1, 2, 3):
        assert torch.equal(dense[f"encoder.layer.{layer}.{part}"], whole[f"encoder.layer.1.{part}"])
    partly = stretched(ticket_of("transformers/bert", config=CONFIG), bare, name="made")
    with pytest.raises(RecipeError, match=r"^tickets: made was stretched, and does not hold all weights"):
        pretrained_weights(partly, None)
    deep = save_tiny_bert(tmp_path / "deep", num_hidden_layers=4)
    given = pretrained_weights(partly, str(deep))
    assert given is not None
    assert f"encoder.layer.3.{part}" in given


def test_a_model_in_a_folder_says_its_depth(tmp_path: Path) -> None:
    ticket_of("transformers/bert", called="tiny", config=CONFIG).save_pretrained(tmp_path / "tiny")
    save_tiny_bert(tmp_path / "deep", num_hidden_layers=4)
    made, _ = stretch_into(tmp_path / "tiny", f"transformers/{tmp_path / 'deep'}", tmp_path / "made")
    assert made.config.derived.arguments["units"] == [[1, 1, 1]]
    config: Any = made.config.architecture.kwargs["config"]
    assert config["num_hidden_layers"] == 4
    save_tiny_bert(tmp_path / "wide", hidden_size=32)
    with pytest.raises(TicketError, match=r"transformers/bert is \[100, 64\], and .* \[100, 32\]: only the number of"):
        stretch_into(tmp_path / "tiny", f"transformers/{tmp_path / 'wide'}", tmp_path / "other")
    with pytest.raises(TicketError, match="a ticket of transformers/bert has no units for transformers/roberta"):
        stretch_into(tmp_path / "tiny", "transformers/roberta", tmp_path / "other")


def test_the_command_tells_sparsities_before_and_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ticket = ticket_of("mlp", called="mlp-2", hidden=[6, 6, 4], in_shape=(1, 3, 3))
    ticket.save_pretrained(tmp_path / "runs" / "mlp-2")
    words = ["stretch", "mlp-2", "--to", "mlp", "--set", "hidden=[6,6,6,4]", "-o", "made"]
    done = CliRunner().invoke(app, [*words, "--map", "1:1,2"], catch_exceptions=False)
    assert done.exit_code == 0
    made = Ticket.from_pretrained(tmp_path / "made")
    before, after = (one.at(level=3) for one in (ticket, made))
    assert "stage 1: copies of units 0, 1, 1" in done.output
    said = f"level 3: sparsity {before.sparsity:.3f} before, {after.sparsity:.3f} now, {kept(after.masks)} weights kept"
    assert said in done.output
    again = json.loads(CliRunner().invoke(app, [*words, "--map", "1:1,2", "--json"]).stdout)
    assert [one["sparsity_before"] for one in again["levels"]] == [one.sparsity for one in ticket.levels]
    assert (again["ok"], again["units"]) == (True, [[1, 1], [], []])
    same = CliRunner().invoke(app, ["stretch", "mlp-2", "--to", "mlp", "-o", "same"])
    assert same.exit_code == 0 and "this is the ticket's own network, so nothing is copied" in same.output
    assert "own network" not in done.output
    wrong = CliRunner().invoke(app, [*words, "--order", "prepend"])
    assert wrong.exit_code == 2


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


KILLED = """
import os, signal
from ticketzoo.cli.main import main

synced, fsync = [], os.fsync

def until_the_third_file(handle):
    synced.append(handle)
    if len(synced) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(handle)

os.fsync = until_the_third_file
main()
"""


@pytest.mark.slow
def test_killed_and_run_again_it_writes_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = ticket_of("mlp", called="mlp-2", seeds=(0, 1), hidden=[6, 6, 4], in_shape=(1, 3, 3))
    ticket.save_pretrained(tmp_path / "runs" / "mlp-2")
    words = ["stretch", "mlp-2", "--to", "mlp", "--set", "hidden=[6,6,6,6,4]", "--name", "mlp-4", "-o"]
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, [*words, "undisturbed"], catch_exceptions=False).exit_code == 0
    done = subprocess.run([sys.executable, "-c", KILLED, *words, "killed"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed").exists()
    assert list(tmp_path.glob(".killed.*/seed-0/masks.safetensors"))
    for _ in range(2):
        assert CliRunner().invoke(app, [*words, "killed"], catch_exceptions=False).exit_code == 0
        assert files_of(tmp_path / "killed") == files_of(tmp_path / "undisturbed")


def test_a_saved_ticket_is_made_again_by_verify(tmp_path: Path) -> None:
    sizes: dict[str, Any] = {"in_shape": (1, 3, 3)}
    ticket_of("mlp", seeds=(0, 1), called="mlp-3", hidden=[6, 6, 6, 4], **sizes).save_pretrained(tmp_path / "mlp-3")
    made, _ = stretch_into(tmp_path / "mlp-3", "mlp", tmp_path / "mlp-4", settings=["hidden=[6,6,6,6,4]"])
    assert made.config.architecture.kwargs["in_shape"] == [1, 3, 3]
    checks = [str(check) for check in verify(tmp_path / "mlp-4")]
    assert "ticket.json: masks are those that its parents give by stretch, its rewind weights theirs" in checks
    assert not [line for line in checks if "author's own" in line], "the words are those of the command that made it"
    card = (tmp_path / "mlp-4" / "README.md").read_text()
    assert "mlp-3 (masks" in card
    assert "units of a ticket copied" in card
    (tmp_path / "mlp-4" / "README.md").unlink()
    edit_config(tmp_path / "mlp-4", lambda config: config["pruning"]["words"].update(method="magic"))
    (note,) = [str(line) for line in verify(tmp_path / "mlp-4") if "author's own" in str(line)]
    assert "'magic', and this version says 'units of a ticket copied" in note

    edit_config(tmp_path / "mlp-4", lambda config: config["derived"]["arguments"].update(units=[[1, 2, 2], [], []]))
    with pytest.raises(TicketError, match=r"not the stretch of its parent's: 'fc4.weight' at level 1 \(seed 0\)"):
        verify(tmp_path / "mlp-4", results=False)
    edit_config(tmp_path / "mlp-4", lambda config: config["derived"]["arguments"].update(units=[[1, 2, 3], [], []]))
    with pytest.raises(TicketError, match=r"derived.arguments: units of a stage are not numbers from 1 to 2"):
        verify(tmp_path / "mlp-4", results=False)
    edit_config(tmp_path / "mlp-4", lambda config: config["derived"]["arguments"].update(units=[[1, 2], [], []]))
    with pytest.raises(TicketError, match=r"derived.arguments: units are not 3 lists"):
        verify(tmp_path / "mlp-4", results=False)


def test_weights_of_a_parent_that_differ_are_told(tmp_path: Path) -> None:
    sizes: dict[str, Any] = {"in_shape": (1, 3, 3)}
    ticket = ticket_of("mlp", called="mlp-2", hidden=[6, 6, 4], **sizes)
    stretched(ticket, target("mlp", hidden=[6, 6, 6, 4], **sizes), name="mlp-3").save_pretrained(tmp_path / "mlp-3")
    state = ticket.known_state
    state["fc2.bias"][2] += 1
    masks = {level: ticket.at(level=level).masks for level in (1, 3)}
    other = ticket_of("mlp", called="mlp-2", hidden=[6, 6, 4], **sizes).config
    Ticket.create(
        name="mlp-2",
        architecture=other.architecture.model_dump(mode="json", exclude_none=True),
        task=other.task,
        source={"dataset": "numbers"},
        pruning={"method": "imp", "scope": "global"},
        replicates=[Found(0, masks, state)],
    ).save_pretrained(tmp_path / "mlp-2")
    with pytest.raises(TicketError, match=r"weights are not the stretch of its parent's: 'fc2.bias' at level 1"):
        verify(tmp_path / "mlp-3", results=False)


def test_weights_of_every_level_are_copied() -> None:
    ticket = ticket_of("mlp", hidden=[6, 6, 4], in_shape=(1, 3, 3))
    masks = {level: ticket.at(level=level).masks for level in (1, 3)}
    states = {level: {name: one + level for name, one in ticket.known_state.items()} for level in (1, 3)}
    config = ticket.config
    own = Ticket.create(
        name="own",
        architecture=config.architecture.model_dump(mode="json", exclude_none=True),
        task=config.task,
        source={"dataset": "numbers"},
        pruning={"method": "imp", "scope": "global"},
        replicates=[Found(0, masks, rewind_levels=states)],
    )
    made = stretched(own, target("mlp", hidden=[6, 6, 6, 4], in_shape=(1, 3, 3)), name="made")
    for level in (1, 3):
        assert torch.equal(made.at(level=level).rewind_state["fc3.bias"], states[level]["fc2.bias"])


def test_the_same_command_again_leaves_the_folder_and_another_is_refused(tmp_path: Path) -> None:
    sizes: dict[str, Any] = {"in_shape": (1, 3, 3)}
    ticket_of("mlp", called="mlp-3", hidden=[6, 6, 6, 4], **sizes).save_pretrained(tmp_path / "mlp-3")
    for _ in range(2):
        stretch_into(tmp_path / "mlp-3", "mlp", tmp_path / "made", settings=["hidden=[6,6,4]"])
    with pytest.raises(TicketError, match="made: exists: choose another folder"):
        stretch_into(tmp_path / "mlp-3", "mlp", tmp_path / "made", settings=["hidden=[6,6,6,6,6,4]"])
    (tmp_path / "other").mkdir()
    with pytest.raises(TicketError, match="other: exists: choose another folder"):
        stretch_into(tmp_path / "mlp-3", "mlp", tmp_path / "other", settings=["hidden=[6,6,4]"])
    assert json.loads((tmp_path / "made" / "ticket.json").read_text())["architecture"]["kwargs"]["hidden"] == [6, 6, 4]
