"""A 70% sparse ticket of BERT-base that refers to its weights: its size, and the time to load its masks."""

import tempfile
from pathlib import Path

import torch
from bert import random_weights
from measuring import Goal, Report, Row, Stopwatch, arguments, parse, take_turns

from ticketzoo import Ticket, load_ticket
from ticketzoo.masks.masks import total
from ticketzoo.masks.topk import keep_largest
from ticketzoo.models import architecture_of
from ticketzoo.ticket import BaseWeights, Found

SPARSITY = 0.7


def main() -> None:
    """Random weights in BERT-base's shapes; the ticket names a commit and a digest in their place."""
    options = parse(arguments(__doc__, rounds=5))
    weights = random_weights()
    dense = {name: torch.ones(weight.shape, dtype=torch.bool) for name, weight in weights.items()}
    masks = keep_largest(weights, dense, round((1 - SPARSITY) * total(dense)))
    ticket = Ticket.create(
        name="bert-base.random-magnitude",
        architecture=architecture_of("transformers/bert", {"head": "fill-mask"}),
        task="fill-mask",
        source={"dataset": "none"},
        pruning={"method": "magnitude", "scope": "global", "rate": SPARSITY},
        replicates=[Found(0, {1: masks})],
        base=BaseWeights("somebody/bert", "0" * 40, weights),
    )
    with tempfile.TemporaryDirectory() as parent:
        folder = ticket.save_pretrained(Path(parent) / "ticket")
        dense_file = Path(parent) / "masks.pt"
        torch.save({name: mask.float() for name, mask in masks.items()}, dense_file)

        def ours() -> float:
            with Stopwatch() as watch:
                loaded = load_ticket(str(folder), masks_only=True).masks
            assert all(torch.equal(mask, masks[name]) for name, mask in loaded.items())
            return watch.seconds

        def theirs() -> float:
            with Stopwatch() as watch:
                {name: mask != 0 for name, mask in torch.load(dense_file, weights_only=True).items()}
            return watch.seconds

        samples = take_turns({"ours": ours, "theirs": theirs}, options.rounds)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        facts = {
            "weights": f"{total(masks):,}",
            "sparsity": ticket.sparsity,
            "the ticket's folder": f"{size:,} bytes (goal: at most 11 MB)",
            "float32 masks by torch.save": f"{dense_file.stat().st_size:,} bytes",
        }
    row = Row(
        "load and check the masks", "s", samples["ours"], "torch.load, float32", samples["theirs"], Goal(2, "ours")
    )
    Report("A BERT-base ticket by reference", [row], facts).print(options.json)


if __name__ == "__main__":
    main()
