"""The parts that a study can name, with their settings: the one place where they are looked up."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, create_model, model_validator

from active_rlhf import parts
from active_rlhf.study.sections import Section, setting


class Oracle(Section):
    """Prefers the larger true return; too small a difference is equal."""

    tie_quantile: float | None = setting(
        None,
        "returns that differ less than this quantile of uniformly drawn pairs are equal",
        unit="share",
        shown="0.2",
        ge=0,
        le=1,
    )
    tie_threshold: float | None = setting(
        None,
        "returns that differ less than this are equal, in place of `tie_quantile`",
        unit="return",
        ge=0,
    )

    @model_validator(mode="before")
    @classmethod
    def _one_of_both(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and not {"tie_quantile", "tie_threshold"} - given.keys():
            raise ValueError("give tie_quantile or tie_threshold, not both")
        if isinstance(given, Mapping) and "tie_threshold" not in given:
            return {"tie_quantile": 0.2, **given}
        return given


class BPref(Section):
    """B-Pref's irrational teacher (Lee et al. 2021), every irrationality off."""

    beta: float = setting(
        0.0, "the choice follows sigmoid(beta x difference); 0: always the larger", "1 / return"
    )
    gamma: float = setting(1.0, "discount of earlier steps", unit="a step", ge=0, le=1)
    eps_skip: float = setting(
        0.0,
        "skip if both returns are at most this share of m, the mean recent return of as many steps",
        unit="share of m",
        ge=0,
        le=1,
    )
    eps_equal: float = setting(
        0.0, "equal if the returns differ by less", unit="share of m", ge=0, le=1
    )
    eps_mistake: float = setting(0.0, "of the opposite answer", unit="probability", ge=0, le=1)


_WEIGHTS: dict[str, Any] = {
    "return": (
        float,
        setting(1.0, "of the true return, in mean differences of uniformly drawn pairs"),
    ),
    "length": (float, setting(0.5, "of the number of steps, as a share of the longest")),
    "smoothness": (float, setting(0.2, "of minus the mean squared change of action")),
}
Weights: Any = create_model("Weights", __base__=Section, **_WEIGHTS)


class SimulatedHuman(Section):
    """Weighs return, length and smoothness, with noise, bias and confidence."""

    weights: Weights = setting(Weights(), "of return, length and smoothness", unit="weights")
    noise: float = setting(0.25, "sd of what it sees", unit="utility", ge=0)
    bias: float = setting(0.05, "toward the first segment", unit="utility")


@cache
def _undeclared(kind: str) -> dict[str, type[BaseModel]]:
    """Parts that are not in the registry yet."""
    if kind == "agent":
        from active_rlhf.agents.ppo.settings import PPOSettings

        return {"ppo": PPOSettings}
    if kind == "teacher":
        return {"oracle": Oracle, "bpref": BPref, "human_simulated": SimulatedHuman}
    if kind in ("task", "reward_model"):
        return {}
    from active_rlhf.selection.composition import CANDIDATES, FILTERS, PICKERS, SCORES

    ranges: dict[str, Mapping[str, Any]] = {
        "candidates": CANDIDATES,
        "filter": FILTERS,
        "picker": {name: picker.settings for name, picker in PICKERS.items()},
        "score": {name: {} for name in SCORES},
    }
    return {name: _model(name, given) for name, given in ranges[kind].items()}


def _model(name: str, ranges: Mapping[str, Any]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        key: (type(default), setting(default, "", ge=lowest, le=highest))
        for key, (default, lowest, highest) in ranges.items()
    }
    return create_model(name, __base__=Section, **fields)


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


KINDS = parts.KINDS


def names(kind: str) -> list[str]:
    """What a study may name as a part of a kind, presets included."""
    presets = TEACHER_PRESETS if kind == "teacher" else ()
    return list(dict.fromkeys([*_undeclared(kind), *parts.known(kind), *presets]))


def description(kind: str, name: str) -> str:
    """One line about a part."""
    if kind == "teacher" and name in TEACHER_PRESETS:
        return TEACHER_PRESETS[name][2]
    if name in _undeclared(kind):
        return (_undeclared(kind)[name].__doc__ or "").split("\n")[0].rstrip(".")
    return parts.part(kind, name).description


def settings_of(kind: str, name: str) -> type[BaseModel]:
    """The model of a part's settings."""
    if name in _undeclared(kind):
        return _undeclared(kind)[name]
    return parts.part(kind, name).settings


def resolved(kind: str, name: str) -> tuple[str, Mapping[str, Any]]:
    """The part that a name means, and what it sets: a preset's values, or nothing."""
    if kind == "teacher" and name in TEACHER_PRESETS:
        return TEACHER_PRESETS[name][:2]
    return name, {}
