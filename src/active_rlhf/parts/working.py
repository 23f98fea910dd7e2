"""A part in use by a run, and what it remembers between calls."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

from active_rlhf.parts.blame import blamed_on


class Working:
    """A part in use by a run: called like its function, with its state saved by name.

    Exceptions inside become a PartError that names the part.
    """

    def __init__(self, what: str, file: Path, inner: Callable[..., Any]):
        self.what, self.file, self.inner = what, file, inner
        with self.blamed():
            if not callable(inner):
                raise TypeError("needs __call__")
            self._saves = hasattr(inner, "state_dict")
            if self._saves != hasattr(inner, "load_state_dict"):
                raise TypeError("needs both state_dict and load_state_dict, or neither")

    def __call__(self, *given: Any) -> Any:
        with self.blamed():
            if self._saves or isinstance(self.inner, partial):
                return self.inner(*given)
            before = _remembered(self.inner)
            answer = self.inner(*given)
            changed = [
                name
                for name, value in vars(self.inner).items()
                if not (name in before and _same(before[name], value))
            ]
            if changed:
                raise ValueError(
                    f"changes itself ({', '.join(changed)}) but has no state_dict and "
                    "load_state_dict: after a resume it would start over and act differently"
                )
            return answer

    def blamed(self) -> AbstractContextManager[None]:
        """Exceptions inside are blamed on this part."""
        return blamed_on(self.what, self.file)

    def state_dict(self) -> dict[str, Any]:
        """Its state: a tree of arrays and JSON data; empty if it keeps nothing."""
        if not self._saves:
            return {}
        with self.blamed():
            state = self.inner.state_dict()  # type: ignore[attr-defined]
            if not isinstance(state, Mapping):
                raise TypeError(f"state_dict gave a {type(state).__name__}, not a mapping")
            return {name: _storable(name, value) for name, value in state.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore this state."""
        if self._saves:
            with self.blamed():
                self.inner.load_state_dict(state)  # type: ignore[attr-defined]


def _remembered(inner: Any) -> dict[str, Any]:
    """A copy of an instance's attributes; those that cannot be copied are kept as they are."""
    found = {}
    for name, value in getattr(inner, "__dict__", {}).items():
        try:
            found[name] = deepcopy(value)
        except Exception:  # a class that cannot be copied may raise anything
            found[name] = value
    return found


def _same(one: Any, other: Any) -> bool:
    """Whether two attributes are equal, as far as can be told."""
    import numpy as np

    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(
            one, other, equal_nan=one.dtype.kind == "f"
        )
    if isinstance(one, np.random.Generator):
        return _same(one.bit_generator.state, other.bit_generator.state)
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if getattr(type(one), "__eq__", None) is object.__eq__:  # an object of a class without equality
        mine, others = (getattr(value, "__dict__", None) for value in (one, other))
        return mine is None or others is None or _same(mine, others)
    try:
        return bool(one == other) or (one != one and other != other)
    except (TypeError, ValueError):
        return True


def _storable(name: str, value: Any) -> Any:
    """A state in a form that checkpoints can hold. Raises TypeError naming what they cannot."""
    import numpy as np

    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): _storable(f"{name}.{key}", item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(f"{name}[{i}]", item) for i, item in enumerate(value)]
    plain = isinstance(value, str | int | float | bool | None)
    if not plain and not (isinstance(value, np.ndarray) and not value.dtype.hasobject):
        raise TypeError(
            f"state_dict: {name} is a {type(value).__name__}; "
            "a checkpoint holds arrays, numbers, text, lists and mappings of these"
        )
    return value.copy() if isinstance(value, np.ndarray) else value
