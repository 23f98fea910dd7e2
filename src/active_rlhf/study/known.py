"""The parts that a study can name, presets included: the one place where they are looked up."""

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from active_rlhf import parts
from active_rlhf.parts.registry import own_modules

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
    """What a study may name as a part of a kind, presets included."""
    found = dict.fromkeys(parts.known(kind))
    if kind == "agent":
        found = dict.fromkeys(["ppo", *found])
    return [*found, *(TEACHER_PRESETS if kind == "teacher" else ())]


def settings_of(kind: str, name: str) -> type[BaseModel]:
    """The model of a part's settings. Raises PartError if it cannot be loaded."""
    if (kind, name) == ("agent", "ppo") and name not in parts.known(kind):
        from active_rlhf.agents.ppo.settings import PPOSettings

        return PPOSettings
    return parts.part(kind, name).settings


def resolved(kind: str, name: str) -> tuple[str, Mapping[str, Any]]:
    """The part that a name means, and what it sets: a preset's values, or nothing."""
    if kind == "teacher" and name in TEACHER_PRESETS:
        return TEACHER_PRESETS[name][:2]
    return name, {}


def description(kind: str, name: str) -> str:
    """One line about a part; the package's own are not imported for it."""
    if kind == "teacher" and name in TEACHER_PRESETS:
        return TEACHER_PRESETS[name][2]
    if name in own_modules(kind):
        return _first_line(own_modules(kind)[name], kind)
    if (kind, name) == ("agent", "ppo"):
        return settings_of(kind, name).__doc__ or ""
    return parts.part(kind, name).description


@cache
def _first_line(file: Path, kind: str) -> str:
    """The first line of the docstring of what a file declares, or else of the file."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    declared = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and any(kind in ast.unparse(decorator) for decorator in node.decorator_list)
    ]
    texts = [ast.get_docstring(node) for node in (*declared, tree)]
    return next((text for text in texts if text), "").split("\n", 1)[0]
