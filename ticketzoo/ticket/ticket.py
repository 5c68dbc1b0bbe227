"""A ticket: masks, the weights to train from, and what is known about them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ticketzoo.errors import TicketError
from ticketzoo.hub.folder import HubOptions
from ticketzoo.hub.push import Destination, Published
from ticketzoo.masks.attach import detach
from ticketzoo.masks.masks import Masks
from ticketzoo.masks.plain import plain_model
from ticketzoo.models import create_from_architecture, load_base
from ticketzoo.models.pretrained import base_state
from ticketzoo.models.transformers import differences
from ticketzoo.ticket.base import BaseWeights
from ticketzoo.ticket.config import BaseRewind, LevelEntry, TicketConfig, check_config
from ticketzoo.ticket.files import ticket_files_of
from ticketzoo.ticket.fit import fit, warn_of_another_base
from ticketzoo.ticket.folder import CONFIG_FILE
from ticketzoo.ticket.levels import empty_layers
from ticketzoo.ticket.publish import push
from ticketzoo.ticket.rewind import unpack_rewind
from ticketzoo.ticket.stored import Stored, stored_in
from ticketzoo.ticket.verdict import Verdict
from ticketzoo.ticket.views import choose_level, choose_seed
from ticketzoo.ticket.write import Found, save, store
from ticketzoo.util.text import for_terminal


@dataclass(frozen=True, eq=False, repr=False)
class Ticket:
    """One level of one replicate of a packaged ticket; `at` gives another view without reading files again.

    Attributes:
        config: all that ticket.json says.
        level: how many pruning rounds made the masks.
        seed: of the replicate.
    """

    config: TicketConfig
    level: int
    seed: int
    _stored: Stored

    @classmethod
    def from_pretrained(  # noqa: PLR0913 - every way to load, by keyword
        cls,
        repo_id_or_folder: str | Path,
        *,
        level: int | None = None,
        sparsity: float | None = None,
        seed: int | None = None,
        masks_only: bool = False,
        mask_sha256: str | None = None,
        base: str | Path | None = None,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
        force_download: bool = False,
    ) -> "Ticket":
        """Open a ticket in a folder or on the Hub. Its masks are read and checked now, rewind weights when asked for.

        Of a ticket on the Hub everything comes from one commit. Fetched now are ticket.json and the chosen replicate's
        files; another replicate's, the recipe, the results and base weights once they are asked for.

        Args:
            repo_id_or_folder: a Path, or a text that names a folder (`./folder`) or a Hub id (`owner/name`,
                `hub:owner/name@revision`).
            level: a packaged level. Default: the sparsest that the verdict calls winning or matching, or else the
                sparsest of all.
            sparsity: instead of a level, the packaged one nearest to this fraction removed, in [0, 1).
            seed: of a replicate; the first by default.
            masks_only: whether to do without rewind weights: they are not fetched and need not be there.
            mask_sha256: digest that the ticket's masks must have, as `ticketzoo info` shows it.
            base: folder with a copy of the model that the ticket rewinds to, read instead of the Hub's. It must have
                the digest that the ticket states.
            revision: branch, tag or commit on the Hub; the main branch by default.
            cache_dir: where the Hub's client keeps what it fetched; `HF_HUB_CACHE` by default.
            local_files_only: whether to use nothing but that cache.
            token: for the Hub; by default that of `HF_TOKEN` or `hf auth login`. False for none.
            force_download: whether to fetch again what is in the cache.

        Raises:
            TicketError: a damaged ticket or unknown format, other masks than `mask_sha256`, and for a level,
                sparsity or seed not packaged; RegistryError for what cannot be fetched.
        """
        options = HubOptions(Path(cache_dir) if cache_dir else None, token, local_files_only, force_download)
        files = ticket_files_of(repo_id_or_folder, revision, options)
        config = files.config()
        if mask_sha256 is not None and config.mask_sha256 != mask_sha256:
            found = f"its masks have digest {config.mask_sha256}, not {for_terminal(mask_sha256)} as was asked for"
            raise TicketError(f"{files.where(CONFIG_FILE)}: {found}: it is not that ticket, or was changed since")
        stored = stored_in(files, config, masks_only=masks_only, base=Path(base) if base else None)
        return cls._view(config, stored, level, sparsity, seed)

    @classmethod
    def create(  # noqa: PLR0913 - every field of ticket.json, by keyword
        cls,
        *,
        name: str,
        architecture: Mapping[str, Any],
        task: str,
        source: Mapping[str, Any],
        pruning: Mapping[str, Any],
        rewind_step: int = 0,
        rewinding: str = "weights",
        replicates: Sequence[Found],
        base: BaseWeights | None = None,
        package_from: int = 0,
        recipe_text: str | None = None,
        results: Iterable[Mapping[str, Any]] = (),
        verdict: Verdict | Mapping[str, Any] | None = None,
        license: str | None = None,
    ) -> "Ticket":
        """Make a ticket of what was found. Masks and weights are copied.

        Args:
            name: such as `lenet-300-100.mnist-imp`.
            architecture: as `ticketzoo.models.architecture_of` gives it.
            task: such as `image-classification`.
            source: `dataset`, and if known its `revision` and a `fingerprint` of the examples.
            pruning: `method`, `scope` and `rate`.
            rewind_step: the iteration whose weights the replicates' rewind states hold; 0 is initialisation.
            rewinding: `weights`, `learning-rate` or `late-reset`; see `ticketzoo.ticket.config.PackedRewind`.
            replicates: one per seed, all with the same levels and counts; the first is the one loaded by default.
            base: instead of rewind states, the weights of a model on the Hub that all replicates rewind to. The ticket
                holds their commit and digest, not the weights.
            package_from: the densest level to package; weights that it has pruned are not stored.
            recipe_text: the whole recipe, as YAML.
            results: rows of measured numbers.
            verdict: on the source task.
            license: of masks and weights, as an SPDX name.

        Raises:
            TicketError: masks that aren't bool or nested, counts that differ between replicates, weights that don't
                fit their masks or are NaN, and fields that ticket.json may not hold.
        """
        from ticketzoo import __version__

        weights = base_state(architecture.get("library"), architecture.get("name"), base.state) if base else None
        stored, stated = store(replicates, package_from, recipe_text, results, weights)
        rewind = base.stated if base else {"kind": "packed", "rewinding": rewinding}
        content = {
            "name": name,
            "library_version": __version__,
            "architecture": dict(architecture),
            "task": task,
            "source": dict(source),
            "pruning": {**pruning, "parameters": stated.pop("parameters")},
            "rewind": {**rewind, "step": rewind_step},
            "verdict": verdict,
            "license": license,
            **stated,
        }
        return cls._view(check_config(content, f"ticket '{name}'"), stored, None, None, None)

    @classmethod
    def _view(
        cls, config: TicketConfig, stored: Stored, level: int | None, sparsity: float | None, seed: int | None
    ) -> "Ticket":
        ticket = cls(config, choose_level(config, level, sparsity), choose_seed(config, seed), stored)
        assert ticket._stored.replicates[ticket.seed].levels  # read and checked now
        return ticket

    def at(self, *, level: int | None = None, sparsity: float | None = None, seed: int | None = None) -> "Ticket":
        """Return the same ticket at another level or sparsity, of another seed; what isn't given stays.

        Raises:
            TicketError: there is no such level, sparsity or seed.
        """
        if level is None and sparsity is None:
            level = self.level
        return self._view(self.config, self._stored, level, sparsity, self.seed if seed is None else seed)

    @property
    def name(self) -> str:
        """Such as `lenet-300-100.mnist-imp`."""
        return self.config.name

    @property
    def levels(self) -> list[LevelEntry]:
        """The packaged levels, densest first."""
        return self.config.levels

    @property
    def seeds(self) -> list[int]:
        """The seeds of the replicates, in the recipe's order."""
        return [replicate.seed for replicate in self.config.replicates]

    @property
    def sparsity(self) -> float:
        """Fraction of the prunable weights removed at this level, in [0, 1)."""
        return next(entry.sparsity for entry in self.levels if entry.level == self.level)

    @cached_property
    def masks(self) -> Masks:
        """Bool tensors, True = kept, by parameter name."""
        return self._stored.replicates[self.seed].levels.masks(self.level)

    @property
    def empty_layers(self) -> list[str]:
        """A line for each parameter of which this replicate keeps next to nothing at some packaged level."""
        sparsities = {entry.level: entry.sparsity for entry in self.levels}
        return empty_layers(self._stored.replicates[self.seed].levels, sparsities)

    @cached_property
    def known_rewind(self) -> Masks:
        """The places whose rewind weights are known: the masks of the densest packaged level."""
        levels = self._stored.replicates[self.seed].levels
        return levels.masks(levels.densest)

    @cached_property
    def rewind_state(self) -> dict[str, Tensor]:
        """Every parameter and buffer to train from, dense, in the stored dtypes, pruned weights 0.0.

        The densest level's holds all `known_rewind` values.

        Raises:
            TicketError: a damaged file.
        """
        replicate = self._stored.replicates[self.seed]
        return unpack_rewind(replicate.rewind, replicate.levels, self.level)

    @property
    def base_state(self) -> dict[str, Tensor] | None:
        """The weights of the base model, dense and whole; None where the ticket holds its rewind weights itself.

        Raises:
            RegistryError: they cannot be fetched.
            TicketError: they are not those of the ticket.
        """
        return self._stored.read_base() if self._stored.read_base else None

    @property
    def results(self) -> list[dict[str, Any]]:
        """Every measured number: a row of results.jsonl each.

        Raises:
            TicketError: a damaged file.
        """
        return self._stored.results

    @property
    def recipe_text(self) -> str | None:
        """The recipe that made the ticket, as YAML.

        Raises:
            TicketError: a damaged file.
        """
        return self._stored.recipe_text

    def build(self, seed: int = 0) -> nn.Module:
        """Return the model, masked, at the rewind weights, on the CPU in training mode.

        Where these are a base model's, which has no head of this shape, the head is fresh, drawn from `seed`.

        Raises:
            ModelError: an unknown architecture or a base that does not fit it.
            TicketError: a ticket that does
                not fit.
        """
        architecture = self.config.architecture
        names = {"library": architecture.library, "name": architecture.name, "kwargs": architecture.kwargs}
        model = create_from_architecture(names, seed=seed)
        if architecture.library == "transformers" and self.config.rewind.kind == "base":
            load_base(model, self.rewind_state)
            fit(model, self.masks, head=())
        else:
            fit(model, self.masks, self.rewind_state, head=())
        return model

    def apply(
        self,
        model: nn.Module,
        *,
        rewind: bool = True,
        head: str | Sequence[str] | None = None,
        leave: str | Sequence[str] = (),
    ) -> None:
        """Put the masks, and the rewind weights, on `model`: its pruned weights stay 0.0 through any training loop.

        Args:
            model: of the ticket's architecture, on any device, in any float dtype (the weights are cast), also wrapped
                by `torch.compile`, DataParallel or DistributedDataParallel.
            rewind: whether to load the rewind weights; False leaves the model's own, masked.
            head: module or modules, such as `fc3`, whose parameters stay the model's own, of any size, without masks.
                A `transformers` model needs none named: all beside its encoder stays, and the ticket fits any head.
            leave: further modules, such as `bert.pooler`, whose parameters stay the model's own, without masks.

        Raises:
            TicketError: the model unchanged, naming every tensor that is missing, unexpected or of another shape,
                or whose mask keeps nothing.
        """
        if unlike := differences(self.config.architecture.model_dump(), plain_model(model)):
            raise TicketError(f"the ticket does not fit the model: {'; '.join(unlike)}")
        if isinstance(self.config.rewind, BaseRewind):
            warn_of_another_base(self.config.rewind.repo_id, model)
        state = self.rewind_state if rewind else None
        head, leave = [head] if isinstance(head, str) else head, [leave] if isinstance(leave, str) else leave
        fit(model, self.masks, state, head=head, leave=leave, may_be_empty=False)

    @staticmethod
    def remove(model: nn.Module) -> None:
        """Make `model` an ordinary one again; its pruned weights stay 0.0 until something trains them."""
        detach(model)

    def save_pretrained(self, folder: str | Path, *, extras: Mapping[str, bytes] | None = None) -> Path:
        """Write the whole ticket, every level and replicate, into `folder`, completely or not at all.

        An existing ticket there is replaced; files that are no part of a ticket stay.

        Returns the folder.

        Args:
            folder: to write; its parents are made.
            extras: more files to write along with it, such as `README.md` and plots, by plain file name.

        Raises:
            TicketError: it holds something else, or cannot be written.
        """
        return save(self.config, self._stored, Path(folder), extras or {})

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        create_pr: bool = False,
        commit_message: str | None = None,
        token: str | bool | None = None,
        card: str | None = None,
        replace_card: bool = False,
    ) -> Published:
        """Publish the whole ticket, every level and replicate, with its card and plots, in one commit.

        The same ticket pushed again makes no new commit. A README.md that was edited on the Hub stays.

        Returns what became of it: `url` and `commit`, whether that is new (`changed`), and `card_kept`.

        Args:
            repo_id: `owner/name`; a repository that does not exist is made.
            private: whether it is to be private. Publishing to a public one with `private=True` is refused. None: what
                it is, or what new repositories of its owner are by default.
            revision: the branch, made if it does not exist; the main branch by default.
            create_pr: whether to open a pull request instead.
            commit_message: in one line.
            token: for the Hub; by default that of `HF_TOKEN` or `hf auth login`.
            card: text of README.md. Default: the one in the ticket's folder, or else what ticket.json says.
            replace_card: whether to overwrite a README.md that was edited on the Hub.

        Raises:
            RegistryError: a repository that cannot be made, read or written, somebody else's push in the meantime,
                an access token in a file; TicketError for a damaged ticket.
        """
        to = Destination(repo_id, private, revision, create_pr, commit_message, token, replace_card)
        return push(self.config, self._stored, to, card)

    def __repr__(self) -> str:
        return f"Ticket('{self.name}', level={self.level}, sparsity={self.sparsity:.4f}, seed={self.seed})"
