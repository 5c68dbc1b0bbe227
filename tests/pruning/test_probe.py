"""Probes of real networks: which data, which mode, over several processes."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from launched import results_of
from tiny_bert import random_masks, tiny_architecture, tiny_bert, tokens
from torch import Tensor, nn
from torch.nn import functional as F

from ticketzoo.data.splits import balanced_batches
from ticketzoo.errors import RunError
from ticketzoo.finding.method import Start
from ticketzoo.masks.digests import state_sha256
from ticketzoo.models import architecture_of, create_model, model_state, prunable_parameters
from ticketzoo.models.create import arguments_for
from ticketzoo.models.state import State
from ticketzoo.pruning.task_probe import TaskProbe
from ticketzoo.seeds import derive_seed
from ticketzoo.tasks import create_task
from ticketzoo.tasks.image_classification import ImageClassification, ImageClassificationConfig

CPU = torch.device("cpu")
SCORE_SEED = derive_seed(3, "score-data")
"""Of the data of `probe_of`, whose seed is 3."""


def at_once(kind: str, specification: Mapping[str, Any], compute: Callable[[], State]) -> State:
    return compute()


def digits(**keys: Any) -> ImageClassification:
    dataset = {"path": "digits", "validation": 0}
    content = {"type": "image-classification", "dataset": dataset, "normalize": "unit"} | keys
    task = create_task(ImageClassificationConfig.model_validate(content))
    assert isinstance(task, ImageClassification)
    return task


def probe_of(name: str, *, device: torch.device = CPU, **keys: Any) -> TaskProbe:
    task = digits(**keys)
    arguments = arguments_for(name, task.signature)
    model = create_model(name, seed=0, **arguments)
    state = model_state(model)
    masks = {name: torch.ones(weight.shape).bool() for name, weight in prunable_parameters(model).items()}
    return TaskProbe(architecture_of(name, arguments), task, state, Start(lambda: state), masks, 3, device, at_once)


@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=60),
    batch_size=st.integers(1, 20),
    per_class=st.integers(1, 4),
)
def test_classes_take_turns(labels: list[int], batch_size: int, per_class: int) -> None:
    """Until a class has no more rows, classes differ by one at most; an epoch has every row once."""
    every = torch.tensor(labels)
    batches, seen = balanced_batches(every, batch_size, 0, per_class=per_class), list[int]()
    while len(seen) < len(labels):
        batch = next(batches)
        assert len(batch) <= min(batch_size, per_class * len(every.unique()))
        seen += batch.tolist()
        counts, sizes = Counter(every[seen].tolist()), Counter(labels)
        assert all(counts[one] == sizes[one] or counts[one] >= max(counts.values()) - 1 for one in sizes)
    assert sorted(seen) == list(range(len(labels)))


def test_scores_see_ten_images_of_each_digit_as_they_are() -> None:
    """Training crops, flips and rotates; scores do not."""
    plain = digits()
    first, second = digits(augment={"crop": 2, "flip": True}).score_batches(128, 5, 2, CPU)
    assert Counter(first.labels.tolist()) == Counter(second.labels.tolist()) == dict.fromkeys(range(10), 10)
    assert not torch.equal(first.images, second.images)

    class Seen(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            self.x = x
            return x.flatten(1)[:, :10]

    seen, augmented = Seen(), digits(augment={"crop": 2, "flip": True})
    augmented.loss(seen, first)
    (same,) = plain.score_batches(128, 5, 1, CPU)
    assert torch.equal(seen.x, same.images)
    (other,) = plain.score_batches(128, 6, 1, CPU)
    assert not torch.equal(same.images, other.images)


def test_gradients_are_those_of_the_batch_with_batch_norm_in_training_mode() -> None:
    probe = probe_of("resnet-20")
    found = probe.gradients()
    model = create_model("resnet-20", seed=0, **arguments_for("resnet-20", probe.task.signature)).train()
    (batch,) = digits().score_batches(128, SCORE_SEED, 1, CPU)
    F.cross_entropy(model(batch.images), batch.labels).backward()
    for name, parameter in prunable_parameters(model).items():
        torch.testing.assert_close(found[name], parameter.grad)
    assert state_sha256(probe.gradients()) == state_sha256(found)


def test_the_network_of_a_probe_has_batch_norm_in_training_mode_and_no_dropout() -> None:
    model = probe_of("resnet-20").model()
    training = {type(module).__name__ for module in model.modules() if module.training}
    assert training == {"BatchNorm2d"}


def test_the_gradient_of_two_batches_is_the_mean_of_theirs() -> None:
    probe = probe_of("lenet-300-100")
    model, found = probe.model(), probe.gradients(batches=2)
    losses = [probe.task.loss(model, batch) for batch in digits().score_batches(128, SCORE_SEED, 2, CPU)]
    (torch.stack(losses).mean()).backward()
    for name, parameter in prunable_parameters(model).items():
        torch.testing.assert_close(found[name], parameter.grad)


def test_norms_of_the_inputs_of_convolutions_are_by_channel() -> None:
    probe = probe_of("resnet-20")
    norms = probe.input_norms()
    (batch,) = digits().score_batches(128, SCORE_SEED, 1, CPU)
    torch.testing.assert_close(norms["conv.weight"], batch.images.square().sum((0, 2, 3)).sqrt())
    assert {name: len(norm) for name, norm in norms.items()} == {
        name: mask.shape[1] for name, mask in probe.masks.items()
    }


def gradients_of_processes() -> list[list[float]]:
    probe = probe_of("lenet-300-100")
    found = probe.gradients(batches=2), probe.hessian_vector(probe.weights), probe.input_norms()
    return [part["fc2.weight"].flatten()[::10].tolist() for part in found]


@pytest.mark.slow
def test_processes_share_the_work_and_end_with_the_same_bits(tmp_path: Path) -> None:
    alone = gradients_of_processes()
    first, second = results_of(2, gradients_of_processes, tmp_path)
    assert first == second
    for one, other in zip(first, alone, strict=True):
        torch.testing.assert_close(torch.tensor(one), torch.tensor(other), rtol=1e-4, atol=1e-6)


def test_hessian_products_are_symmetric() -> None:
    """u H v = v H u, for any u and v; the numbers of a small network are in test_criteria.py."""
    probe = probe_of("lenet-300-100")
    generator = torch.Generator().manual_seed(0)
    first, second = ({n: torch.randn(m.shape, generator=generator) for n, m in probe.masks.items()} for _ in range(2))
    along_first, along_second = probe.hessian_vector(first), probe.hessian_vector(second)
    one = sum(float((second[name] * along_first[name]).sum()) for name in probe.masks)
    other = sum(float((first[name] * along_second[name]).sum()) for name in probe.masks)
    assert one == pytest.approx(other, rel=1e-3) and abs(one) > 1e-3
    with pytest.raises(RunError, match=r"needs 'fc1.weight' of shape \[300, 64\]"):
        probe.hessian_vector({})


class Texts:
    """Tells whether texts of random tokens begin with an even one, by a transformer with dropout."""

    identity = "texts"

    def batches(self, batch_size: int, seed: int, start: int, stop: int, device: torch.device) -> Any:
        return iter([tokens(seed) for _ in range(start, stop)])

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        return F.cross_entropy(model(input_ids=batch).logits, batch[:, 0] % 2)

    def size(self, batch: Tensor) -> int:
        return len(batch)


def test_a_transformer_has_second_derivatives_and_dropout_does_not_touch_scores() -> None:
    architecture = tiny_architecture("text-classification", 2)
    state = model_state(tiny_bert("text-classification", num_labels=2))
    masks = {f"bert.{name}": mask for name, mask in random_masks().items()}
    task: Any = Texts()
    probe = TaskProbe(architecture, task, state, Start(lambda: state), masks, 0, CPU, at_once)
    gradients = probe.gradients()
    assert state_sha256(gradients) == state_sha256(probe.gradients())
    model = probe.model()
    task.loss(model, tokens(derive_seed(0, "score-data"))).backward()
    query = "bert.encoder.layer.0.attention.self.query.weight"
    torch.testing.assert_close(gradients[query], model.get_parameter(query).grad)
    product = probe.hessian_vector(gradients)
    assert all(torch.isfinite(part).all() and part[~masks[name]].eq(0).all() for name, part in product.items())
    assert product[query].any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_as_on_the_cpu() -> None:
    here, there = (probe_of("resnet-20", device=torch.device(device)) for device in ("cpu", "cuda"))
    for name, gradient in here.gradients().items():
        torch.testing.assert_close(there.gradients()[name], gradient, rtol=1e-3, atol=1e-4)
    for name, norm in here.input_norms().items():
        torch.testing.assert_close(there.input_norms()[name], norm, rtol=1e-3, atol=1e-4)
