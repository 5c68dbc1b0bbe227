"""Attacks on images by hand: a linear model in closed form, one step that is FGSM, a budget of nothing."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from launched import results_of
from torch import Tensor, nn

from ticketzoo.data.images.operations import Normalize
from ticketzoo.distributed.processes import Share
from ticketzoo.errors import RecipeError
from ticketzoo.masks.attach import attach
from ticketzoo.recipe import parse_recipe
from ticketzoo.tasks import create_task
from ticketzoo.tasks.adversarial import AdversarialConfig, Adversary, Attack
from ticketzoo.tasks.image_classification import ImageClassification, ImageClassificationConfig
from ticketzoo.training import TrainingConfig, train

CPU = torch.device("cpu")
UNIT = Normalize(torch.zeros(1), torch.ones(1))


def adversary(normalize: Normalize = UNIT, **keys: Any) -> Adversary:
    return Adversary(AdversarialConfig.model_validate({"epsilon": 0.1, **keys}), normalize)


def digits(*, dataset: dict[str, Any] | None = None, **adversarial: Any) -> ImageClassification:
    section: dict[str, Any] = {"type": "image-classification", "dataset": {"path": "digits"} | (dataset or {})}
    task = create_task(ImageClassificationConfig.model_validate(section | {"adversarial": adversarial}))
    assert isinstance(task, ImageClassification)
    return task


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))


def trained_on(task: ImageClassification, steps: str = "60it") -> nn.Sequential:
    model = network()
    train(model, task, TrainingConfig.model_validate({"steps": steps, "batch_size": 32}), seed=0, device=CPU)
    return model.eval()


def logistic_regression() -> tuple[nn.Sequential, Tensor, Tensor]:
    """A linear model of digits 3 and 8: two scores whose difference is w x + b. Returns it, w [64] and b."""
    from sklearn.linear_model import LogisticRegression

    train_split = digits(dataset={"classes": [3, 8]}, epsilon=0)._train
    images, labels = train_split.batch(torch.arange(len(train_split)), CPU)
    fitted = LogisticRegression(max_iter=1000).fit((images / 255).flatten(1).numpy(), labels.numpy())
    weights, bias = torch.tensor(fitted.coef_[0]).float(), torch.tensor(fitted.intercept_[0]).float()
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.stack([-weights / 2, weights / 2]))
        model[1].bias.copy_(torch.stack([-bias / 2, bias / 2]))
    return model, weights, bias


@pytest.mark.parametrize("attack", [{"attack": "fgsm"}, {"steps": 20}, {"steps": 7, "restarts": 2}])
def test_a_linear_model_is_robust_where_its_margin_is_above_epsilon_times_the_l1_norm(attack: dict[str, Any]) -> None:
    """Of images away from 0 and 1, so that the whole budget is inside the box: an exact count."""
    model, weights, bias = logistic_regression()
    task = digits(dataset={"classes": [3, 8]}, epsilon=0)
    pixels, labels = task._held_out["test"].batch(torch.arange(71), CPU)
    images = (64 + pixels.float() / 2).to(torch.uint8)  # 64 to 191 of 255
    sign = 2 * labels - 1
    for epsilon in (0.01, 0.05, 0.1, 0.2):
        margins = sign * ((images / 255).flatten(1) @ weights + bias)
        robust = int((margins > epsilon * weights.abs().sum()).sum())
        _, right, found = adversary(epsilon=epsilon, evaluate=attack).tally(model, images, labels).tolist()
        assert (right, found) == (int((margins > 0).sum()), robust)


@pytest.mark.parametrize("attack", [{"attack": "fgsm"}, {"steps": 20}])
def test_robust_accuracy_on_digits_is_that_of_the_worst_corner_of_the_box(attack: dict[str, Any]) -> None:
    """Digits have many pixels of exactly 0, which can only grow: the worst image is a corner that is clamped."""
    model, weights, bias = logistic_regression()
    task = digits(dataset={"classes": [3, 8]}, epsilon="16/255", evaluate=attack)
    task._adversary = Adversary(AdversarialConfig.model_validate({"epsilon": "16/255", "evaluate": attack}), UNIT)
    images, labels = task._held_out["test"].batch(torch.arange(task.examples["test"]), CPU)
    sign = (2 * labels - 1)[:, None]
    worst = ((images / 255).flatten(1) - sign * weights.sign() * 16 / 255).clamp(0, 1)
    right = int(((worst @ weights + bias) * sign[:, 0] > 0).sum())
    scores = task.evaluate(model, "test", CPU)
    assert scores["robust_accuracy"] == right / len(labels) < scores["accuracy"]


def test_pgd_of_one_step_from_the_image_is_fgsm() -> None:
    model, images, labels = network().eval(), torch.rand(8, 1, 8, 8), torch.arange(8)
    normalize = Normalize(torch.tensor([0.3]), torch.tensor([0.2]))
    by = adversary(normalize)
    fgsm = by.changed(adversary(attack="fgsm").config.training, model, images, labels)
    one = adversary(attack="pgd", steps=1, step=0.1, random_start=False).config.training
    assert torch.equal(fgsm, by.changed(one, model, images, labels))
    leaf = images.clone().requires_grad_()
    nn.functional.cross_entropy(model((leaf - 0.3) / 0.2), labels).backward()
    assert leaf.grad is not None and torch.equal(fgsm, (images + 0.1 * leaf.grad.sign()).clamp(0, 1))


def test_epsilon_0_is_the_clean_accuracy_exactly() -> None:
    """And training with it is training without: the same weights, bit by bit."""
    plain = create_task(
        ImageClassificationConfig.model_validate({"type": "image-classification", "dataset": {"path": "digits"}})
    )
    nothing = digits(epsilon=0)
    assert isinstance(plain, ImageClassification)
    states = [trained_on(task, "12it").state_dict() for task in (plain, nothing)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    model = network().eval()
    clean, scores = plain.evaluate(model, "test", CPU), nothing.evaluate(model, "test", CPU)
    assert scores["accuracy"] == scores["robust_accuracy"] == clean["accuracy"]
    assert scores["loss"] == pytest.approx(clean["loss"])


@settings(max_examples=15)
@given(st.floats(0, 1), st.integers(1, 4), st.booleans(), st.floats(1e-3, 1), st.integers(0, 99))
def test_every_changed_image_is_within_epsilon_and_0_to_1(
    epsilon: float, steps: int, random: bool, step: float, seed: int
) -> None:
    torch.manual_seed(seed)
    pixels, start = torch.randint(256, (4, 1, 8, 8)) / 255, torch.rand(4, 1, 8, 8)
    attack = Attack("PGD", epsilon, step, steps, random)
    found = adversary().changed(attack, network().eval(), pixels, torch.arange(4), start if random else None)
    assert found.min() >= 0 and found.max() <= 1
    assert (found - pixels).abs().max() <= epsilon + 1e-6


def test_pgd_20_leaves_no_more_robust_than_fgsm_and_nothing_more_than_clean() -> None:
    model = trained_on(digits(epsilon=0))
    fgsm, pgd = (
        digits(epsilon=0.1, evaluate=of).evaluate(model, "test", CPU) for of in ({"attack": "fgsm"}, {"steps": 20})
    )
    assert pgd["robust_accuracy"] <= fgsm["robust_accuracy"] < fgsm["accuracy"] == pgd["accuracy"]
    assert pgd["loss"] >= fgsm["loss"]


def test_training_on_attacked_images_makes_a_network_robust() -> None:
    task = digits(epsilon=0.1, steps=3, evaluate={"steps": 5})
    naturally, adversarially = (
        task.evaluate(trained_on(one, "150it"), "test", CPU) for one in (digits(epsilon=0), task)
    )
    assert adversarially["robust_accuracy"] > naturally["robust_accuracy"] + 0.1


def test_crafting_touches_no_gradient_no_running_statistic_and_no_mode() -> None:
    model = network()
    attach(model, {"4.weight": torch.arange(1440).view(10, 144) % 3 > 0})
    model[1].eval()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    modes, before = [one.training for one in model.modules()], {k: v.clone() for k, v in model.state_dict().items()}
    images = torch.randint(256, (6, 1, 8, 8), dtype=torch.uint8)
    adversary().against(model, images, torch.arange(6), Share(6, 0, 6))
    assert [one.training for one in model.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all((parameter.grad == 1).all() for parameter in model.parameters() if parameter.grad is not None)


def test_random_starts_of_a_share_are_those_of_the_whole_batch() -> None:
    model, images = network().eval(), torch.randint(256, (6, 1, 8, 8), dtype=torch.uint8)
    changed = []
    for share in (Share(6, 0, 6), Share(6, 2, 5)):
        torch.manual_seed(1)
        changed.append(adversary().against(model, share.of(images), share.of(torch.arange(6)), share))
    torch.testing.assert_close(changed[0][2:5], changed[1])


def train_on_processes() -> dict[str, Any]:
    model = network()
    keys = {"epsilon": 0.1, "steps": 2, "evaluate": {"steps": 2}}
    task = digits(dataset={"classes": [0, 1, 2], "examples": 61}, **keys)
    settings = {"steps": "9it", "batch_size": 15, "sync_batchnorm": True}
    record = train(model, task, TrainingConfig.model_validate(settings), seed=3, device=CPU)
    return {"final": record.final, "weights": model[4].weight.flatten().tolist()}


@pytest.mark.slow
def test_two_processes_train_and_measure_what_one_does(tmp_path: Any) -> None:
    """To the sign of gradients that are 0 but for rounding, each of which moves a pixel by a step."""
    (alone,) = results_of(1, train_on_processes, tmp_path)
    both = results_of(2, train_on_processes, tmp_path)
    assert both[0] == both[1]
    assert both[0]["weights"] == pytest.approx(alone["weights"], abs=5e-3)
    assert both[0]["final"] == pytest.approx(alone["final"], abs=0.02)


def test_the_attack_is_part_of_what_the_numbers_depend_on() -> None:
    task = digits(epsilon="8/255")
    assert task.identity["adversarial"] == {"epsilon": 8 / 255} and task.name == "digits-adversarial"
    assert task.metric.name == "robust_accuracy" and task.guesses("test")["robust_accuracy"][0] > 0
    plain = ImageClassificationConfig.model_validate({"type": "image-classification", "dataset": {"path": "digits"}})
    assert "adversarial" not in plain.model_dump() and "adversarial" not in create_task(plain).identity
    assert str(task.resident(CPU)).endswith("changed against the network")


def test_attacks_in_words() -> None:
    config = AdversarialConfig.model_validate({"epsilon": "8/255", "evaluate": {"restarts": 3}})
    assert config.words == (
        "pixels changed by 8/255 at most; trained on PGD-10 (steps of 2/255, random start), "
        "robust accuracy by PGD-20 (steps of 1/255, random start), the worst of 3 starts"
    )
    fast = AdversarialConfig.model_validate({"epsilon": 0.2, "attack": "fgsm", "random_start": True})
    assert fast.training.words == "FGSM (a step of 0.25, random start)"


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"epsilon": 8}, "8 is beyond the range of pixels, which are from 0 to 1: write such as 0.1 or 8/255"),
        ({"epsilon": "8/0"}, "'8/0' is beyond the range of pixels"),
        ({"epsilon": "-1/255"}, "'-1/255' is beyond"),
        ({"epsilon": "-8/-255"}, "'-8/-255' is beyond"),
        ({"epsilon": "0/"}, "'0/' is beyond"),
        ({"epsilon": 0.1, "step": "2"}, "'2' is beyond"),
        ({"epsilon": "1e999999999"}, "'1e999999999' is beyond"),  # no number with so many digits is made
        ({"epsilon": 0.1, "attack": "fgsm", "steps": 4}, "fgsm takes one step, not 4"),
        ({"epsilon": 0.1, "evaluate": {"attack": "fgsm", "restarts": 2}}, "fgsm starts at the image"),
        ({}, "epsilon"),
    ],
)
def test_a_budget_that_cannot_be_is_an_error_of_one_line(section: dict[str, Any], said: str) -> None:
    task = {"type": "image-classification", "dataset": {"path": "digits"}, "adversarial": section}
    with pytest.raises(RecipeError) as refused:
        parse_recipe(task, ImageClassificationConfig, "recipe")
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_a_network_that_ends_in_one_class_is_refused() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    with pytest.raises(RecipeError, match="the network ends in one class"):
        adversary().tally(model, torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64))
