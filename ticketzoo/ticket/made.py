"""Tickets made of masks that are there already, in whatever form: the ways in, by class methods of `Ticket`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, cast

from torch import Tensor, nn

from ticketzoo.ticket.base import BaseWeights
from ticketzoo.ticket.combined import Combinable
from ticketzoo.ticket.publish import Publishable
from ticketzoo.util.arguments import checked


class Made(Combinable, Publishable):
    """Makes tickets of the three kinds.

    `zero`: pruned weights are 0.0. `frozen`: weights that the mask excludes stay where they are. `delta`: a mask and
    new values over a base.

    A network is a module, a folder or file of weights, a state dict, or a Hub id (`owner/name@revision`). A base on
    the Hub (by its id or as BaseWeights) is named in the ticket by commit and digest; any other is in it, whole.
    """

    @classmethod
    @checked
    def from_zeros(
        cls,
        model_or_checkpoint: nn.Module | str | Path | Mapping[str, Tensor] | BaseWeights,
        base: nn.Module | str | Path | Mapping[str, Tensor] | BaseWeights | None = None,
        **facts: Any,
    ) -> Self:
        """Return a ticket whose masks are the zeros of a pruned network.

        Masked are the matrices and kernels, embeddings apart, of which some weights are 0.0 and not all.

        Args:
            model_or_checkpoint: the pruned network.
            base: the network that it was pruned from. The ticket then holds only what differs from that.
            **facts: arguments of `Ticket.create`, such as `name`, `license`, `task` and `source`.

        Raises:
            TicketError: no weight is 0.0, a quantised module, a damaged file, a shard that is missing; ModelError for
                a base of another shape; RegistryError for what cannot be fetched.
        """
        from ticketzoo.ticket.makers import from_zeros

        return cast(Self, from_zeros(model_or_checkpoint, base, facts))

    @classmethod
    @checked
    def from_masks(
        cls,
        masks: Mapping[str, Tensor],
        model: nn.Module | str | Path | Mapping[str, Tensor] | BaseWeights,
        base: nn.Module | str | Path | Mapping[str, Tensor] | BaseWeights | None = None,
        masked: Literal["zero", "frozen"] = "zero",
        **facts: Any,
    ) -> Self:
        """Return a ticket of masks by parameter name.

        Args:
            masks: bool tensors, True = kept, each of its parameter's shape.
            model: the network that they are of.
            base: the weights to train from; by default the model's own.
            masked: hold what masks exclude at 0.0 (`zero`) or where it starts (`frozen`).
            **facts: as of `from_zeros`.

        Raises:
            TicketError: a mask of a parameter that is not there, is tied to another, is no float or has another shape;
                and as `from_zeros`.
        """
        from ticketzoo.ticket.makers import from_masks

        return cast(Self, from_masks(masks, model, base, {"masked": masked, **facts}))

    @classmethod
    @checked
    def from_diff(
        cls,
        base: nn.Module | str | Path | Mapping[str, Tensor] | BaseWeights,
        tuned: nn.Module | str | Path | Mapping[str, Tensor] | BaseWeights,
        keep: float | None = None,
        threshold: float = 0,
        **facts: Any,
    ) -> Self:
        """Return a fine-tune as a delta: a mask and the new values of the weights that it keeps, over a base.

        `apply` gives the tuned network, to the bit if all changes are kept and both are of one dtype, and `remove` the
        base again. A weight has changed where its new value is not the base's rounded to the tuned network's dtype: a
        bf16 copy of a float32 base has no changes, and its delta leaves the others at the base's float32 values.

        Args:
            base: the network before.
            tuned: the network after.
            keep: the part of all weights to keep, those that changed most; by default all that changed. How far a
                weight moved is computed in the wider dtype, from the base's value as it is.
            threshold: keep only changes larger than this, likewise.
            **facts: as of `from_zeros`.

        Raises:
            TicketError: nothing changed, NaN or infinity; and as `from_zeros`.
        """
        from ticketzoo.ticket.makers import from_diff

        return cast(Self, from_diff(base, tuned, keep, threshold, facts))

    @classmethod
    @checked
    def from_torch_prune(
        cls,
        model: nn.Module,
        base: nn.Module | str | Path | Mapping[str, Tensor] | BaseWeights | None = None,
        **facts: Any,
    ) -> Self:
        """Return a ticket of what `torch.nn.utils.prune` has pruned in a model, which stays as it is.

        Args:
            model: with `weight_orig` and `weight_mask` in its layers.
            base: as of `from_zeros`.
            **facts: as of `from_zeros`.

        Raises:
            TicketError: nothing is pruned in it.
        """
        from ticketzoo.ticket.makers import from_torch_prune

        return cast(Self, from_torch_prune(model, base, facts))

    @classmethod
    @checked
    def from_file(
        cls,
        source: str | Path,
        format: str | None = None,
        base: nn.Module | str | Path | Mapping[str, Tensor] | BaseWeights | None = None,
        *,
        keep: float | None = None,
        task: str | None = None,
        **facts: Any,
    ) -> Self:
        """Return a ticket of a file or folder of another tool, as `ticketzoo import` does.

        Args:
            source: the file or folder.
            format: a name of `ticketzoo import --list`; by default told from the names in the file.
            base: the network that masks, adapters and updates are over.
            keep: of scores, the part of each layer that stays.
            task: of several masks in one file, the one to take.
            **facts: as of `from_zeros`.

        Raises:
            TicketError: an unknown format, a damaged file, one that needs pickle or a base, indices that lie outside.
        """
        from ticketzoo.ticket.bring import from_file

        return cast(Self, from_file(source, format, base, facts, keep=keep, task=task)[0])
