"""The parts that a study can name, with their settings and presets."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from active_rlhf import parts

# The part of each kind that a study gets if it names none.
DEFAULT: Mapping[str, str] = {"agent": "ppo", "reward_model": "mlp", "teacher": "oracle"}

# Each of B-Pref's teachers (Lee et al. 2021) is the same teacher with one irrationality switched
# on.
TEACHER_PRESETS: Mapping[str, tuple[str, Mapping[str, Any], str]] = {
    "mistake": ("bpref", {"eps_mistake": 0.1}, "B-Pref: one answer in ten is wrong"),
    "noisy": (
        "bpref",
        {"beta": 1.0},
        "B-Pref: answers drawn from a Boltzmann choice between the returns",
    ),
    "skip": (
        "bpref",
        {"eps_skip": 0.1},
        "B-Pref: skips pairs in which neither segment shows anything worth seeing",
    ),
    "myopic": ("bpref", {"gamma": 0.9}, "B-Pref: later steps weigh more"),
    "equal": ("bpref", {"eps_equal": 0.1}, "B-Pref: small differences are equal"),
}


def names(kind: str) -> list[str]:
    """The names of all parts of a kind, presets included; the default first."""
    first = [DEFAULT[kind]] if kind in DEFAULT else []
    presets = TEACHER_PRESETS if kind == "teacher" else ()
    return list(dict.fromkeys([*first, *parts.known(kind), *presets]))


def description(kind: str, name: str) -> str:
    """One line about a part, read without importing the package's own parts."""
    if kind == "teacher" and name in TEACHER_PRESETS:
        return TEACHER_PRESETS[name][2]
    return parts.description(kind, name).rstrip(".")


def settings_of(kind: str, name: str) -> type[BaseModel]:
    """The model of a part's settings."""
    return parts.part(kind, name).settings


def resolved(kind: str, name: str) -> tuple[str, Mapping[str, Any]]:
    """The part that a name stands for, and the values it sets: those of a preset, or none."""
    if kind == "teacher" and name in TEACHER_PRESETS:
        return TEACHER_PRESETS[name][:2]
    return name, {}
