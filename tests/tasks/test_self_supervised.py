"""SimCLR by hand: losses of vectors that can be worked out, ties, views, and what is compared with what."""

import math
from typing import Any

import pytest
import torch
from launched import results_of
from torch import nn

from ticketzoo.errors import DataError, ModelError, RecipeError
from ticketzoo.finding import FindRecipe
from ticketzoo.models import arguments_for, create_from_architecture, create_model, head_modules, prunable_parameters
from ticketzoo.models.create import architecture_for
from ticketzoo.models.given import load_given
from ticketzoo.models.signature import Image, Projections, Signature
from ticketzoo.recipe import parse_recipe
from ticketzoo.tasks import create_task
from ticketzoo.tasks.linear_probe import features_of, linear_accuracy, untrained
from ticketzoo.tasks.self_supervised import SelfSupervised, SelfSupervisedConfig
from ticketzoo.tasks.simclr import nt_xent, retrieved
from ticketzoo.training import TrainingConfig, train

CPU = torch.device("cpu")
E1, E2 = [1.0, 0.0], [0.0, 1.0]
TWO_PAIRS = torch.tensor([[E1, E2], [E1, E2]])
"""Views [2, 2, 2] of two images: e1 and e1, e2 and e2."""
DIGITS = {"path": "digits", "classes": [0, 1, 2, 3], "examples": 64, "validation": 0}


def digits(**keys: Any) -> SelfSupervised:
    dataset = DIGITS | keys.pop("dataset", {})
    section = {"type": "self-supervised", "dataset": dataset, "projection": [16, 8]} | keys
    task = create_task(SelfSupervisedConfig.model_validate(section))
    assert isinstance(task, SelfSupervised)
    return task


def network(task: SelfSupervised, seed: int = 0, name: str = "resnet-14", **kwargs: Any) -> nn.Module:
    kwargs = kwargs or {"width": 0.25}
    return create_from_architecture(architecture_for(name, kwargs, task.signature), seed)


@pytest.mark.parametrize(("temperature", "loss"), [(1.0, 0.55144), (0.5, 0.23954)])
def test_nt_xent_of_two_pairs_at_right_angles(temperature: float, loss: float) -> None:
    """ln(1 + 2 / e^(1/t)): one view as near as can be, two at cosine 0."""
    assert nt_xent(TWO_PAIRS, temperature).item() == pytest.approx(loss, abs=1e-5)
    assert nt_xent(3 * TWO_PAIRS, temperature).item() == pytest.approx(math.log(1 + 2 / math.exp(1 / temperature)))


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_nt_xent_of_equal_views_is_that_of_a_draw_among_three(temperature: float) -> None:
    assert nt_xent(torch.ones(2, 2, 4), temperature).item() == pytest.approx(math.log(3))


def test_nt_xent_is_the_mean_of_minus_log_p_and_not_minus_log_of_the_mean() -> None:
    """The published code averages before the logarithm. Views e1, e1 and e2, -e2, by hand: p of each of the four."""
    views = torch.tensor([[E1, E2], [E1, [0.0, -1.0]]])
    near, far = 1 / (1 + 2 / math.e), math.exp(-1) / (math.exp(-1) + 2)
    assert nt_xent(views, 1.0).item() == pytest.approx(-(math.log(near) + math.log(far)) / 2)


def test_permuting_the_pairs_or_swapping_the_views_leaves_loss_and_retrieval() -> None:
    views = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0))
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    for other in (views[:, order], views.flip(0)):
        assert nt_xent(other, 0.5).item() == pytest.approx(nt_xent(views, 0.5).item(), abs=1e-6)
        assert retrieved(other) == pytest.approx(retrieved(views))


def test_a_view_is_retrieved_where_the_other_one_is_nearest_and_ties_count_by_share() -> None:
    assert retrieved(TWO_PAIRS) == 4
    assert retrieved(torch.ones(2, 2, 3)) == pytest.approx(4 / 3)  # each of four finds one of three
    assert retrieved(torch.stack([TWO_PAIRS[0], TWO_PAIRS[0].flip(0)])) == 0  # the nearest is of the other image


