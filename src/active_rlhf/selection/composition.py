"""A selector as a study writes it: candidates x filter x score x picker, by name and settings.

candidates: {name: ..., pairing: independent | cross_cluster, clusters: ...}
filter: {name: ...}, or null
score: {name: ...}; `none` without one
keep: null or the share of best-scored pairs that reach the picker
picker: {name: ...}
"""

import re
from collections.abc import Mapping
from reprlib import repr as short
from typing import Any

from pydantic import BaseModel

from active_rlhf.errors import InputError
from active_rlhf.parts import PartError, part, unknown
from active_rlhf.selection.candidates.pairing import CLUSTERS, PAIRINGS

ROLES = ("candidates", "filter", "score", "picker")  # kinds of parts, in order of their use
NONE = {"name": "none"}
PAIRING = ("pairing", "clusters")  # settings that all candidate generators take


def validate_composition(composition: Any) -> dict[str, Any]:
    """The composition with every setting explicit; omitted stages are those of `random`.

    A part may be given by its name alone (`picker: top`). Raises InputError with one line that
    starts with the key at fault.
    """
    if isinstance(composition, BaseModel):
        composition = composition.model_dump(mode="json")
    if not isinstance(composition, Mapping):
        found = short(composition)
        raise InputError(f"must be a mapping of candidates, score, picker, not {found}")
    known = (*ROLES, "keep")
    for name in composition:
        if name not in known:
            raise InputError(f"{name}: unknown here; known: {', '.join(known)}")
    gate, score = composition.get("filter"), composition.get("score")
    score = _named("score", NONE if score is None else score)
    return {
        "candidates": _candidates(_named("candidates", composition.get("candidates", {}))),
        "filter": None if gate is None else _complete("filter", _named("filter", gate)),
        "score": NONE if score == NONE else _complete("score", score),
        "keep": _keep(composition.get("keep")),
        "picker": _complete(
            "picker", {"name": "random", **_named("picker", composition.get("picker", {}))}
        ),
    }


def needs_latents(composition: Any) -> bool:
    """Whether the selector uses VAE latents, in which case the run trains a VAE."""
    complete = validate_composition(composition)
    across = complete["candidates"]["pairing"] == "cross_cluster"
    return across or bool(declaring("latents", complete))


def declaring(trait: str, composition: Any) -> list[str]:
    """The parts of the selector, as in `picker dpp`, that are declared with this trait."""
    complete = validate_composition(composition)
    return [
        f"{role} {complete[role]['name']}"
        for role in ROLES
        if complete[role] not in (None, NONE)
        and part(role, complete[role]["name"]).has(trait, settings(complete[role]))
    ]


def settings(choice: Mapping[str, Any]) -> dict[str, Any]:
    """A chosen part's own settings."""
    return {key: value for key, value in choice.items() if key not in ("name", *PAIRING)}


def _named(key: str, value: Any) -> Mapping[str, Any]:
    choice = {"name": value} if isinstance(value, str) else value
    if not isinstance(choice, Mapping):
        raise InputError(f"{key}: must be a name or a mapping with a name, not {short(value)}")
    return choice


def _complete(role: str, choice: Mapping[str, Any]) -> dict[str, Any]:
    """A choice with all of its part's settings, given or by default."""
    try:
        chosen = part(role, choice.get("name"))
    except PartError:
        raise
    except InputError as error:
        raise InputError(f"{role}.name: {error}") from None
    try:
        complete = chosen.complete({key: choice[key] for key in choice if key != "name"})
    except InputError as error:
        of_one = re.match(r"[\w.\[\]]+: ", str(error))
        raise InputError(f"{role}{'.' if of_one else ': '}{error}") from None
    return {"name": chosen.name, **complete.model_dump(mode="json", by_alias=True)}


def _candidates(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Candidates, with how they are paired."""
    pairing = choice.get("pairing", "independent")
    if pairing not in PAIRINGS:
        raise InputError(f"candidates.pairing: {unknown('pairing', pairing, PAIRINGS)}")
    across = pairing == "cross_cluster"
    mine = PAIRING if across else PAIRING[:1]
    rest = {key: value for key, value in choice.items() if key not in mine}
    complete = _complete("candidates", {"name": "uniform", **rest})
    paired: dict[str, Any] = {"pairing": pairing}
    if across:
        default, fewest, most = CLUSTERS
        paired["clusters"] = clusters = choice.get("clusters", default)
        whole = isinstance(clusters, int) and not isinstance(clusters, bool)
        if not whole or not fewest <= clusters <= most:
            raise InputError(
                f"candidates.clusters: must be a whole number from {fewest} to {most}, "
                f"not {short(clusters)}"
            )
    if taken := [key for key in PAIRING if key in complete]:
        raise InputError(
            f"candidates.{taken[0]}: is said of the pairing; candidates {complete['name']} must "
            "call its own setting otherwise"
        )
    return {"name": complete.pop("name"), **paired, **complete}


def _keep(keep: Any) -> float | None:
    if keep is None:
        return None
    number = isinstance(keep, int | float) and not isinstance(keep, bool)
    if not number or not 0 < keep <= 1:
        raise InputError(
            f"keep: must be a number above 0 and at most 1, the share of pairs that stay, or null, "
            f"not {short(keep)}"
        )
    return float(keep)
