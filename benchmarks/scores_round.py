"""A global round by signed float64 scores over BERT-base's 85.5 million weights, against one by magnitudes."""

from collections.abc import Callable
from functools import partial

import torch
from bert import levels, random_weights
from measuring import Goal, Report, Row, Stopwatch, arguments, parse, take_turns

from ticketzoo.masks.masks import Masks, kept, total
from ticketzoo.masks.topk import keep_highest, keep_largest

RATE = 0.2


def main() -> None:
    """Measure a round from the dense network: by magnitude, by scores, and by scores of eligible weights."""
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--layers", type=int, default=12, help="transformer layers; BERT-base has 12")
    options = parse(parser)
    weights = random_weights(options.layers)
    (masks,) = levels(weights, 0, RATE)
    scores = {name: weight.double() for name, weight in weights.items()}
    eligible = {name: torch.rand(weight.shape) < 0.7 for name, weight in weights.items()}
    count = total(masks) - round(RATE * total(masks))
    ways: dict[str, Callable[[], Masks]] = {
        "keep_largest": partial(keep_largest, weights, masks, count),
        "signed float64 scores": partial(keep_highest, scores, masks, count),
        "70% eligible, which all stay": partial(keep_highest, scores, masks, count, eligible=eligible),
        "70% eligible, half of which stay": partial(
            keep_highest, scores, masks, round(0.35 * total(masks)), eligible=eligible
        ),
    }
    samples = take_turns({name: partial(seconds, way) for name, way in ways.items()}, options.rounds)
    goal = Goal(2, "ratio") if options.layers == 12 else None
    by_magnitude = samples.pop("keep_largest")
    rows = [Row(case, "s", taken, "keep_largest", by_magnitude, goal) for case, taken in samples.items()]
    found = {name: kept(way()) for name, way in ways.items()}
    facts = {"weights": f"{total(masks):,}", **{f"kept: {name}": f"{number:,}" for name, number in found.items()}}
    Report("Global round by scores", rows, facts).print(options.json)


def seconds(way: Callable[[], Masks]) -> float:
    """Seconds that a round took."""
    with Stopwatch() as watch:
        way()
    return watch.seconds


if __name__ == "__main__":
    main()
