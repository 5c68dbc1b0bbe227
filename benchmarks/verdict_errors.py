"""Error rates and power of the verdict's rule, simulated on the shipped designs: `python benchmarks/verdict_errors.py`.

Each experiment is one ticket; the spread of a training over seeds is 1, the margin 2, the true differences are stated:
false matching: every level is below dense by exactly the margin; false winning: one control is as good as the ticket at
every level, the others are far below, and every level matches; false winning at the margin: the same, ticket and
controls falling together from dense's mean to 1.25 margins below it, so that chance chooses the last matching level;
power: every control is 2 below the ticket. The first control is the mean of two draws, as `random_mask` is; the last is
the one that is as good. The noisy level is the one at which an error begins: the densest for matching, the sparsest for
winning. Targets of other data share 5%, and an error is one on any of them; a source has 5% of its own, and its errors
are counted apart. It prints the table of docs/verdicts.md and writes docs/results/verdict-errors.json, from which
`docs/build.py` makes the table. With an argument only designs whose names hold it are simulated; other lines stay.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ticketzoo.evaluation.decide import ALPHA, NONE, Decision, Measured, decide
from ticketzoo.evaluation.inference import Floats
from ticketzoo.evaluation.looks import left_open, nominal_levels

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results" / "verdict-errors.json"
UNTIL_DECIDED = RESULTS.with_name("verdict-errors-until-decided.json")
EXPERIMENTS = 4000
MARGIN = 2.0
AT = (3, 5, 7, 10)
"""Seeds at the looks where they are added until every level is decided."""


@dataclass(frozen=True)
class Design:
    """The trainings of a simulated ticket: levels, those with controls, controls, targets, and if one is the source."""

    levels: int
    with_controls: int
    controls: int
    targets: int = 1
    source: bool = False

    @property
    def families(self) -> list[slice]:
        """The targets that share 5%: the source alone, which is the first, and those of other data."""
        return [slice(0, 1), slice(1, None)] if self.source else [slice(None)]

    @property
    def parts(self) -> dict[str, slice]:
        """The targets whose errors are counted together, by what is added to the design's name."""
        counted = (": on the source", ": on other data", ": on either")
        return dict(zip(counted, [*self.families, slice(None)], strict=True)) if self.source else {"": slice(None)}

    @property
    def at(self) -> list[int]:
        """The levels with controls."""
        return np.linspace(0, self.levels - 1, self.with_controls).round().astype(int).tolist()

    @property
    def draws(self) -> NDArray[np.int_]:
        """The draws that a control's value is the mean of: two of the first, as of `random_mask`."""
        return np.array([[2] * self.with_controls] + [[1] * self.with_controls] * (self.controls - 1))


@dataclass(frozen=True)
class Spreads:
    """The spread of dense, of one level, and of controls; and if values are of Student's t, not normal."""

    dense: float = 1.0
    one_level: float = 1.0
    controls: float = 1.0
    heavy: bool = False


DESIGNS = {
    "15 levels, 5 with 2 controls": Design(15, 5, 2),
    "5 levels, 2 with 2 controls": Design(5, 2, 2),
    "5 levels, each with 2 controls": Design(5, 5, 2),
    "2 levels, 5 controls": Design(2, 2, 5),
    "3 targets of other data, 2 levels, 5 controls": Design(2, 2, 5, targets=3),
    "source and 2 of other data, 2 levels, 5 controls": Design(2, 2, 5, targets=3, source=True),
}
SPREADS = {
    "equal spreads": Spreads(),
    "dense three times as noisy": Spreads(dense=3.0),
    "one level three times as noisy": Spreads(one_level=3.0),
    "controls three times as noisy": Spreads(controls=3.0),
    "heavy tails (t with 3 degrees of freedom)": Spreads(heavy=True),
}


def draw(random: np.random.Generator, shape: tuple[int, ...], heavy: bool) -> Floats:
    """Numbers of variance 1."""
    return random.standard_t(3, shape) / np.sqrt(3) if heavy else random.standard_normal(shape)


