"""What is checked, and how a check says what is wrong."""

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
"""What is expected, and a function of the part and its settings that raises where it is not so."""


def expect(whether: Any, otherwise: str) -> None:
    """Raise AssertionError saying what is otherwise."""
    if not whether:
        raise AssertionError(otherwise)
