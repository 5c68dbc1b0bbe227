"""Edge-popup (Ramanujan et al. 2020): scores learn which of the frozen weights to keep."""

import json
import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from launched import results_of
from made_cells import cells_in, files_in, job
from made_task import CPU, MadeImages, Stopped
from torch import Tensor, nn

from ticketzoo.errors import RecipeError, RunError
from ticketzoo.masks.digests import masks_sha256, state_sha256
from ticketzoo.masks.masks import Masks, kept
from ticketzoo.masks.random import random_masks
from ticketzoo.masks.topk import keep_highest, keep_largest
from ticketzoo.models import architecture_of, create_from_architecture, prunable_parameters
from ticketzoo.models.create import arguments_for, initial_state
from ticketzoo.models.state import State
from ticketzoo.runs.store import Job
from ticketzoo.tasks import create_task
from ticketzoo.tasks.image_classification import ImageClassificationConfig
from ticketzoo.training import TrainingConfig
from ticketzoo.training.parametrisation import NOTHING, WEIGHTS, Learned, Parametrisation
from ticketzoo.training.scores import Biprop, EdgePopup, binary, counts
from ticketzoo.training.selection import Highest, highest, unseen_highest

DIGITS = {"type": "image-classification", "dataset": {"path": "digits"}}


def one_layer(weights: list[float], scores: list[float], count: int) -> tuple[nn.Linear, nn.Parameter, EdgePopup]:
    layer = nn.Linear(len(weights), 1, bias=False)
    layer.weight.data = torch.tensor([weights])
    learn = EdgePopup({"weight": count})
    (parameter,) = learn.install(layer, {"weight": torch.ones(1, len(weights), dtype=torch.bool)}, seed=0)
    parameter.data = torch.tensor([scores])
    return layer, parameter, learn


def test_forward_and_backward_are_those_of_the_paper() -> None:
    """Kept: 0.3 and -0.4, so y = 0.5 * 1 + 0.25 * 4 = 1.5 and dL/dy = -1.5; ds = -1.5 * x * w * sign(s)."""
    layer, scores, learn = one_layer([0.5, -1.0, 2.0, 0.25], [0.3, -0.2, 0.1, -0.4], count=2)
    y = layer(torch.tensor([1.0, 2.0, -1.0, 4.0]))
    (0.5 * (y - 3) ** 2).backward()
    assert learn.learned(layer).masks["weight"].tolist() == [[True, False, False, True]]
    assert y.item() == 1.5
    assert scores.grad is not None
    assert scores.grad.tolist() == [[-0.75, -3.0, 3.0, 1.5]]
    assert layer.parametrizations.weight.original.grad is None


@pytest.mark.parametrize(
    ("magnitudes", "count", "expected"),
    [
        ([1.0, 3.0, 2.0], 1, [False, True, False]),
        ([1.0, 1.0, 1.0, 1.0], 2, [False, False, True, True]),  # of equal ones the later
        ([2.0, 1.0, 2.0, 0.0, 2.0], 2, [False, False, True, False, True]),
        ([0.0, 0.0], 2, [True, True]),
    ],
)
def test_counts_are_exact_and_of_equal_scores_the_later_stays(
    magnitudes: list[float], count: int, expected: list[bool]
) -> None:
    assert highest(torch.tensor(magnitudes), count).tolist() == expected


def test_scores_are_ranked_as_weights_are_pruned() -> None:
    scores = torch.randint(-9, 9, (40, 30), generator=torch.Generator().manual_seed(0)).float()
    ones = torch.ones(40, 30, dtype=torch.bool)
    for count in (1, 37, 600, 1199):
        expected = keep_largest({"": scores}, {"": ones}, count)[""]
        assert torch.equal(highest(scores.abs(), count), expected)
        assert torch.equal(unseen_highest(scores.abs().flatten(), count).view(40, 30), expected)


