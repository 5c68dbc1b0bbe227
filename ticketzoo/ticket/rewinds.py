"""The kinds of weights that a ticket is trained from, as ticket.json states them."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, StringConstraints

from ticketzoo.errors import TicketError
from ticketzoo.ticket.parts import FIRST, Count, Level, Part, Seed, Sha256, Text, of_format_2
from ticketzoo.util.registry import Registry


class StoredRewind(Part):
    """The weights to train from are in the ticket.

    Its numbers on its source were measured by training them on so:

    - `weights`: they are those of iteration `step` (0 = initialisation); learning rate and data go on from `step`.
    - `late-reset`: they are those of iteration `step`; learning rate and data begin at 0.
    - `learning-rate`: they are trained weights, from the end of the training that the mask was made from; learning
      rate and data go on from `step`. Retrained on a target they bring along what was learned on the source.

    `levels`, of format 2: every packaged level has weights of its own; `steps`: of each replicate, where they differ.
    """

    kind: str
    step: Count
    rewinding: Text = "weights"
    levels: Annotated[list[Level], FIRST] | None = of_format_2()
    steps: Annotated[list[Count], FIRST] | None = of_format_2()

    def step_of(self, replicate: int) -> int:
        """Return the iteration of a replicate, by its number from 0."""
        return self.step if self.steps is None else self.steps[replicate]

    def start_step(self, replicate: int) -> int:
        """Return the iteration that a replicate's training begins at."""
        return 0 if self.rewinding == "late-reset" else self.step_of(replicate)

    @property
    def shown_step(self) -> str:
        """The iteration, or those of the replicates in their order: "1,200, 1,500"."""
        return ", ".join(f"{step:,}" for step in self.steps or [self.step])


class PackedRewind(StoredRewind):
    """The weights to train from are in the ticket, each weight as it is."""

    kind: Literal["packed"] = "packed"


class SignedRewind(StoredRewind):
    """The weights to train from are in the ticket, of each masked parameter one magnitude and a sign per weight."""

    kind: Literal["signed"]


class SeedRewind(Part):
    """The weights to train from are the initialisation that `create_model` draws from a seed, one per replicate."""

    kind: Literal["seed"]
    step: Literal[0] = 0
    seeds: Annotated[list[Seed], FIRST] = Field(min_length=1, max_length=1000)
    rewinding: ClassVar[str] = "weights"
    levels: ClassVar[None] = None

    def start_step(self, replicate: int) -> int:
        """Return 0."""
        return 0


class BaseRewind(Part):
    """The weights to train from are those of a Hub model at a commit; `sha256` is over its tensors."""

    kind: Literal["base"]
    step: Count = 0
    repo_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]+([._/-][A-Za-z0-9]+)*$", max_length=200)]
    revision: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
    sha256: Sha256
    levels: ClassVar[None] = None


Rewind: TypeAlias = Annotated[PackedRewind | BaseRewind | SignedRewind | SeedRewind, Field(discriminator="kind")]


@dataclass(frozen=True)
class RewindKind:
    """A row of `REWINDS`.

    Attributes:
        name: the value of `rewind.kind`.
        make: its class.
        first_format: the format that knows it.
        in_file: whether each replicate has a file rewind.safetensors.
        has_digest: whether each replicate states a digest of its rewind weights.
    """

    name: str
    make: type[Part]
    first_format: int
    in_file: bool
    has_digest: bool


REWINDS: Registry[RewindKind] = Registry("kind of rewind weights", RewindKind, error=TicketError)
REWINDS.add("packed", first_format=1, in_file=True, has_digest=True)(PackedRewind)
REWINDS.add("base", first_format=1, in_file=False, has_digest=False)(BaseRewind)
REWINDS.add("signed", first_format=2, in_file=True, has_digest=True)(SignedRewind)
REWINDS.add("seed", first_format=2, in_file=False, has_digest=True)(SeedRewind)
