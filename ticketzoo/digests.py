import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def digest_tensors(tensors: Mapping[str, Tensor]) -> str:
    """sha256, in hexadecimal, of named tensors: names, dtypes, shapes and values in C order, whatever file holds them.

    The order of the mapping does not matter; -0.0 and 0.0 differ, as bits do.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().data if tensor.numel() else b"")
    return digest.hexdigest()
