"""Error rates and power of the verdict's rule, simulated on the shipped designs: `python benchmarks/verdict_errors.py`.

Each experiment is one ticket; the spread of a training over seeds is 1, the margin 2, the true differences are stated:
false matching: every level is below dense by exactly the margin; false winning: one control is as good as the ticket at
every level, the others are far below, and every level matches; false winning at the margin: the same, ticket and
controls falling together from dense's mean to 1.25 margins below it, so that chance chooses the last matching level;
power: every control is 2 below the ticket. It prints the table of docs/verdicts.md and writes
docs/results/verdict-errors.json, from which `docs/build.py` makes the table.
"""

import json
from pathlib import Path

import numpy as np

from ticketzoo.evaluation.decide import NONE, Measured, decide
from ticketzoo.evaluation.inference import Floats
from ticketzoo.evaluation.looks import left_open, nominal_levels

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results" / "verdict-errors.json"
UNTIL_DECIDED = RESULTS.with_name("verdict-errors-until-decided.json")
EXPERIMENTS = 4000
DESIGNS = {
    "15 levels, 5 with 2 controls": (15, 5, 2),
    "5 levels, 2 with 2 controls": (5, 2, 2),
    "5 levels, each with 2 controls": (5, 5, 2),
    "2 levels, 5 controls": (2, 2, 5),
}
"""Levels, those with controls, and controls."""
SPREADS = {
    "equal spreads": (1.0, 1.0, False),
    "dense three times as noisy": (3.0, 1.0, False),
    "controls three times as noisy": (1.0, 3.0, False),
    "heavy tails (t with 3 degrees of freedom)": (1.0, 1.0, True),
}
"""The spread of dense, that of controls, and if values are drawn from Student's t, not the normal distribution."""
MARGIN = 2.0
AT = (3, 5, 7, 10)
"""Seeds at the looks where they are added until every level is decided."""


def draw(random: np.random.Generator, shape: tuple[int, ...], heavy: bool) -> Floats:
    """Numbers of variance 1."""
    return random.standard_t(3, shape) / np.sqrt(3) if heavy else random.standard_normal(shape)


def trainings(
    design: tuple[int, int, int], spreads: tuple[float, float, bool], seeds: int, correlation: float
) -> tuple[Floats, Floats, Floats, list[int]]:
    """Values of dense, of the ticket's levels and of the controls, all of mean 0, and the levels with controls."""
    levels, with_controls, arms = design
    of_dense, of_controls, heavy = spreads
    random = np.random.default_rng([levels, seeds, int(10 * correlation), int(of_dense + 10 * of_controls), heavy])
    shared = np.sqrt(correlation) * draw(random, (EXPERIMENTS, 1, seeds), heavy)
    own = np.sqrt(1 - correlation)
    dense = of_dense * (shared[:, 0] + own * draw(random, (EXPERIMENTS, seeds), heavy))
    ticket = shared + own * draw(random, (EXPERIMENTS, levels, seeds), heavy)
    noise = draw(random, (EXPERIMENTS, arms, with_controls, seeds), heavy)
    controls = of_controls * (shared[:, None] + own * noise)
    at = np.linspace(0, levels - 1, with_controls).round().astype(int).tolist()
    return dense, ticket, controls, at


def rates(design: tuple[int, int, int], spreads: tuple[float, float, bool], seeds: int, correlation: float) -> dict:
    """The three rates, by simulation. `correlation` is that of the trainings that share a seed."""
    levels, _, arms = design
    dense, ticket, controls, at = trainings(design, spreads, seeds, correlation)
    far = np.zeros(arms)
    far[1:] = -20.0

    def winning(shift: Floats, falls: Floats | float = 0.0, margin: float = 1e6) -> Floats:
        down = np.broadcast_to(falls, levels)[:, None]
        shifted = controls + shift[:, None, None] - down[at]
        return decide(Measured(dense, ticket - down, shifted, at, margin)).winning

    matching = decide(Measured(dense, ticket - MARGIN, controls, at, MARGIN)).matching
    return {
        "false_matching": float(matching.any(axis=-1).mean()),
        "false_winning": float(winning(far).any(axis=-1).mean()),
        "false_winning_at_the_margin": float(
            winning(far, np.linspace(0, 1.25 * MARGIN, levels), MARGIN).any(axis=-1).mean()
        ),
        "power": float(winning(np.full(arms, -2.0))[:, -1].mean()),
    }


def rates_until_decided(
    design: tuple[int, int, int], spreads: tuple[float, float, bool], correlation: float, difference: float
) -> dict:
    """The rates where seeds are added until every level is decided; one control is as good as the ticket.

    Every level differs from dense by `difference`; `power` is that of winning over controls that are 2 below.
    """
    levels, with_controls, arms = design
    dense, ticket, controls, at = trainings(design, spreads, AT[-1], correlation)
    level_at = nominal_levels(AT)
    far, all_below = np.array([0.0] + [-20.0] * (arms - 1)), np.full(arms, -2.0)
    claims = {"false_winning": NONE, "power": NONE}
    going, seeds = np.ones(EXPERIMENTS, dtype=bool), np.zeros(EXPERIMENTS)
    found = {key: np.zeros((EXPERIMENTS, levels), dtype=bool) for key in ("matching", "below", "open")}
    found |= {key: np.zeros((EXPERIMENTS, with_controls), dtype=bool) for key in claims}
    for count, alpha in zip(AT, level_at, strict=True):
        for key, shift in (("false_winning", far), ("power", all_below)):
            shifted = controls[..., :count] + shift[:, None, None] + difference
            measured = Measured(dense[:, :count], ticket[..., :count] + difference, shifted, at, MARGIN)
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


def main() -> None:
    """Simulate every design, write the rates and print them."""
    found = [
        {"design": name, "spreads": words, "seeds": seeds, "correlation": correlation}
        | rates(design, spreads, seeds, correlation)
        for name, design in DESIGNS.items()
        for words, spreads in SPREADS.items()
        for correlation in (0.0, 0.5)
        for seeds in (3, 5)
    ]
    RESULTS.write_text(json.dumps({"experiments": EXPERIMENTS, "rates": found}, indent=1) + "\n")
    added = [
        {"design": name, "spreads": words, "correlation": correlation}
        | rates_until_decided(design, spreads, correlation, difference)
        for name, design in DESIGNS.items()
        for words, spreads in SPREADS.items()
        for correlation in (0.0, 0.5)
        for difference in (0.0, -MARGIN)
    ]
    content = {"experiments": EXPERIMENTS, "seeds": AT, "rates": added}
    UNTIL_DECIDED.write_text(json.dumps(content, indent=1) + "\n")
    for one in [*found, *added]:
        print(*one.values(), sep=" | ")


if __name__ == "__main__":
    main()