def test_a_layer_by_channel_has_the_same_mask() -> None:
    """Ties go by the index in the tensor, however it lies in memory."""
    scores = torch.randint(3, (4, 3, 2, 2), generator=torch.Generator().manual_seed(0)).float()
    assert torch.equal(highest(scores.to(memory_format=torch.channels_last), 20), highest(scores, 20))


def test_weights_outside_the_given_masks_are_never_kept() -> None:
    layer = nn.Linear(4, 1, bias=False)
    mask = torch.tensor([[True, True, False, True]])
    learn = EdgePopup({"weight": 3})
    learn.install(layer, {"weight": mask}, seed=0)
    assert torch.equal(learn.learned(layer).masks["weight"], mask)


def test_scores_start_uniform_by_the_fan_in_and_by_the_seed() -> None:
    def drawn(seed: int) -> Tensor:
        layer = nn.Conv2d(4, 64, 5)
        learn = EdgePopup({"weight": 100})
        (scores,) = learn.install(layer, {"weight": torch.ones(64, 4, 5, 5, dtype=torch.bool)}, seed)
        return scores.detach()

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))
    assert 0.099 < drawn(0).abs().max().item() <= 0.1  # 1 / sqrt(4 * 5 * 5)
    assert drawn(0).std().item() == pytest.approx(0.1 / 3**0.5, rel=0.02)


def test_a_bias_has_no_scores() -> None:
    with pytest.raises(RecipeError, match="scores matrices and kernels: leave 'bias' out of finder"):
        EdgePopup({"bias": 2}).install(nn.Linear(2, 3), {"bias": torch.ones(3, dtype=torch.bool)}, 0)


