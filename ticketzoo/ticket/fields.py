"""The objects in ticket.json, one class each. `ticketzoo.ticket.config` puts them together."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, JsonValue, StringConstraints, model_validator

from ticketzoo.ticket.parts import (
    FIRST,
    FIRST_ENTRY,
    MAX_WEIGHTS,
    Count,
    Kept,
    Level,
    Part,
    Seed,
    Sha256,
    Sparsity,
    TensorName,
    Text,
    of_format_2,
)

CUSTOM = "custom"
"""Library of a network that is the user's own: it is described, and cannot be built here."""


class Parameter(Part):
    """A parameter or buffer, by name and shape."""

    name: TensorName
    shape: Annotated[list[Annotated[int, Field(ge=1, le=MAX_WEIGHTS)]], FIRST] = Field(max_length=8)


class Architecture(Part):
    """The network, by a name in `ticketzoo.models` and the arguments that build it.

    Of library `custom`, in format 2, it is a user's own: `parameters` are all its parameters and buffers.
    """

    library: Text
    name: Text
    kwargs: dict[str, JsonValue] = Field(default={})
    parameters: Annotated[list[Parameter], FIRST] | None = of_format_2()

    @model_validator(mode="after")
    def _custom_has_parameters(self) -> "Architecture":
        if (self.library == CUSTOM) != (self.parameters is not None):
            raise ValueError("library custom, and no other, lists the network's parameters")
        if self.library == CUSTOM and self.kwargs:
            raise ValueError("library custom has no kwargs: nothing is built from them")
        return self


