"""What is checked, and how checks report faults."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from active_rlhf.parts.registry import Part


@dataclass(frozen=True)
class Subject:
    """A part, or an environment that a file registers, to be checked."""

    kind: str
    name: str
    origin: str | None
    """What a study loads it from."""
    part: Part | None

    def __str__(self) -> str:
        return f"{self.kind.replace('_', ' ')} {self.name}"


Check = tuple[str, Callable[[Subject, Mapping[str, Any]], None]]
"""What is expected, and a function of the part and its settings that raises if it does not hold."""


def expect(whether: Any, otherwise: str) -> None:
    """Raise AssertionError with this message unless it holds."""
    if not whether:
        raise AssertionError(otherwise)
