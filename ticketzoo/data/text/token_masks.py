"""Tokens that a masked language model must guess, and what it sees in their place (Devlin 2019, section 3.1)."""

import torch
from torch import Tensor

from ticketzoo.data.text.tokenizer import Tokenizer

SEEN_AS_MASK = 0.8
SEEN_AS_ANOTHER = 0.1
"""Of the tokens to guess; the rest are seen as they are."""


def mask_tokens(ids: Tensor, tokenizer: Tokenizer, probability: float, seed: int) -> tuple[Tensor, Tensor]:
    """Draw from `seed` the tokens to guess: each of `ids`, int [n], with `probability`, special ones never.

    Where chance chooses none, one is chosen all the same, if there is one that is not special.

    Returns:
        the ids that the model sees, int64 [n]: 80% of those to guess are the mask token, 10% any token of the
        vocabulary; and bool [n], which are to be guessed.
    """
    generator = torch.Generator().manual_seed(seed)
    ids = ids.long()
    draw = torch.rand(len(ids), generator=generator).masked_fill(tokenizer.special[ids], torch.inf)
    chosen = draw < probability
    if not chosen.any() and len(ids):
        chosen[draw.argmin()] = draw.min() < torch.inf
    how = torch.rand(len(ids), generator=generator)
    others = torch.randint(tokenizer.vocabulary, (len(ids),), generator=generator)
    assert tokenizer.mask is not None
    seen = ids.masked_fill(chosen & (how < SEEN_AS_MASK), tokenizer.mask)
    another = chosen & (how >= SEEN_AS_MASK) & (how < SEEN_AS_MASK + SEEN_AS_ANOTHER)
    return torch.where(another, others, seen), chosen
