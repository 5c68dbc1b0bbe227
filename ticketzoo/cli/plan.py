"""A plan as people read it."""

from dataclasses import asdict

from ticketzoo.cli.output import print_json
from ticketzoo.runs.plan import Plan
from ticketzoo.util.text import for_terminal, show_bytes, show_duration


def print_plan(plan: Plan, as_json: bool) -> None:
    """Print the plan, a line each of work, time and room; with `as_json` one JSON document."""
    if as_json:
        print_json(asdict(plan))
        return
    for warning in plan.warnings:
        print(f"warning      {for_terminal(warning)}")
    if plan.most:
        most = f"{plan.most.trainings:,} trainings, about {show_duration(plan.most.seconds)}"
        print(f"until decided: the next look needs what follows; all looks need at most {most}")
    print(f"trainings    {plan.trainings:,} to do; {plan.finished:,} finished in {for_terminal(plan.cells)}")
    if plan.trainings:
        print(f"iterations   {plan.iterations:,}")
        print(f"examples     {plan.examples:,} to train on")
        print(f"time         about {show_duration(plan.seconds)} on {plan.device}")
        _print_timings(plan)
        print(
            "disk         " + ", ".join(f"{what} {show_bytes(size)}" for what, size in plan.disk_bytes.items() if size)
        )
        memory = f"{show_bytes(plan.process_bytes)} of this process"
        if plan.device_bytes is not None:
            memory = f"{show_bytes(plan.device_bytes)} of the GPU, {memory}"
        print(f"memory       {memory}")
        for number, what in enumerate(plan.not_counted):
            print(f"{'' if number else 'not counted':<13}{what}")


def _print_timings(plan: Plan) -> None:
    for label, timing in plan.timings.items():
        if not timing.timed:  # measured as it is
            continue
        places = ", ".join(f"{place:,}" for place in timing.places)
        print(f"             {_short(timing.iteration)} an iteration, loading of data included: {timing.timed} timed")
        print(f"             from iterations {places} on ({for_terminal(label)})")
        print(f"             {timing.threads} processor thread{'s' * (timing.threads > 1)}")
        for split, seconds in timing.evaluation.items():
            guess = " (a guess: as if it were trained on)" if split in timing.guessed else ""
            print(f"             {_short(seconds)} an evaluation of {split}{guess}")


def _short(seconds: float) -> str:
    """Return a duration, in milliseconds below a second."""
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.1f} s"
