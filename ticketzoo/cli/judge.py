from pathlib import Path
from typing import Annotated

import typer

from ticketzoo.cli import options


def register(app: typer.Typer) -> None:
    """Add the command `judge`."""
    app.command()(judge)


def judge(
    masks: Annotated[
        Path,
        typer.Argument(metavar="MASKS", help="Masks: a safetensors file of zeros and ones, by parameter name."),
    ],
    recipe: Annotated[
        str,
        typer.Option("--recipe", metavar="RECIPE", help="Whose model, data, training, arms and seeds to measure with."),
    ],
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Weights to train from: a state dict as safetensors.", show_default="each seed's initialization"
        ),
    ] = None,
    overrides: options.SetOption = None,
    out: options.OutOption = None,
    device: options.DeviceOption = None,
    executor: options.ExecutorOption = "local",
    checkpoint_seconds: options.CheckpointOption = 60.0,
    log: options.LogOption = None,
    plan: options.PlanOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Measure anyone's masks as a ticket is measured: the arms of a recipe, a verdict, and a ticket of them.

    Without --weights each seed trains the masks on its own fresh weights; masks that belong to an initialization need
    it here.

    Examples:

        ticketzoo judge masks.safetensors --recipe lenet-300-100.mnist-imp

        ticketzoo judge masks.safetensors --weights initial.safetensors --recipe quickstart --set seeds=[0,1,2]
    """
    from ticketzoo.api.recipes import read_for
    from ticketzoo.cli.find import print_found
    from ticketzoo.cli.running import RunOptions, plan_or_run
    from ticketzoo.distributed.joining import joined
    from ticketzoo.finding import FindRecipe
    from ticketzoo.finding.judged import Judging, judge_masks, plan_judging

    with joined(device):
        parsed = read_for("find", recipe, FindRecipe, overrides)
        judging = Judging(parsed, str(masks), None if weights is None else str(weights))
        asked = RunOptions(out, device, executor, checkpoint_seconds, plan, as_json, log)
        plan_or_run("judge", judging, asked, plan=plan_judging, run=judge_masks, show=print_found)