@pytest.mark.parametrize(
    ("counted", "said"),
    [
        ({"weight": 0}, r"cannot keep 0 weights of 'weight'; choose 1 to 6$"),
        ({"weight": 7}, r"cannot keep 7 weights of 'weight'; choose 1 to 6$"),
        ({"fc.weight": 3}, r"only one is given of fc\.weight, weight$"),
    ],
)
def test_counts_that_cannot_be_are_refused(counted: dict[str, int], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        EdgePopup(counted).install(nn.Linear(3, 2), {"weight": torch.ones(2, 3, dtype=torch.bool)}, seed=0)


def test_scores_that_are_not_numbers_are_divergence() -> None:
    layer, _, learn = one_layer([1.0, 2.0], [0.1, float("nan")], count=1)
    with pytest.raises(RunError, match="scores of 'weight' are NaN: training diverged"):
        learn.learned(layer)


def popup_job(density: float = 0.5, model: str = "lenet-300-100", **keys: Any) -> Job:
    """Learns scores of a made network, with momentum, weight decay and clipping."""
    architecture = architecture_of(model, {"in_shape": [1, 2, 2], "num_classes": 2, "width": 0.1})
    masks = {
        name: torch.ones(weights.shape, dtype=torch.bool)
        for name, weights in prunable_parameters(create_from_architecture(architecture, seed=0)).items()
    }
    training = {
        "steps": "7it",
        "batch_size": 6,
        "optimizer": {"lr": 0.5, "momentum": 0.9, "weight_decay": 1e-3},
        "clip_norm": 1.0,
        "evaluate_every": "2it",
    } | keys.pop("training", {})
    learn = EdgePopup(counts(masks, density))
    made = Job(
        architecture, initial_state(architecture, 1), masks, MadeImages(), TrainingConfig.model_validate(training), 0
    )
    return replace(made, learn=learn, **keys)


def learned_in(folder: Path, job: Job, **keys: Any) -> Learned:
    with cells_in(folder, **keys) as cells:
        return cells.run(job, "made", keep_final=True).learned()


def digests(learned: Learned) -> list[str]:
    return [masks_sha256(learned.masks), state_sha256(learned.weights), state_sha256(learned.extras["scores"])]


@pytest.mark.parametrize("model", ["lenet-300-100", "resnet-20"])
def test_only_scores_and_statistics_move_and_counts_hold(model: str, tmp_path: Path) -> None:
    made = popup_job(model=model)
    learned = learned_in(tmp_path, made)
    assert learned.weights.keys() == made.state.keys()
    moved = {name for name, tensor in learned.weights.items() if not torch.equal(tensor, made.state[name])}
    assert all("running" in name or "num_batches" in name for name in moved)
    assert bool(moved) is (model == "resnet-20")
    assert {name: int(mask.sum()) for name, mask in learned.masks.items()} == made.learn.kept
    untrained = made.learn.learned(made.model(CPU))
    assert not torch.equal(learned.extras["scores"]["fc.weight" if "resnet" in model else "fc1.weight"],
                           untrained.extras["scores"]["fc.weight" if "resnet" in model else "fc1.weight"])  # fmt: skip
    assert masks_sha256(learned.masks) != masks_sha256(untrained.masks)


def test_the_masked_weights_measured_as_they_are_give_the_number_of_the_training(tmp_path: Path) -> None:
    made = popup_job(model="resnet-20")
    learned = learned_in(tmp_path, made)
    with cells_in(tmp_path) as cells:
        record = cells.run(made, "scores").record
        as_is = replace(made, state=learned.weights, masks=learned.masks, learn=NOTHING)
        cell = cells.run(as_is, "as it is", keep_final=True)
    assert cell.record.final["test_loss"] == pytest.approx(record.final["test_loss"], rel=1e-6)
    assert cell.record.final.keys() == record.final.keys() - {"train_loss"}
    assert cell.record.best["step"] == cell.record.final["step"] == 0
    for name, tensor in cell.final_state().items():
        assert torch.equal(tensor, learned.weights[name].where(learned.masks.get(name, torch.tensor(True)), 0))


def test_a_training_stopped_after_any_update_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole = digests(learned_in(tmp_path / "whole", popup_job(model="resnet-20")))
    for stop in (1, 4, 6):
        made, folder = popup_job(model="resnet-20"), tmp_path / str(stop)
        made.task.stop_after = stop
        with pytest.raises(Stopped):
            learned_in(folder, made, checkpoint_seconds=0)
        resumed = popup_job(model="resnet-20")
        assert digests(learned_in(folder, resumed, checkpoint_seconds=0)) == whole
        assert len(resumed.task.seen) == 7 - stop


@pytest.mark.parametrize(
    ("model", "keys"), [("resnet-20", {"channels_last": True}), ("lenet-300-100", {"precision": "bf16"})]
)
def test_options_for_speed_keep_the_counts(model: str, keys: dict[str, Any], tmp_path: Path) -> None:
    plain, fast = (learned_in(tmp_path, popup_job(model=model, training=each)) for each in ({}, keys))
    assert {name: int(mask.sum()) for name, mask in fast.masks.items()} == popup_job(model=model).learn.kept
    for name, scores in plain.extras["scores"].items():
        torch.testing.assert_close(fast.extras["scores"][name], scores, rtol=0.1, atol=0.1)


def test_compiled_scores_are_those_of_a_plain_loop() -> None:
    """One layer, compiled by torch's plainest backend: that of training.compile would take half a minute."""
    found = []
    for compiled in (False, True):
        torch.compiler.reset()
        layer, scores, learn = one_layer([0.5, -1.0, 2.0, 0.25], [0.3, -0.2, 0.1, -0.4], count=2)
        called = torch.compile(layer, backend="aot_eager") if compiled else layer
        optimizer = torch.optim.SGD([scores], lr=0.05)
        for _ in range(4):
            (0.5 * (called(torch.tensor([1.0, 2.0, -1.0, 4.0])) - 3) ** 2).sum().backward()
            optimizer.step()
        found.append((scores.detach().clone(), learn.learned(layer).masks["weight"]))
    torch.testing.assert_close(found[1][0], found[0][0])
    assert torch.equal(found[1][1], found[0][1])


def train_on_digits(folder: str) -> list[str]:
    digits = Digits("signed_kaiming_constant", density=0.3, steps="5it")
    return digests(digits.supermask(Path(folder)))


def test_processes_end_with_the_same_scores_and_masks(tmp_path: Path) -> None:
    first, second = results_of(2, train_on_digits, tmp_path, str(tmp_path / "cells"))
    assert first == second
    assert first[0] != masks_sha256(Digits("signed_kaiming_constant", density=0.3).untrained().masks)


def test_a_finished_cell_stores_what_was_learned_and_says_what_it_is(tmp_path: Path) -> None:
    made = popup_job()
    with cells_in(tmp_path) as cells:
        cell = cells.run(made, "scores")
    assert files_in(tmp_path) == [f"{cell.folder.name}/{name}" for name in ("cell.json", "learned.safetensors")]
    specification = json.loads((cell.folder / "cell.json").read_text())["specification"]
    assert specification["learn"] == {"name": "edge-popup", "kept": made.learn.kept}
    with cells_in(tmp_path) as cells:
        weights = cells.run(job(), "weights", keep_final=True)
    assert not (weights.folder / "learned.safetensors").exists()
    assert "learn" not in json.loads((weights.folder / "cell.json").read_text())["specification"]
    assert weights.learned().masks == {}


def test_another_count_is_another_training(tmp_path: Path) -> None:
    assert popup_job(0.5).specification() != popup_job(0.25).specification()


def test_a_job_that_learns_scores_travels(tmp_path: Path) -> None:
    sent = pickle.loads(pickle.dumps(popup_job()))
    assert sent.specification() == popup_job().specification()
    assert digests(learned_in(tmp_path / "there", sent)) == digests(learned_in(tmp_path / "here", popup_job()))


class Digits:
    """A LeNet-300-100 on the digits: frozen weights, and a supermask that was learned with seed 0."""

    def __init__(self, init: str, density: float, steps: str = "10ep") -> None:
        self.task = create_task(ImageClassificationConfig.model_validate(DIGITS))
        self.architecture = architecture_of(
            "lenet-300-100", {**arguments_for("lenet-300-100", self.task.signature), "width": 0.5, "init": init}
        )
        self.dense = {
            name: torch.ones(weights.shape, dtype=torch.bool)
            for name, weights in prunable_parameters(create_from_architecture(self.architecture, seed=0)).items()
        }
        training = {
            "steps": steps,
            "batch_size": 64,
            "optimizer": {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4},
            "schedule": {"name": "cosine"},
        }
        self.training = TrainingConfig.model_validate(training)
        self.learn = EdgePopup(counts(self.dense, density))
        self.start = initial_state(self.architecture, 0)

    def untrained(self) -> Learned:
        return self.learn.learned(self.job(self.start, self.dense, self.learn).model(CPU))

    def supermask(self, folder: Path) -> Learned:
        return learned_in(folder, self.job(self.start, self.dense, self.learn))

    def job(self, state: State, masks: Masks, learn: Parametrisation) -> Job:
        return Job(self.architecture, state, masks, self.task, self.training, seed=0, learn=learn)

    def accuracy(self, state: State, masks: Masks) -> float:
        """On the test digits, as it is."""
        model = self.job(state, masks, WEIGHTS).model(CPU).eval()
        return self.task.evaluate(model, "test", CPU)["accuracy"]

    def predictions(self, state: State, masks: Masks) -> Tensor:
        model = self.job(state, masks, WEIGHTS).model(CPU).eval()
        images = torch.rand(
            200,
            *arguments_for("lenet-300-100", self.task.signature)["in_shape"],
            generator=torch.Generator().manual_seed(0),
        )
        return model(images).argmax(1)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Digits, Learned]:
    digits = Digits("signed_kaiming_constant", density=0.5)
    return digits, digits.supermask(tmp_path_factory.mktemp("digits"))


