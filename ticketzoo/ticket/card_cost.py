"""The cost of finding a ticket, read from its card, where alone most of it stands."""

import html
import re
from typing import Any

from ticketzoo.ticket.config import TicketConfig
from ticketzoo.util.text import read_duration

HEADING = "## Cost to find it"


def cost_of(config: TicketConfig, card: str) -> dict[str, Any]:
    """Return the cost that the card of a ticket states, as `render_card` takes it, without what cannot be read.

    The device is that of ticket.json, where this says one.
    """
    cost = _cost_on(card)
    return cost | {"device": config.devices} if config.devices and "device" in cost else cost


def _cost_on(card: str) -> dict[str, Any]:
    _, _, part = card.partition(f"\n{HEADING}\n")
    lines = re.findall(r"^- \*\*([a-z ]{1,20})\*\*: (.{1,300})$", part.partition("\n## ")[0], re.MULTILINE)
    said = {name: html.unescape(text).replace("\\", "") for name, text in lines}
    left_out = re.fullmatch(r"([\d,]{1,20}) that could not be read", said.get("left out", ""))
    cost = {
        "trainings": _count(said.get("trainings", "")),
        "seconds": read_duration(said.get("time", "")),
        "cpu_seconds": read_duration(said.get("processor time", "")),
        "device": said.get("device"),
        "left_out": _count(left_out[1]) if left_out else None,
    }
    return {key: value for key, value in cost.items() if value is not None}


def _count(text: str) -> int | None:
    return int(text.replace(",", "")) if re.fullmatch(r"\d[\d,]{0,20}", text, re.ASCII) else None