class Normalised(Part):
    """The normalisation of a network's inputs: (x - mean) / std, of pixels in [0, 1], a number for each channel."""

    mean: list[Annotated[float, Field(allow_inf_nan=False)]] = Field(min_length=1, max_length=1000)
    std: list[Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(min_length=1, max_length=1000)

    @property
    def words(self) -> str:
        """The numbers in words."""
        mean, std = (", ".join(f"{one:.4g}" for one in numbers) for numbers in (self.mean, self.std))
        return f"pixels from 0 to 1, normalised by mean {mean}, std {std}"


class Source(Part):
    """The data set a ticket was found on: its id, its revision and a fingerprint of the examples.

    Attributes:
        laid_out: sentences about the splits and classes of data of the author's own.
        classes: the names of its classes, by number; left out where there are none, or numbers alone.
        normalised: how inputs are normalised, of a ticket whose network is used as it is.
    """

    dataset: Text
    revision: Text | None = None
    fingerprint: Text | None = None
    laid_out: Annotated[list[Text], FIRST] | None = Field(
        default=None, max_length=100, exclude_if=lambda value: value is None
    )
    classes: Annotated[list[Text], FIRST] | None = Field(
        default=None, max_length=65_536, exclude_if=lambda names: names is None
    )
    normalised: Normalised | None = Field(default=None, exclude_if=lambda value: value is None)


class FilterLayer(Part):
    """A layer that loses whole filters (rows of its weight).

    Attributes:
        consumers: the masked parameters that read its output. They lose the inputs that a lost filter gave.
        area: inputs of a consumer for each filter, next to each other: 1, or height x width where features are
            flattened in between.
    """

    consumers: Annotated[list[TensorName], FIRST] = Field(default=[], max_length=1000)
    area: Annotated[int, Field(ge=1, le=MAX_WEIGHTS)] = 1


class Filters(Part):
    """Masks that remove whole filters; which ones a replicate keeps, its `filters` say."""

    kind: Literal["filters"]
    layers: Annotated[dict[TensorName, FilterLayer], FIRST_ENTRY] = Field(min_length=1, max_length=65_536)


class Pruning(Part):
    """The way the ticket was found.

    `rate` is the fraction removed a round, for all or by pattern of parameter names: of the survivors, or with
    `rate_of: original` of all prunable weights. `not_trained` are parameters that the masks leave out because the task
    does not train them. Of format 2 are `criterion` (what a weight is worth), `structure` (what
    is removed as one), `schedule` (what each level keeps) and `compared` (what is ranked together and how).
    `words` are the card's for the names above, with citations, by key.
    """

    method: Text
    scope: Text
    rate: Sparsity | Annotated[dict[str, Sparsity], FIRST_ENTRY] | None = None
    rate_of: Text = "survivors"
    not_trained: Annotated[list[TensorName], FIRST] = Field(
        default=[], max_length=65_536, exclude_if=lambda names: not names
    )
    criterion: Text | None = of_format_2()
    structure: Text | Filters | None = of_format_2()
    schedule: Text | None = of_format_2()
    compared: Text | None = of_format_2()
    words: Annotated[dict[Literal["method", "criterion", "structure", "scope", "schedule"], Text], FIRST_ENTRY] = Field(
        default={}, exclude_if=lambda words: not words
    )
    parameters: Annotated[list[Parameter], FIRST] = Field(min_length=1, max_length=65_536)


class LevelEntry(Part):
    """A packaged level: after `level` rounds of pruning, `kept` prunable weights remain.

    In every replicate, or in format 2 in each, by a list; `sparsity` is then their mean. `nested`: whether the level
    keeps only weights that the packaged level before keeps; format 1 knows no other.
    """

    level: Level
    sparsity: Sparsity
    kept: Kept | Annotated[list[Kept], Field(min_length=1, max_length=1000)]
    nested: bool = of_format_2(True)

    def kept_by(self, replicates: int) -> list[int]:
        """Return how many weights each replicate keeps. Raises ValueError where `kept` is of more or fewer."""
        if not isinstance(self.kept, list):
            return [self.kept] * replicates
        if len(self.kept) != replicates:
            raise ValueError(f"levels: level {self.level} has {len(self.kept)} counts for {replicates} replicates")
        return self.kept

    @property
    def kept_in_words(self) -> str:
        """The number kept, such as "1,200", or from the fewest to the most, "1,180 to 1,231"."""
        counts = self.kept if isinstance(self.kept, list) else [self.kept]
        low, high = min(counts), max(counts)
        return f"{low:,}" if low == high else f"{low:,} to {high:,}"


class FileEntry(Part):
    """Size and digest of one file."""

    bytes: Annotated[int, Field(ge=0, lt=2**63)]
    sha256: Sha256


class Environment(Part):
    """Versions, device and threads of trainings, as far as they decide the last bits.

    `executor` is stated where it is not `local`, and `population` where trainings were stacked: how many at once.
    """

    ticketzoo: Text
    torch: Text
    device: Text
    threads: Count
    processor: Text | None = None
    processes: Count = 1
    executor: Text | None = Field(default=None, exclude_if=lambda value: value is None)
    population: Count | None = Field(default=None, exclude_if=lambda value: value is None)


KeptFilters: TypeAlias = Annotated[dict[TensorName, Annotated[list[int], FIRST]], FIRST_ENTRY]
"""The indices of the filters that layers keep."""


class Replicate(Part):
    """The same recipe from another seed: digests of its masks and weights, and its files by derived path.

    `environments` are those that its levels were trained in, mostly one.

    Of format 2: `values_sha256`, of its trained values; `filters`, by level and layer the indices of those it keeps.
    """

    seed: Seed
    mask_sha256: Sha256
    rewind_sha256: Sha256 | None = None
    values_sha256: Sha256 | None = of_format_2()
    filters: Annotated[dict[str, KeptFilters], FIRST_ENTRY] | None = of_format_2()
    environments: Annotated[list[Environment], FIRST] = Field(
        default=[], max_length=1000, exclude_if=lambda given: not given
    )
    files: Annotated[dict[str, FileEntry], FIRST_ENTRY] = Field(default={})


Transfers: TypeAlias = Annotated[list[Annotated[str, StringConstraints(max_length=2**16)]], FIRST]
"""Recipes of `ticketzoo transfer`, as YAML: how rows on other data than the source were measured."""


class Values(Part):
    """Trained values of the weights that masks keep, and of any other tensors, at the levels that have them."""

    levels: Annotated[list[Level], FIRST] = Field(min_length=1, max_length=1000)


class Parent(Part):
    """A ticket that another was made from."""

    name: Text
    mask_sha256: Sha256


class Derived(Part):
    """The way a ticket was made from others without training: stretched, aligned, combined."""

    method: Text
    parents: Annotated[list[Parent], FIRST] = Field(min_length=1, max_length=1000)
    arguments: dict[str, JsonValue] = Field(default={})
