"""A length of training written `500it` (iterations) or `2ep` (epochs)."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import GetCoreSchemaHandler, PlainSerializer, PlainValidator
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class Steps:
    """`count` iterations (`unit` "it") or epochs (`unit` "ep"). In recipes: `500it`, `2ep`, `0.5ep`."""

    count: float
    unit: str

    @classmethod
    def parse(cls, text: object) -> "Steps":
        """Read `500it` or `2ep`.

        Raises:
            ValueError: on anything else.
        """
        match = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(it|ep)", text) if isinstance(text, str) else None
        if match is None or (match[2] == "it" and "." in match[1]):
            raise ValueError(f"write iterations as '500it' or epochs as '2ep', not {text!r}")
        return cls(float(match[1]), match[2])

    def iterations(self, steps_per_epoch: int) -> int:
        """Return the length in iterations, of which `steps_per_epoch` make an epoch, rounded, a half to even."""
        return round(self.count * (steps_per_epoch if self.unit == "ep" else 1))

    def times(self, number: float) -> "Steps":
        """Return a length `number` times as long, in whole iterations."""
        count = self.count * number
        return Steps(round(count, 12) if self.unit == "ep" else float(round(count)), self.unit)

    def __str__(self) -> str:
        return f"{self.count:.12f}".rstrip("0").rstrip(".") + self.unit

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type, handler: GetCoreSchemaHandler) -> CoreSchema:
        def validate(value: Any) -> Steps:
            return value if isinstance(value, Steps) else cls.parse(value)

        return core_schema.no_info_plain_validator_function(
            validate, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )


def _or_auto(value: object) -> "Steps | Literal['auto']":
    if value == "auto":
        return "auto"
    return value if isinstance(value, Steps) else Steps.parse(value)


StepsOrAuto = Annotated[Steps | Literal["auto"], PlainValidator(_or_auto), PlainSerializer(str)]
"""A length, or "auto" for one that is yet to be measured."""