def test_a_supermask_of_untrained_weights_knows_the_digits(found: tuple[Digits, Learned]) -> None:
    digits, learned = found
    assert kept(learned.masks) == pytest.approx(0.5 * kept(digits.dense), abs=3)
    assert all(
        torch.equal(weights, initial_state(digits.architecture, 0)[name]) for name, weights in learned.weights.items()
    )
    assert digits.accuracy(learned.weights, learned.masks) > 0.8
    at_random = [digits.accuracy(learned.weights, random_masks(learned.masks, seed)) for seed in range(5)]
    assert sum(at_random) / 5 < 0.25


def test_flipping_all_signs_is_worse_than_guessing(found: tuple[Digits, Learned]) -> None:
    digits, learned = found
    flipped = learned.weights | {name: -learned.weights[name] for name in learned.masks}
    assert digits.accuracy(flipped, learned.masks) < 0.1


def test_scaling_a_layer_changes_no_prediction(found: tuple[Digits, Learned]) -> None:
    """A network of ReLUs without biases is homogeneous in the weights of each layer."""
    digits, learned = found
    scaled = dict(learned.weights)
    for name, factor in zip(learned.masks, (100.0, 0.001, 7.0), strict=True):
        scaled[name] = factor * scaled[name]
    assert torch.equal(digits.predictions(scaled, learned.masks), digits.predictions(learned.weights, learned.masks))


