"""The parts that a study can name, with their settings and presets."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from active_rlhf import parts

# The part of a kind that a study has if it names none.
DEFAULT: Mapping[str, str] = {"agent": "ppo", "reward_model": "mlp", "teacher": "oracle"}

# B-Pref's teachers (Lee et al. 2021) are its one teacher with one irrationality switched on.
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
        "B-Pref: skips pairs in which neither segment is worth a look",
    ),
    "myopic": ("bpref", {"gamma": 0.9}, "B-Pref: later steps weigh more"),
    "equal": ("bpref", {"eps_equal": 0.1}, "B-Pref: small differences are equal"),
}


def names(kind: str) -> list[str]:
    """What a study may name as a part of a kind, presets included; the default first."""
    first = [DEFAULT[kind]] if kind in DEFAULT else []
    presets = TEACHER_PRESETS if kind == "teacher" else ()
    return list(dict.fromkeys([*first, *parts.known(kind), *presets]))


def description(kind: str, name: str) -> str:
    """One line about a part; the package's own are not imported for it."""
    if kind == "teacher" and name in TEACHER_PRESETS:
        return TEACHER_PRESETS[name][2]
    return parts.description(kind, name).rstrip(".")


def settings_of(kind: str, name: str) -> type[BaseModel]:
    """The model of a part's settings."""
    return parts.part(kind, name).settings


def resolved(kind: str, name: str) -> tuple[str, Mapping[str, Any]]:
    """The part that a name means, and what it sets: a preset's values, or nothing."""
    if kind == "teacher" and name in TEACHER_PRESETS:
        return TEACHER_PRESETS[name][:2]
    return name, {}