def holm_shares(p_values: Floats, alpha: float) -> Floats:
    """Return each family's share of `alpha`, [..., families], by Holm's method on families of hypotheses.

    Families share it equally; one whose every hypothesis is rejected at its share passes that on to the others.

    Args:
        p_values: the largest of each family, [..., families].
        alpha: level of all of them together.
    """
    left = np.ones(p_values.shape, dtype=bool)
    shares = np.full(p_values.shape, alpha)
    for _ in range(p_values.shape[-1]):
        share = alpha / np.maximum(left.sum(axis=-1, keepdims=True), 1)
        shares = np.where(left, share, shares)
        rejected = left & (p_values <= share)
        if not rejected.any():
            break
        left &= ~rejected
    return shares


@dataclass(frozen=True)
class Experiments:
    """Values around 0: dense [n, targets, seeds], ticket [..., levels, seeds], controls [..., arms, at, seeds]."""

    design: Design
    spreads: Spreads
    dense: Floats
    ticket: Floats
    controls: Floats

    @classmethod
    def drawn(cls, design: Design, spreads: Spreads, seeds: int, correlation: float) -> "Experiments":
        """Draw them. `correlation` is that of the trainings that share a seed."""
        key = [design.levels, design.targets, seeds, int(10 * correlation)]
        random = np.random.default_rng([*key, int(spreads.dense + 10 * spreads.controls), spreads.heavy])
        outer, heavy, own = (EXPERIMENTS, design.targets), spreads.heavy, np.sqrt(1 - correlation)
        shared = np.sqrt(correlation) * draw(random, (*outer, 1, seeds), heavy)
        dense = spreads.dense * (shared[..., 0, :] + own * draw(random, (*outer, seeds), heavy))
        ticket = shared + own * draw(random, (*outer, design.levels, seeds), heavy)
        noise = draw(random, (*outer, design.controls, design.with_controls, seeds), heavy)
        noise[:, :, 0] = (noise[:, :, 0] + draw(random, noise[:, :, 0].shape, heavy)) / 2
        return cls(design, spreads, dense, ticket, spreads.controls * (shared[..., None, :] + own * noise))

    def judged(self, ticket: Floats | float, controls: Floats | float, margin: float, *, noisy: int) -> Decision:
        """Decide with means `ticket` [levels] and `controls` [arms, at] on dense's 0, the level `noisy` being so."""
        design, spread = self.design, np.ones((self.design.levels, 1))
        spread[noisy] = self.spreads.one_level
        means = np.broadcast_to(controls, design.draws.shape)
        levels = spread * self.ticket + np.broadcast_to(ticket, design.levels)[:, None]
        measured = Measured(self.dense, levels, self.controls + means[..., None], design.at, margin, design.draws)
        p_values = decide(measured).p_matching.max(axis=-1)
        shares = np.concatenate([holm_shares(p_values[:, of], ALPHA) for of in design.families], axis=-1)
        equal = np.concatenate(
            [np.full_like(p_values[:, of], ALPHA / p_values[0, of].size) for of in design.families], axis=-1
        )
        return decide(measured, alpha=shares, alpha_winning=equal)

    def rates(self) -> dict[str, dict[str, float]]:
        """The rates of the tables, by what is added to the design's name."""
        design = self.design
        far = np.full((design.controls, 1), -20.0)
        far[-1] = 0.0
        falls = -np.linspace(0, 1.25 * MARGIN, design.levels)
        worse = self.judged(-MARGIN, 0.0, MARGIN, noisy=0)
        tied = self.judged(0.0, far, 1e6, noisy=-1)
        falling = self.judged(falls, far + falls[design.at], MARGIN, noisy=-1)
        better = self.judged(0.0, -2.0, 1e6, noisy=-1)
        return {
            added: {
                "false_matching": float(worse.matching[:, of].any(axis=(-1, -2)).mean()),
                "false_winning": float(tied.winning[:, of].any(axis=(-1, -2)).mean()),
                "false_winning_at_the_margin": float(falling.winning[:, of].any(axis=(-1, -2)).mean()),
                "power": float(better.winning[:, of, -1].mean()),
            }
            for added, of in design.parts.items()
        }