def test_biprop_computes_with_signs_and_one_magnitude_and_has_the_gradient_of_the_weights() -> None:
    """Kept: 0.5 and 0.25, in the mean 0.375; y = 0.375 * (1 + 4) = 1.875, so dL/dy = -1.125."""
    layer = nn.Linear(4, 1, bias=False)
    layer.weight.data = torch.tensor([[0.5, -1.0, 2.0, 0.25]])
    learn = Biprop({"weight": 2})
    (scores,) = learn.install(layer, {"weight": torch.ones(1, 4, dtype=torch.bool)}, seed=0)
    scores.data = torch.tensor([[0.3, -0.2, 0.1, -0.4]])
    assert layer.weight.tolist() == [[0.375, 0.0, 0.0, 0.375]]
    y = layer(torch.tensor([1.0, 2.0, -1.0, 4.0]))
    (0.5 * (y - 3) ** 2).backward()
    assert y.item() == 1.875
    assert scores.grad is not None
    assert scores.grad.tolist() == [[-0.5625, -2.25, 2.25, 1.125]]
    assert learn.learned(layer).weights["weight"].tolist() == [[0.375, -0.375, 0.375, 0.375]]


def test_the_magnitude_of_a_layer_of_biprop_changes_no_prediction() -> None:
    """In a network of ReLUs without biases signs and masks alone decide: every magnitude could be 1."""
    torch.manual_seed(0)
    masked = [(torch.randn(shape), (torch.rand(shape) < 0.5).float()) for shape in ((30, 8), (20, 30), (5, 20))]
    as_trained = as_signs = torch.randn(200, 8)
    for number, (weight, mask) in enumerate(masked):
        magnitude = binary(weight, mask) * mask
        assert len(magnitude.abs().unique()) == 2 and float(magnitude.abs().max()) != 1
        as_trained, as_signs = as_trained @ magnitude.T, as_signs @ (weight.sign() * mask).T
        if number < 2:
            as_trained, as_signs = as_trained.relu(), as_signs.relu()
    assert torch.equal(as_trained.argmax(1), as_signs.argmax(1))


