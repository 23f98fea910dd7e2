"""Tuned settings as a file of `config/environments/`, with where they come from."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from active_rlhf.analysis.wording import decimals, number
from active_rlhf.study.loading import merge
from active_rlhf.study.reading import read_document
from active_rlhf.study.sweep import Sweep, tree
from active_rlhf.study.tuning import BEST
from active_rlhf.tuning.choice import Choice

COMMENT = "#"


def ready(
    selector: str,
    preset: bool,
    values: Mapping[str, Any],
    existing: Path | None,
    about: Sequence[str],
    overridden: Sequence[str] = (),
) -> str:
    """The file's text: what `existing` says, with the tuned values in it.

    preset: whether the selector is one of the package's, of which environment files may say more;
    of another one, settings of its parts stand in comments, for a study; existing: the file of the
    same environment beside the study, whose first comments are kept; about: lines on where
    the values come from; overridden: tuned keys that the study itself gives, which would win.
    """
    changes = tree(values)
    selection = changes.pop("selection", {})
    said = [*about, "A study's own settings come before those of this file."]
    if overridden:
        said.append(f"So take these out of the study: {', '.join(overridden)}.")
    if changes:
        said.append("Settings that are not under `selectors` count for every selector.")
    if selection and preset:
        changes["selectors"] = {selector: selection}
    elif selection:
        inside = yaml.safe_dump({selector: selection}, default_flow_style=True, width=10_000)
        said.append(
            f"{selector} is the study's own selector; put its settings there: selectors: "
            f"{inside.strip()}"
        )
    before = read_document(existing).data if existing else {}
    first = list(_first_comments(existing)) if existing else []
    lines = [*first, *(f"{COMMENT} {' '.join(text.split())}" for text in said)]
    merged = merge(before, changes)
    body = yaml.safe_dump(
        merged, default_flow_style=None, sort_keys=False, allow_unicode=True, width=98
    )
    return "\n".join(lines) + "\n" + body


def _first_comments(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith(COMMENT):
            return
        yield line


def overridden(
    study: Mapping[str, Any], environment: str, selector: str, keys: Sequence[str]
) -> list[str]:
    """Those of the tuned keys that a study file gives itself, for all or for one environment.

    study: the file's content as it was read.
    """
    environments = study.get("environments")
    own = environments.get(environment) if isinstance(environments, Mapping) else None
    found = []
    for key in keys:
        first, *rest = key.split(".")
        path = ["selectors", selector, *rest] if first == "selection" else [first, *rest]
        if any(_gives(layer, path) for layer in (study, own)):
            found.append(".".join(path))
    return found


def _gives(settings: Any, path: Sequence[str]) -> bool:
    for name in path:
        if not isinstance(settings, Mapping) or name not in settings:
            return False
        settings = settings[name]
    return True


def comments(
    study: str,
    sweep: Sweep,
    selector: str,
    environment: str,
    which: str,
    choice: Choice,
    code: str,
    made_by: Mapping[str, Any],
    objective: str,
) -> list[str]:
    """Lines about where tuned values come from.

    which: `best` or `typical`; objective: what it is, in words; code: the fingerprint of the code
    that trained the trials; made_by: `commit` and `modified` of the package, if it is in git, and
    the version of `optuna`.
    """
    value = f"objective {number(choice.value, decimals([choice.value]))} ({objective})"
    settings = (
        f"the best trial's, number {choice.best}: {value}, the largest of {choice.trials} and so "
        "optimistic"
        if which == BEST
        else f"typical of the best {len(choice.top)} of {choice.trials} trials: "
        f"{', '.join(map(str, choice.top))}"
    )
    commit = str(made_by.get("commit") or "not in git")
    edited = ", edited since" if made_by.get("modified") else ""
    return [
        f"Tuned by the study {study}: {selector} on {environment}, {settings}.",
        f"Trials: {choice.trials} of each selector, by {sweep.sampler} (Optuna "
        f"{made_by['optuna']}). Tuning seeds: {', '.join(map(str, sweep.seeds))}.",
        f"Commit: {commit}{edited}. Code of the trials: {code}.",
    ]
