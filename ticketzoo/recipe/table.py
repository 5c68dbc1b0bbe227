"""Sections of a recipe whose keys depend on a name in a table, such as `finder.method` and `task.type`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from ticketzoo.util.registry import Registry


@dataclass(frozen=True)
class ConfiguredBy:
    """Annotation of a section that is read as the config of the entry its `key` names.

        finder: Annotated[SerializeAsAny[MethodConfig], ConfiguredBy(lambda: METHODS, "method", default="imp")]

    Entries that are registered later, from a user's own package, are read alike.

    Args:
        table: gives the table, whose entries have a `config`; called at each reading.
        key: the section's key that holds the name of an entry.
        default: the name where the key is left out; if None, the key is required.
    """

    table: Callable[[], Registry[Any]]
    key: str
    default: str | None = None

    def configs(self) -> list[type[BaseModel]]:
        """Return the types a section may have, an entry's each."""
        return [entry.config for entry in self.table().values()]

    def named(self, content: Any) -> Any:
        """Return the name of the entry that a section is of, perhaps of none; the default where it gives no name."""
        return content.get(self.key, self.default) if isinstance(content, dict) else self.default

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._read, handler(source))

    def _read(self, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        name, table = self.named(content), self.table()
        if name is None:
            raise PydanticKnownError("union_tag_not_found", {"discriminator": f"'{self.key}'"})
        if not isinstance(name, str) or name not in table:
            known = ", ".join(f"'{entry}'" for entry in table)
            context = {"discriminator": f"'{self.key}'", "tag": str(name), "expected_tags": known}
            raise PydanticKnownError("union_tag_invalid", context)
        return table[name].config.model_validate(content)