def _loss_and_gradient(parts: list[int], values: list[Any]) -> list[Any]:
    """The loss of this process's part, weighted as the loop does, and its gradient summed over processes."""
    from ticketzoo.distributed import processes
    from ticketzoo.distributed.processes import share_of

    views = torch.tensor(values)
    share = share_of(views.shape[1])
    own = views[:, share.start : share.stop].clone().requires_grad_()
    loss = nt_xent(own, 0.5, share) * (share.stop - share.start) / share.total
    loss.backward()
    whole = torch.zeros_like(views)
    assert own.grad is not None
    whole[:, share.start : share.stop] = own.grad
    return [processes.summed(loss.item())[0], processes.summed_tensor(whole).tolist()]


@pytest.mark.slow
def test_processes_compare_with_the_views_of_all(tmp_path: Any) -> None:
    """The loss and its gradient are those of one process, of shares that differ in size, too."""
    values = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1)).tolist()
    (alone,) = results_of(1, _loss_and_gradient, tmp_path, [], values)
    for loss, gradient in results_of(2, _loss_and_gradient, tmp_path, [], values):
        assert loss == pytest.approx(alone[0], abs=1e-6)
        assert torch.allclose(torch.tensor(gradient), torch.tensor(alone[1]), atol=1e-6)


def test_both_views_go_through_the_network_in_one_pass() -> None:
    """BatchNorm normalises them together: one pass a step, of twice as many images."""
    task, passes = digits(), list[int]()
    model = network(task)
    model.register_forward_pre_hook(lambda _, images: passes.append(len(images[0])))
    train(model, task, TrainingConfig.model_validate({"steps": "2it", "batch_size": 16}), seed=0, device=CPU)
    assert passes[:2] == [32, 32]


def test_a_batch_follows_from_seed_and_step_alone() -> None:
    task = digits()
    whole = [batch.images for batch in task.batches(16, 3, 0, 6, CPU)]
    assert whole[0].shape == (2, 16, 1, 8, 8)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    (later,) = (batch.images for batch in task.batches(16, 3, 5, 6, CPU))
    assert torch.equal(later, whole[5]) and torch.equal(torch.get_rng_state(), state)
    (other,) = (batch.images for batch in task.batches(16, 4, 5, 6, CPU))
    assert not torch.equal(other, later)
    assert not torch.equal(later[0], later[1])


def test_the_projection_head_is_two_layers_that_are_neither_pruned_nor_counted() -> None:
    task = digits()
    model = network(task)
    plain = create_model("resnet-14", seed=0, in_shape=(1, 8, 8), width=0.25)
    assert head_modules(model) == ["fc"]
    assert [tuple(part.weight.shape) for part in model.fc if isinstance(part, nn.Linear)] == [(16, 16), (8, 16)]
    assert prunable_parameters(model).keys() == prunable_parameters(plain).keys() - {"fc.weight"}
    assert "fc.0.weight" in prunable_parameters(model, include=["fc.0"])
    with features_of(model.eval()) as features:
        seen, made = features(torch.zeros(3, 1, 8, 8))
    assert seen.shape == (3, 16) and torch.equal(made, model.fc(seen))


@pytest.mark.parametrize("name", ["lenet-300-100", "conv-2", "vgg-16", "torchvision/mobilenet_v3_small"])
def test_other_architectures_take_a_projection_head(name: str) -> None:
    channels = 3 if "/" in name else 1
    signature = Signature(Image(channels, 32, 32), Projections(8, 16))
    assert arguments_for(name, signature)["projection"] == 16
    width = {} if "/" in name else {"width": 0.1}
    model = create_from_architecture(architecture_for(name, width, signature), 0).eval()
    assert model(torch.zeros(2, channels, 32, 32)).shape == (2, 8)
    (head,) = head_modules(model)
    assert not any(name.startswith(f"{head}.") for name in prunable_parameters(model))


def test_a_network_that_does_not_end_in_a_linear_layer_is_refused() -> None:
    with pytest.raises(ModelError, match=r"squeezenet1_1 ends in Conv2d, and a projection head takes the place of a L"):
        create_model("torchvision/squeezenet1_1", seed=0, in_shape=(3, 32, 32), num_classes=8, projection=16)


def test_weights_move_between_heads_that_differ() -> None:
    """From supervised to self-supervised training and back: all but the head."""
    under = network(digits())
    plain = create_model("resnet-14", seed=1, in_shape=(1, 8, 8), width=0.25, num_classes=4)
    assert load_given(plain, under.state_dict()) == ["fc.weight", "fc.bias"]
    assert torch.equal(plain.conv.weight, under.conv.weight)
    fresh = load_given(under, create_model("resnet-14", seed=2, in_shape=(1, 8, 8), width=0.25).state_dict())
    assert fresh == ["fc.0.weight", "fc.0.bias", "fc.2.weight", "fc.2.bias"]


