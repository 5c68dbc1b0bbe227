"""Findings of `verify`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """Something that was checked and holds: of which file, and what."""

    file: str
    holds: str

    def __str__(self) -> str:
        return f"{self.file}: {self.holds}"
