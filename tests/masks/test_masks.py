import pytest
import torch

from ticketzoo.errors import TicketError
from ticketzoo.masks.masks import check_masks, is_subset, kept, sparsity, sparsity_of, total

MASKS = {"a": torch.tensor([[True, False], [True, True]]), "b": torch.tensor([False])}


def test_counts_and_sparsity() -> None:
    assert (kept(MASKS), total(MASKS), sparsity(MASKS)) == (3, 5, 0.4)


def test_sparsity_is_the_nearest_float_to_the_fraction_removed() -> None:
    assert sparsity_of(8, 10) == 0.2  # 1 - 8/10 would be 0.19999999999999996


def test_subset() -> None:
    fewer = {"a": torch.tensor([[True, False], [False, True]]), "b": torch.tensor([False])}
    assert is_subset(fewer, MASKS) and is_subset(MASKS, MASKS)
    assert not is_subset(MASKS, fewer)
    assert not is_subset({"a": fewer["a"]}, MASKS)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(2, 2), "mask 'a' must be a bool tensor, True = kept, not torch.float32"),
        (torch.ones(2, 3).bool(), r"mask 'a' does not fit the model: it has shape \(2, 3\), its parameter \(2, 2\)"),
    ],
)
def test_a_mask_of_another_kind_is_named(mask: torch.Tensor, message: str) -> None:
    with pytest.raises(TicketError, match=message):
        check_masks({"a": mask}, {"a": (2, 2)})
