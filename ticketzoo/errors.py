class TicketzooError(Exception):
    """A request that cannot be done. The message is one line: what, where, and what to do."""


class ArgumentError(TicketzooError, TypeError):
    """An argument of a public function of another type than it takes."""


class RecipeError(TicketzooError):
    """A recipe file or an override that cannot be used: unknown key, wrong type, impossible value."""


class ModelError(TicketzooError):
    """An unknown architecture, or arguments that do not fit it."""


class DataError(TicketzooError):
    """A data set that is missing, has no images or labels, or does not fit the task."""


class TicketError(TicketzooError):
    """A ticket that is damaged, does not fit a model, or has an unknown format."""


class RegistryError(TicketzooError):
    """A ticket reference that cannot be resolved, fetched or published."""


class RunError(TicketzooError):
    """A run that cannot go on: its folder is in use, unwritable, full, or holds another recipe's work."""