def test_a_binary_weight_of_0_has_the_sign_plus_also_as_minus_0() -> None:
    weights = torch.tensor([0.0, -0.0, -4.0, 4.0])
    assert binary(weights, torch.ones(4)).tolist() == [2.0, 2.0, -2.0, 2.0]
    assert Biprop.effective(weights, torch.tensor([1.0, 1.0, 1.0, 0.0])).tolist() == pytest.approx(
        [4 / 3] * 2 + [-4 / 3, 0]
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_magnitude_of_a_layer_larger_than_float16_counts_is_exact(dtype: torch.dtype) -> None:
    """Of 90,000 weights of 2 and -2 the mean magnitude is 2, though float16 ends at 65,504."""
    weights = torch.full((300, 300), 2.0, dtype=dtype)
    weights[:, ::2] = -2.0
    for made in (binary(weights, torch.ones_like(weights)), Biprop.effective(weights, torch.ones_like(weights))):
        assert made.dtype is dtype
        assert torch.equal(made, weights)


def test_biprop_has_the_bits_that_copysign_gives() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(40, 30, generator=generator)
    kept = (torch.rand(40, 30, generator=generator) < 0.3).float()
    mean = torch.dot(weights.abs().flatten(), kept.flatten()) / kept.sum()
    expected = (kept * mean).copysign(weights)
    assert torch.equal(Biprop.effective(weights, kept.clone()).view(torch.int32), expected.view(torch.int32))


@pytest.mark.parametrize("norms", [False, True])
def test_biprop_learns_scales_of_normalisation_where_it_is_told_to(norms: bool, tmp_path: Path) -> None:
    made = popup_job(model="resnet-20")
    learned = learned_in(tmp_path, replace(made, learn=Biprop(made.learn.kept, norms)))
    moved = {name for name, one in learned.weights.items() if not torch.equal(one, made.state[name])} - {*made.masks}
    assert any(name.endswith(("bn1.weight", "bn1.bias")) for name in moved) is norms
    for name in made.masks:
        assert len(learned.weights[name].abs().unique()) == 1


def test_weights_left_out_do_not_widen_the_look_for_the_dividing_value() -> None:
    """Excluded ones are -inf; around that every value would be looked at for ever."""
    generator, select = torch.Generator().manual_seed(0), Highest()
    scores = torch.rand(2000, generator=generator)
    scores[::3] = -math.inf
    for number in range(6):
        found = select(scores + 1e-5 * number, 500)
        assert torch.equal(found.bool(), unseen_highest(scores + 1e-5 * number, 500))
    assert select._near is not None
    assert select._near[1] < 0.1


@pytest.mark.parametrize("count", [1, 4, 11, 12])
def test_weights_in_the_place_of_ones_are_those_of_the_highest_scores(count: int) -> None:
    """Also where some of equal scores are kept (of 0.5 one of four), and of kernels laid out by channels."""
    scores = torch.tensor([0.5, 0.2, 0.9, 0.5, 0.1, 0.5, 0.3, 0.2, 0.5, 0.7, 0.8, 0.2]).view(1, 3, 2, 2)
    weights = torch.arange(1.0, 13.0).view(1, 3, 2, 2)
    for layout in (torch.contiguous_format, torch.channels_last):
        laid = [one.clone(memory_format=layout) for one in (scores, scores, weights)]
        expected = Highest()(laid[0], count) * weights
        assert torch.equal(Highest()(laid[1], count, laid[2]), expected)
        assert int(expected.count_nonzero()) == count
        assert torch.equal(laid[2], weights)


def test_the_dividing_value_is_found_wherever_it_went() -> None:
    """Values that drift, jump, tie and lose their spread: the memory of the call before never decides."""
    generator, select = torch.Generator().manual_seed(0), Highest()
    scores = torch.rand(5000, generator=generator)
    steps = [scores + 1e-4 * number for number in range(5)] + [scores * 100, scores.round(decimals=1)]
    steps += [torch.zeros(5000), scores, -scores, torch.full((5000,), math.nan), scores]
    for number, values in enumerate(steps):
        count = (2500, 10, 4999)[number % 3]
        if values.isnan().any():
            select(values.clone(), count)
            continue
        assert torch.equal(
            select(values.clone(), count).bool(), keep_highest({"": values}, {"": values > -9}, count)[""]
        )
