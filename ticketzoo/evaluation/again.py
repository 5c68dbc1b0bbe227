"""The verdict on a ticket, computed anew from its rows, with the margin that its recipe states."""

from pydantic import PositiveFloat, ValidationError

from ticketzoo.evaluation.target import Margin
from ticketzoo.evaluation.verdict import Verdict, judge
from ticketzoo.recipe import Config
from ticketzoo.recipe.document import parse_yaml
from ticketzoo.ticket import Ticket


class VerdictConfig(Config):
    """The section `verdict` of a recipe: the thing that is stated before anything is measured."""

    margin: PositiveFloat | dict[str, PositiveFloat] | None = None
    """By which a matching ticket may be below dense, in the metric's unit (0.002 is 0.2 points of accuracy), of every
    target or by target. Default: of accuracies 0.002 or 5% of dense's error, whichever is more; of other fractions
    and correlations 0.01; of anything else 2% of dense's value."""


def stated_margin(recipe_text: str | None) -> Margin:
    """Return the margin in the text of a ticket's recipe.yaml; None where it states none that can be read."""
    try:
        recipe = parse_yaml(recipe_text or "")
        section = recipe.get("verdict") if isinstance(recipe, dict) else None
        return VerdictConfig.model_validate(section or {}).margin
    except (ValueError, ValidationError):
        return None


def judge_ticket(ticket: Ticket, *, metric: str | None = None, at: str = "final") -> Verdict:
    """Return the verdict on `ticket`. Takes and raises what `judge` does."""
    margin = stated_margin(ticket.recipe_text)
    return judge(ticket.results, metric=metric, at=at, margin=margin, use=ticket.config.use)
