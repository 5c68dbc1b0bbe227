"""Tickets in the `Trainer` of transformers."""

from collections.abc import Sequence
from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ticketzoo.errors import TicketError
from ticketzoo.masks.checks import attached_masks, strayed
from ticketzoo.ticket.naming import Rename
from ticketzoo.ticket.ticket import Ticket
from ticketzoo.util.arguments import checked


class TicketCallback(TrainerCallback):
    """Puts a ticket on the model of a `Trainer`, whose pruned weights are then 0.0 after every step.

    The masks stay through saved, resumed and best checkpoints, gradient accumulation and mixed precision. What is saved
    or pushed is an ordinary model with zeros in it. `Trainer(..., callbacks=[TicketCallback(ticket)])` raises
    TicketError where the ticket does not fit the model, and for FSDP and DeepSpeed, which cut its parameters up.
    """

    @checked
    def __init__(
        self,
        ticket: Ticket,
        *,
        rewind: bool = True,
        leave: str | Sequence[str] = (),
        prefix: str = "",
        rename: Rename | None = None,
    ) -> None:
        """Choose what to put on the model.

        Args:
            ticket: of an encoder like the model's; its head may be any.
            rewind: whether to load the ticket's rewind weights first; False leaves the model's own, masked.
            leave: modules, such as `bert.pooler`, whose parameters stay the model's own, without masks.
            prefix: the module of the model to put the ticket on, such as `base_model.model` of one of peft.
            rename: the model's names by the ticket's, where they differ, as in `Ticket.apply`.
        """
        self.ticket, self.rewind = ticket, rewind
        self.places: dict[str, Any] = {"leave": leave, "prefix": prefix, "rename": rename}

    def on_init_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Put the ticket on the model, before a checkpoint is loaded into it."""
        if args.fsdp or args.deepspeed:
            raise TicketError("TicketCallback cannot mask what FSDP or DeepSpeed cut up: train without them")
        self.ticket.apply(kwargs["model"], rewind=self.rewind, **self.places)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Put it on a model that `model_init` has made anew."""
        if attached_masks(kwargs["model"]) is None:
            self.ticket.apply(kwargs["model"], rewind=self.rewind and state.global_step == 0, **self.places)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Check that the pruned weights are where they belong. Raises TicketError."""
        _check_held(kwargs["model"])

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Check that pruned weights are where they belong in the end, also in the best model. Raises TicketError."""
        _check_held(kwargs["model"])


def _check_held(model: nn.Module) -> None:
    moved = strayed(model)
    if moved is None:
        raise TicketError("the ticket was taken off the model while it trained")
    for name, count in moved.items():
        why = "something else than the optimiser moves them"
        raise TicketError(f"{count} pruned weights of '{name}' are not where they belong: {why}")
