"""Tickets written in other tools' forms: a safetensors file, or a folder."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from ticketzoo.errors import TicketError
from ticketzoo.ticket.forms import FORMS, Form, trained_weights
from ticketzoo.ticket.small import Small, small_of
from ticketzoo.ticket.ticket import Ticket
from ticketzoo.util.files import making_folder, write_atomically, write_tensors
from ticketzoo.util.os_errors import remedy, why

SMALL = {"small": False, "small-trained": True}
"""Forms of the smaller network: whether of the trained weights."""


def small(ticket: Ticket, *, trained: bool = False) -> Small:
    """Return the smaller dense network of a ticket of whole filters: its rewind weights, or the trained ones.

    Raises:
        TicketError: it removes single weights, or has no trained weights.
    """
    return small_of(ticket, trained_weights(ticket) if trained else ticket.rewind_state)


def export_ticket(ticket: Ticket, form: str, out: str | Path) -> Small | None:
    """Write `ticket` to `out` in one of `FORMS` or `SMALL`; return the smaller network, if it is that.

    Raises:
        TicketError: an unknown form, one that cannot hold the ticket, a file that exists, or one that cannot be
            written; its folder is made.
    """
    out = Path(out)
    if form not in FORMS and form not in SMALL:
        raise TicketError(f"cannot export to {form!r}; known forms: {', '.join([*FORMS, *SMALL])}")
    if out.exists():
        raise TicketError(f"{out}: exists; choose another name")
    if form in FORMS:
        _write_form(out, FORMS[form](ticket))
        return None
    made = small(ticket, trained=SMALL[form])
    _write(out, {name: tensor.contiguous() for name, tensor in made.network.state_dict().items()}, made.metadata)
    return made


def _write_form(out: Path, form: Form) -> None:
    if not form.name:
        _write(out, form.tensors, form.facts)
        return
    with _in_one_line(out), making_folder(out) as folder:
        write_tensors(folder / form.name, dict(form.tensors), {"format": "pt", **form.facts})
        for name, content in form.texts.items():
            write_atomically(folder / name, content)


def _write(out: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> None:
    with _in_one_line(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(out, dict(tensors), {"format": "pt", **facts})


@contextmanager
def _in_one_line(out: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:
        problem = f"{why(error)}; {remedy(error)}" if isinstance(error, OSError) else error
        raise TicketError(f"{out}: cannot be written: {problem}") from None