def rates_until_decided(design: Design, spreads: Spreads, correlation: float, difference: float) -> dict:
    """The rates where seeds are added until every level is decided; one control is as good as the ticket.

    Every level differs from dense by `difference`; `power` is that of winning over controls that are 2 below.
    """
    levels, with_controls, arms = design.levels, design.with_controls, design.controls
    drawn = Experiments.drawn(design, spreads, AT[-1], correlation)
    dense, ticket, controls = drawn.dense[:, 0], drawn.ticket[:, 0].copy(), drawn.controls[:, 0]
    ticket[:, 0] *= spreads.one_level
    at, draws = design.at, design.draws
    level_at = nominal_levels(AT)
    far, all_below = np.array([-20.0] * (arms - 1) + [0.0]), np.full(arms, -2.0)
    claims = {"false_winning": NONE, "power": NONE}
    going, seeds = np.ones(EXPERIMENTS, dtype=bool), np.zeros(EXPERIMENTS)
    found = {key: np.zeros((EXPERIMENTS, levels), dtype=bool) for key in ("matching", "below", "open")}
    found |= {key: np.zeros((EXPERIMENTS, with_controls), dtype=bool) for key in claims}
    for count, alpha in zip(AT, level_at, strict=True):
        for key, shift in (("false_winning", far), ("power", all_below)):
            shifted = controls[..., :count] + shift[:, None, None] + difference
            measured = Measured(dense[:, :count], ticket[..., :count] + difference, shifted, at, MARGIN, draws)
            decision = decide(measured, alpha=alpha, claims=claims[key])
            claims[key] = decision.claims
            found[key][going] = decision.winning[going]
        seeds[going] = count
        for key, labels in (("matching", decision.matching), ("below", decision.below)):
            found[key][going] = labels[going]
        found["open"][going] = (opened := left_open(decision, MARGIN, alpha))[going]
        going &= opened.any(axis=-1)
    return {
        "difference": difference,
        "matching": float(found["matching"].any(axis=-1).mean()),
        "below": float(found["below"].any(axis=-1).mean()),
        "false_winning": float(found["false_winning"].any(axis=-1).mean()),
        "power": float(found["power"][:, -1].mean()),
        "seeds": float(seeds.mean()),
        "decided": float(1 - found["open"].any(axis=-1).mean()),
        "decided_levels": float((found["matching"] | found["below"]).mean()),
    }


def kept(path: Path, new: list[dict], names: Iterable[str]) -> list[dict]:
    """Return `new` rates, with those in the file `path` of other designs among `names`, in the order of `names`."""
    old = json.loads(path.read_text())["rates"] if path.exists() else []
    order, done = list(names), {one["design"] for one in new}
    stay = [one for one in old if one["design"] in order and one["design"] not in done]
    return sorted(stay + new, key=lambda one: order.index(one["design"]))


def main(asked: str = "") -> None:
    """Simulate the designs whose names hold `asked`, write the rates and print the new ones."""
    designs = {name: design for name, design in DESIGNS.items() if asked in name}
    found = [
        {"design": name + added, "spreads": words, "seeds": seeds, "correlation": correlation} | rates
        for name, design in designs.items()
        for words, spreads in SPREADS.items()
        for correlation in (0.0, 0.5)
        for seeds in (3, 5)
        for added, rates in Experiments.drawn(design, spreads, seeds, correlation).rates().items()
    ]
    every = [name + added for name, design in DESIGNS.items() for added in design.parts]
    content = {"experiments": EXPERIMENTS, "rates": kept(RESULTS, found, every)}
    RESULTS.write_text(json.dumps(content, indent=1) + "\n")
    added = [
        {"design": name, "spreads": words, "correlation": correlation}
        | rates_until_decided(design, spreads, correlation, difference)
        for name, design in designs.items()
        for words, spreads in SPREADS.items()
        for correlation in (0.0, 0.5)
        for difference in (0.0, -MARGIN)
        if design.targets == 1
    ]
    content = {"experiments": EXPERIMENTS, "seeds": AT, "rates": kept(UNTIL_DECIDED, added, DESIGNS)}
    UNTIL_DECIDED.write_text(json.dumps(content, indent=1) + "\n")
    for one in [*found, *added]:
        print(*one.values(), sep=" | ")


if __name__ == "__main__":
    main(*sys.argv[1:2])
