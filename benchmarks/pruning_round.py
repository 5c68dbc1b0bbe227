"""A global magnitude pruning round over BERT-base's 85.5 million weights, against torch.nn.utils.prune."""

from bert import levels, random_weights
from measuring import Goal, Report, Row, Stopwatch, arguments, parse, take_turns
from torch import Tensor, nn
from torch.nn.utils import prune

from ticketzoo.masks.masks import Masks, is_subset, kept, total
from ticketzoo.pruning.config import PruningConfig
from ticketzoo.pruning.magnitude import prune_by_magnitude

RATE = 0.2
LEVELS = (0, 5)


def main() -> None:
    """Measure a round from the dense network and one from level 5."""
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--layers", type=int, default=12, help="transformer layers; BERT-base has 12")
    options = parse(parser)
    weights = random_weights(options.layers)
    masks = levels(weights, max(LEVELS), RATE)
    rows, facts = [], {"weights": f"{total(masks[0]):,}"}
    for level in LEVELS:
        ours, theirs = Ours(weights, masks[level]), Theirs(weights, masks[level])
        samples = take_turns({"ours": ours.run, "theirs": theirs.run}, options.rounds)
        goal = Goal(0.3, "ours") if options.layers == 12 else None
        case = f"round {level + 1}, density {kept(masks[level]) / total(masks[level]):.2f} before"
        rows.append(Row(case, "s", samples["ours"], "global_unstructured", samples["theirs"], goal))
        facts |= agreement(level, masks[level], ours.pruned, theirs.pruned)
    Report("Global pruning round", rows, facts).print(options.json)


def agreement(level: int, before: Masks, ours: Masks, theirs: Masks) -> dict[str, str]:
    """Tell whether each removed as many as asked for, and where they differ."""
    survivors = kept(before)
    asked = survivors - round(RATE * survivors)
    different = sum(int((ours[name] != theirs[name]).sum()) for name in ours)
    return {
        f"round {level + 1}, to be kept": f"{asked:,}",
        f"round {level + 1}, kept by ours": f"{kept(ours):,}, nested: {is_subset(ours, before)}",
        f"round {level + 1}, kept by theirs": f"{kept(theirs):,}, nested: {is_subset(theirs, before)}",
        f"round {level + 1}, weights on which they differ (ties)": f"{different:,}",
    }


class Ours:
    """A round by `prune_by_magnitude`."""

    def __init__(self, weights: dict[str, Tensor], masks: Masks) -> None:
        self.weights, self.masks = weights, masks

    def run(self) -> float:
        """Seconds that the round took."""
        with Stopwatch() as watch:
            self.pruned = prune_by_magnitude(self.weights, self.masks, PruningConfig(rate=RATE))
        return watch.seconds


class Theirs:
    """The same round by `torch.nn.utils.prune`, on modules made ready as its users have them."""

    def __init__(self, weights: dict[str, Tensor], masks: Masks) -> None:
        self.weights, self.masks = weights, masks

    def run(self) -> float:
        """Seconds that the round took; preparing the modules is not counted."""
        modules = {name: self._module(name) for name in self.weights}
        with Stopwatch() as watch:
            prune.global_unstructured(
                [(module, "weight") for module in modules.values()], pruning_method=prune.L1Unstructured, amount=RATE
            )
        self.pruned = {name: module.get_buffer("weight_mask").bool() for name, module in modules.items()}
        return watch.seconds

    def _module(self, name: str) -> nn.Module:
        module = nn.Module()
        module.weight = nn.Parameter(self.weights[name])
        if not self.masks[name].all():
            prune.custom_from_mask(module, "weight", self.masks[name])
        return module


if __name__ == "__main__":
    main()
