"""Judge tickets anew from their rows: `python docs/judge_again.py registry/*/` rewrites verdict, card and plots.

Rows, masks and weights stay as they are; of ticket.json the verdict and the words for the search change.
"""

import json
import sys
from pathlib import Path

from ticketzoo.deriving.again import made_words
from ticketzoo.evaluation.again import judge_ticket
from ticketzoo.evaluation.evidence import card_files
from ticketzoo.finding import FindRecipe
from ticketzoo.finding.method import found_words
from ticketzoo.recipe import short_recipe
from ticketzoo.ticket import Ticket
from ticketzoo.ticket.card_cost import cost_of
from ticketzoo.ticket.config import check_config
from ticketzoo.ticket.effective import BEGINS
from ticketzoo.ticket.folder import read_config
from ticketzoo.zoo.effective import card_extras, masks_in


def judge_again(folder: Path) -> None:
    """Write verdict, plots and card of the ticket in `folder` as its rows give them now."""
    path, card = folder / "ticket.json", folder / "README.md"
    content = json.loads(path.read_text())
    content["verdict"] = judge_ticket(Ticket.from_pretrained(folder)).model_dump(mode="json")
    content["pruning"]["words"] = made_words(read_config(folder)) or found_words(content["pruning"])
    path.write_text(check_config(content, str(path)).to_json())
    ticket, cost = Ticket.from_pretrained(folder), cost_of(read_config(folder), card.read_text())
    known = card_extras(ticket) | {"cost": cost, "short_recipe": short_recipe(ticket.recipe_text, FindRecipe)}
    if BEGINS not in card.read_text():
        del known["effective"]
    for name, held in card_files(
        ticket.config, ticket.results, lambda path: (folder / path).read_bytes(), masks_in(folder), **known
    ).items():
        (folder / name).write_bytes(held)


if __name__ == "__main__":
    for given in sys.argv[1:]:
        judge_again(Path(given))
