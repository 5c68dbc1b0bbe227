"""A ticket: masks, the weights to train from, and what is known about them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from ticketzoo.hub.options import HubOptions
from ticketzoo.masks.checks import reapply
from ticketzoo.models.body import model_names_of
from ticketzoo.models.state import State
from ticketzoo.ticket.base import BaseWeights
from ticketzoo.ticket.brought_network import brought_network
from ticketzoo.ticket.build import build_network, with_base
from ticketzoo.ticket.delta import put_delta, take_off
from ticketzoo.ticket.empty import refuse_empty
from ticketzoo.ticket.files import ticket_files_of
from ticketzoo.ticket.fit import check_kind, fit, heads
from ticketzoo.ticket.found import Found, documents_of, pack
from ticketzoo.ticket.held import has_base
from ticketzoo.ticket.made import Made
from ticketzoo.ticket.naming import Rename, module_at
from ticketzoo.ticket.stored import stored_in
from ticketzoo.ticket.verdict import Verdict
from ticketzoo.util.arguments import checked


class Ticket(Made):
    """A packaged ticket, seen at one level of one replicate: opened or made, and put on models.

    Its content (`masks`, `results`, ...) and `at`, which gives another view, are `.contents.Contents`'; saving and
    publishing `.publish.Publishable`'s; further ways to make one, such as `from_zeros`, `.made.Made`'s; `&`, `|` and
    `-` with another ticket `.combined.Combinable`'s.
    """

    @classmethod
    @checked
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
        """Open a ticket in a folder or on the Hub. Its masks are read and checked now, weights when asked for.

        `repo_id_or_folder` is a Path, or a text that names a folder (`./folder`) or a Hub id (`owner/name`,
        `hub:owner/name@revision`). All other arguments are those of `ticketzoo.load_ticket`, which says what they do.

        Of a ticket on the Hub everything comes from one commit. Fetched now are ticket.json and the chosen replicate's
        files; another replicate's, the recipe, the results and base weights once they are asked for.

        Raises:
            TicketError: a damaged ticket or unknown format, other masks than `mask_sha256`, and for a level,
                sparsity or seed not packaged; RegistryError for what cannot be fetched.
        """
        options = HubOptions(
            Path(cache_dir).expanduser() if cache_dir else None, token, local_files_only, force_download
        )
        files = ticket_files_of(repo_id_or_folder, revision, options)
        config = files.config(mask_sha256)
        stored = stored_in(files, config, masks_only=masks_only, base=Path(base).expanduser() if base else None)
        return cls._view(config, stored, level=level, sparsity=sparsity, seed=seed)

    @classmethod
    @checked
    def create(  # noqa: PLR0913 - every field of ticket.json, by keyword
        cls,
        *,
        name: str,
        architecture: Mapping[str, Any],
        task: str,
        source: Mapping[str, Any],
        pruning: Mapping[str, Any],
        replicates: Sequence[Found],
        rewind_step: int | Sequence[int] = 0,
        rewinding: str = "weights",
        rewind_kind: str = "packed",
        base: BaseWeights | None = None,
        package_from: int = 0,
        recipe_text: str | None = None,
        results: Iterable[Mapping[str, Any]] = (),
        verdict: Verdict | Mapping[str, Any] | None = None,
        license: str | None = None,
        masked: str = "zero",
        use: str = "train",
        derived: Mapping[str, Any] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> "Ticket":
        """Make a ticket of copies of what was found: of format 1 where that can hold it, else of format 2.

        Args:
            name: such as `lenet-300-100.mnist-imp`.
            architecture: as `ticketzoo.models.architecture_of` or `ticketzoo.ticket.custom_architecture` gives it.
            task: such as `image-classification`.
            source: `dataset`, and if known its `revision` and a `fingerprint` of the examples.
            pruning: `method`, `scope` and `rate`; also `criterion`, `structure`, `schedule` and `compared`.
            replicates: one per seed, all with the same levels; the first is the one loaded by default.
            rewind_step: the iteration whose weights the rewind states hold, or of each replicate; 0 is initialisation.
            rewinding: `weights`, `learning-rate` or `late-reset`; see `ticketzoo.ticket.rewinds`.
            rewind_kind: `packed`; `signed` where each masked parameter has one magnitude; `seed` where replicates give
                the `draw_seed` of an initialisation.
            base: instead of rewind states, a model's weights on the Hub, of which the ticket holds commit and digest.
            package_from: the densest level to package; weights that no packaged level keeps are not stored.
            recipe_text: the whole recipe, as YAML.
            results: rows of measured numbers.
            verdict: on the source task.
            license: of masks and weights, as an SPDX name.
            masked: `zero` where excluded weights are 0.0, `frozen` where they stay at their start values.
            use: `train`, or `as-is` for a ticket that is evaluated and not trained.
            derived: of a ticket made from others: `method`, `parents` (`name` and `mask_sha256` each), `arguments`.
            files: content of further files, by plain name; `read_file` gives it again.

        Raises:
            TicketError: masks that aren't bool, weights that don't fit or are NaN, levels that differ by seed, and
                fields that ticket.json may not hold.
        """
        rewind = {"kind": rewind_kind, "rewinding": rewinding, "step": rewind_step}
        content: dict[str, Any] = {"name": name, "architecture": dict(architecture), "task": task}
        content |= {"source": dict(source), "pruning": dict(pruning), "masked": masked, "use": use, "rewind": rewind}
        content |= {"derived": derived, "verdict": verdict, "license": license}
        documents = documents_of(recipe_text, results, files or {})
        config, stored = pack(content, replicates, base=base, package_from=package_from, documents=documents)
        return cls._view(config, stored)

    @checked
    def build(self, seed: int = 0, *, allow_empty: bool = False, base: str | Path | None = None) -> nn.Module:
        """Return the model, masked, at the rewind weights, on the CPU in training mode.

        With `use: as-is` at trained values, if there are, in evaluation mode. A head that a base model lacks is fresh.

        Args:
            seed: of what is fresh.
            allow_empty: whether the masks of a layer in use may keep nothing: then nothing before it learns.
            base: what weights alone are of: `torchvision/NAME`, `timm/NAME`, or a folder with its config.json.

        Raises:
            ModelError: an unknown architecture, one of the ticket's author, or a base that does not fit it.
            TicketError: a ticket that does not fit, and masks that keep nothing of a layer in use.
        """
        if base is not None or self.config.architecture.parameters is not None:
            self.apply(model := brought_network(self, seed, base), head=())
            return model.eval() if self.config.use == "as-is" else model
        config, state = self.config, self._weights
        model = build_network(config, state, seed)
        if config.masked == "zero" and not allow_empty:
            remedy = "choose a denser level, or build it all the same with allow_empty=True"
            refuse_empty(model_names_of(self.masks, model), model, self._at_level, remedy)
        fit(model, self.masks, with_base(model, config, state), head=(), masked=config.masked)
        return model.eval() if config.use == "as-is" else model

    @checked
    def apply(
        self,
        model: nn.Module,
        *,
        rewind: bool = True,
        head: str | Sequence[str] | None = None,
        leave: str | Sequence[str] = (),
        prefix: str = "",
        rename: Rename | None = None,
    ) -> None:
        """Put the masks, and the weights, on `model`: its pruned weights stay where they belong in any training loop.

        Args:
            model: of the ticket's architecture, on any device, in any float dtype (the weights are cast), also wrapped
                by `torch.compile`, DataParallel or DistributedDataParallel.
            rewind: load the ticket's weights, as `build` does; False leaves the model's own, masked. Weights of a base
                that the model was just loaded from are not fetched.
            head: module or modules, such as `fc3`, whose parameters stay the model's own, of any size, without masks.
                A `transformers` model needs none named: all beside its encoder stays, and the ticket fits any head.
            leave: further modules, such as `bert.pooler`, whose parameters stay the model's own, without masks.
            prefix: the module of `model` to put the ticket on, such as `net` of a Lightning module; `head` and `leave`
                are then names inside that.
            rename: the model's names by the ticket's, of tensors or modules (`{"fc1": "body.0"}`), or a function.

        Raises:
            TicketError: the model unchanged, naming every tensor that is missing, unexpected or of another shape,
                or whose mask keeps nothing, and the module in it or the names that the ticket fits.
        """
        model = module_at(model, prefix)
        check_kind(self.config, model)
        head, leave = heads(self.config, model, head), [leave] if isinstance(leave, str) else leave
        if rewind and self.kind == "delta":
            put_delta(self, model, head, leave, rename)
            return
        state = self._weights if rewind and not has_base(model, self.config) else None
        kind, where = self.config.masked, self._at_level
        fit(model, self.masks, state, head=head, leave=leave, rename=rename, masked=kind, ticket=where)

    @staticmethod
    @checked
    def remove(model: nn.Module) -> None:
        """Make `model` an ordinary one again: a delta is taken out; pruned weights stay until something trains them."""
        take_off(model)

    @staticmethod
    @checked
    def reapply(model: nn.Module) -> None:
        """Set pruned weights of a masked model back, and mask layers that replaced others of the same shape.

        Raises:
            TicketError: no masks are on the model, or one can no longer be held.
        """
        reapply(model)

    @property
    def _weights(self) -> State:
        """The weights that a model is given."""
        trained = self.trained_state if self.config.use == "as-is" else None
        return self.rewind_state if trained is None else trained
