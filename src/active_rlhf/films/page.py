"""Films as self-contained HTML pages, which load nothing and run no script but the player's."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from active_rlhf.files import atomic
from active_rlhf.films.film import Film
from active_rlhf.films.recorded import Recorded

PLAYER = files("active_rlhf.films") / "player"
IMPORT = 'import { Player } from "./player.js";\n'  # of the pages' scripts
ANSWERS = {
    "first": "first",
    "second": "second",
    "equal": "both good",
    "skipped": "cannot judge",
    "pending": "not answered yet",
}


def _digest(text: str) -> str:
    """What a content security policy calls this script or style by."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("active_rlhf.films"),
    undefined=jinja2.StrictUndefined,
    autoescape=True,  # `tojson` escapes what would end a script
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["digest"] = _digest
_TEMPLATES.policies["json.dumps_kwargs"] = {"separators": (",", ":")}


@dataclass(frozen=True)
class Clip:
    """A film on a page, its name, and what is said about it: column -> text."""

    film: Film
    label: str
    facts: Mapping[str, str] = field(default_factory=dict)


def player(name: str) -> str:
    """A file of the player, such as player.js or player.css."""
    return (PLAYER / name).read_text(encoding="utf-8")


def _write(template: str, script: str, path: Path, **values: Any) -> None:
    code = player("player.js") + player(script).removeprefix(IMPORT)
    style = player("player.css") + player("page.css")
    page = _TEMPLATES.get_template(template).render(script=code, style=style, **values)
    with atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def write_films(clips: Sequence[Clip], title: str, path: str | Path) -> None:
    """Write a page that shows clips side by side on one clock."""
    columns = list(dict.fromkeys(name for clip in clips for name in clip.facts))
    shown = [{"film": clip.film.as_json(), "label": clip.label} for clip in clips]
    rows = [
        {"label": clip.label, "facts": {name: clip.facts.get(name, "") for name in columns}}
        for clip in clips
    ]
    _write(
        "film.html.jinja",
        "film.js",
        Path(path),
        title=title,
        columns=columns,
        clips=rows,
        page={"clips": shown, "speed": 1},
    )


def answer(preference: float, answered: bool) -> str:
    """The key of ANSWERS for a row of the ledger."""
    if not answered:
        return "pending"
    return (
        "skipped"
        if np.isnan(preference)
        else {1.0: "first", 0.0: "second"}.get(preference, "equal")
    )


def write_queries(recorded: Recorded, path: str | Path) -> int:
    """Write a page of all pairs that a run asked about; returns their number."""
    queries = recorded.queries()
    ledger = queries.ledger
    pairs = ledger.column("pairs")
    ids = np.unique(pairs).tolist()
    stages: dict[str, int] = {}
    films = {}
    for name, film in zip(ids, recorded.films(ids), strict=True):
        data = film.as_json()
        if "stage" in data:  # the same for all films, so that it is kept once
            text = json.dumps(data["stage"], sort_keys=True)
            data["stage"] = stages.setdefault(text, len(stages))
        films[name] = data
    rows = [
        {
            "number": number,
            "pair": pair.tolist(),
            "answer": answer(preference, answered_at >= 0),
            "session": int(session),
            "heldOut": bool(held_out),
            "probability": float(probability),
            "returns": returned.tolist(),
        }
        for number, (
            pair,
            preference,
            answered_at,
            session,
            held_out,
            probability,
            returned,
        ) in enumerate(
            zip(
                pairs,
                *(ledger.column(n) for n in ("preferences", "answered_at", "sessions", "held_out")),
                queries.probabilities,
                queries.returns,
                strict=True,
            )
        )
    ]
    said = dict.fromkeys(row["answer"] for row in rows)
    page = {
        "queries": rows,
        "stages": [json.loads(text) for text in stages],
        "answers": {key: text for key, text in ANSWERS.items() if key in said},
    }
    title = f"Queries of {recorded.name}"
    _write("queries.html.jinja", "queries.js", Path(path), title=title, page=page, films=films)
    return len(rows)
