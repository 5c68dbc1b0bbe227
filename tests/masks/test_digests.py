import hashlib

import pytest
import torch

from ticketzoo.masks.digests import masks_sha256, state_sha256

MASKS = {"a": torch.tensor([[True, False], [True, True]]), "b": torch.tensor([False])}


def test_mask_digest_is_that_of_names_shapes_and_bits() -> None:
    text = b'["a", "mask", [2, 2]]\n\x0d["b", "mask", [1]]\n\x00'
    assert masks_sha256(MASKS) == hashlib.sha256(text).hexdigest()
    assert masks_sha256(dict(reversed(MASKS.items()))) == masks_sha256(MASKS)
    assert masks_sha256({"a": MASKS["a"].T.contiguous().T, "b": MASKS["b"]}) == masks_sha256(MASKS)


def test_mask_digest_tells_masks_apart() -> None:
    flat = {"a": MASKS["a"].reshape(4), "b": MASKS["b"]}
    renamed = {"c": MASKS["a"], "b": MASKS["b"]}
    longer = {"a": MASKS["a"], "b": torch.tensor([False, False])}
    assert len({masks_sha256(masks) for masks in (MASKS, flat, renamed, longer)}) == 4


def test_state_digest_is_that_of_names_dtypes_shapes_and_little_endian_bytes() -> None:
    state = {"w": torch.tensor([1.0, -2.0], dtype=torch.bfloat16), "n": torch.tensor(258)}
    text = b'["n", "int64", []]\n\x02\x01\x00\x00\x00\x00\x00\x00["w", "bfloat16", [2]]\n\x80\x3f\x00\xc0'
    assert state_sha256(state) == hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64, torch.int32, torch.bool, torch.uint8])
def test_state_digest_of_every_dtype(dtype: torch.dtype) -> None:
    one, other = torch.tensor([[1, 0]]).to(dtype), torch.tensor([[0, 1]]).to(dtype)
    assert state_sha256({"w": one}) == state_sha256({"w": one.clone()}) != state_sha256({"w": other})
