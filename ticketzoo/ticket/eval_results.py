"""A ticket's main result in the form that the Hub's leaderboards read: `.eval_results/NAME.yaml`."""

from typing import TYPE_CHECKING, Any

import yaml

from ticketzoo.ticket.card_metadata import hub_dataset, slug
from ticketzoo.ticket.config import TicketConfig
from ticketzoo.util.text import for_terminal

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData

FOLDER = ".eval_results"


def eval_results_file(config: TicketConfig, data: "ModelCardData | Any") -> dict[str, bytes]:
    """Return the file by its path: of the first result on a card about the ticket's own data set on the Hub, if any.

    Args:
        config: of ticket.json.
        data: the metadata of the ticket's card, whose `model-index` holds its results.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    dataset = hub_dataset(config)
    found = [one for one in data.eval_results or () if dataset is not None and one.dataset_type == dataset]
    if not found or dataset is None:
        return {}
    entry = EvalResultEntry(
        dataset_id=dataset,
        task_id=found[0].task_type,
        value=found[0].metric_value,
        dataset_revision=found[0].dataset_revision,
        notes=for_terminal(f"lottery ticket: {found[0].metric_name or found[0].metric_type}"),
    )
    content = yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False)
    return {f"{FOLDER}/{slug(dataset)}.yaml": content.encode()}