def test_a_linear_classifier_tells_what_is_linear_and_no_more() -> None:
    corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]).repeat(25, 1)
    first, xor = corners[:, 0].long(), (corners.sum(1) == 1).long()
    assert linear_accuracy(corners, first, corners, first) == 1
    assert linear_accuracy(corners, xor, corners, xor) == 0.5  # nothing to be had: one class throughout


def test_the_metrics_are_of_views_and_of_features_without_the_projection_head() -> None:
    task = digits(labelled=40)
    model = network(task)
    train(model, task, TrainingConfig.model_validate({"steps": "3it", "batch_size": 32}), seed=0, device=CPU)
    model.eval()
    scores = task.evaluate(model, "test", CPU)
    assert scores.keys() == {"loss", "retrieval_accuracy", "linear_accuracy", "untrained_linear_accuracy"}
    assert scores == task.evaluate(model, "test", CPU)
    with torch.no_grad():
        model.fc[2].weight.zero_()  # all projections alike
    blind = task.evaluate(model, "test", CPU)
    count = min(256, task.examples["test"])
    assert blind["loss"] == pytest.approx(math.log(2 * count - 1), abs=1e-4)
    for name in ("retrieval_accuracy", "linear_accuracy"):
        assert blind[name] == scores[name]


def test_the_floor_is_a_guess_or_an_untrained_network() -> None:
    task = digits()
    model = network(task).eval()
    before = {name: one.clone() for name, one in model.state_dict().items()}
    with untrained(model) as is_untrained:
        assert is_untrained and not torch.equal(model.conv.weight, before["conv.weight"])
        first = model.blocks[0].conv1.weight.clone()
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    other = network(task, seed=5).eval()
    with untrained(other):
        assert torch.equal(other.blocks[0].conv1.weight, first)  # of whatever weights: one floor
    with untrained(other, draw=1):
        assert not torch.equal(other.blocks[0].conv1.weight, first)
    assert sum(task.guesses("test")["linear_accuracy"]) == pytest.approx(1)


REFUSED = [
    ({"augment": {"size": 9}}, DataError, r"size: views of 9x9 pixels are larger than the images of digits, 8x8: 8 is"),
    ({"dataset": {"on_error": "skip"}}, ValueError, "goes with image classification"),
    ({"augment": {"crop": [1.0, 0.2]}}, ValueError, r"crop: write \[least, most\]"),
    ({"temperature": 0}, ValueError, "greater than 0"),
    ({"projection": [0, 8]}, ValueError, "greater than or equal to 1"),
]


@pytest.mark.parametrize(("keys", "error", "message"), REFUSED)
def test_what_cannot_be_is_refused_in_one_line(keys: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        digits(**keys)


def test_batches_of_one_image_and_views_that_the_model_cannot_take_are_refused() -> None:
    config = {"steps": "1it", "batch_size": 1}
    with pytest.raises(RecipeError, match=r"training\.batch_size: .* has only 1, with no other to tell its views from"):
        train(network(digits()), digits(), TrainingConfig.model_validate(config), seed=0, device=CPU)
    task = digits(augment={"size": 6})
    lenet = network(task, name="lenet-300-100", width=0.1)
    with pytest.raises(
        DataError, match=r"augment\.size: the model takes no images of 6 pixels, only of 8: leave it out"
    ):
        train(lenet, task, TrainingConfig.model_validate({"steps": "1it"}), seed=0, device=CPU)
    train(network(task), task, TrainingConfig.model_validate({"steps": "1it"}), seed=0, device=CPU)


def test_a_recipe_with_another_projection_than_the_task_is_refused() -> None:
    from ticketzoo.finding.start import sized_architecture

    content = {"name": "a", "model": {"name": "resnet-14", "kwargs": {"projection": 4}}}
    task = {"type": "self-supervised", "dataset": DIGITS, "projection": [16, 8]}
    recipe = parse_recipe(content | {"task": task}, FindRecipe, "a")
    with pytest.raises(RecipeError, match=r"model\.kwargs\.projection: is 4, but digits-0-3-simclr needs 16; leave it"):
        sized_architecture(recipe.model, digits())
