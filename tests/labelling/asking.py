"""Queues that are asked by no run: pairs of real films, and what became of their answers."""

import functools
import itertools
import json
import os
import time
from pathlib import Path

import numpy as np

from active_rlhf.films import Studio
from active_rlhf.labelling.queue import FILE, Asked, Film, RunsEnd, table

TIMES = int(os.environ.get("ACTIVE_RLHF_FUZZ", "1"))  # as many random cases as usual

ABOUT = {
    "environment": "HalfCheetah-v5",
    "method": "random",
    "seed": 1,
    "question": "Which cheetah runs forward faster?",
    "budget": 60,
    "practice": 0,
    "checks": {},
}


@functools.cache
def films(count: int, steps: int = 40, seed: int = 0) -> list[tuple[Film, float]]:
    """Films of a HalfCheetah that is pushed about, each with how far it gets."""
    studio, chance = Studio("HalfCheetah-v5"), np.random.default_rng(seed)
    made = []
    for _ in range(count):
        held = np.repeat(chance.normal(size=(steps // 4 + 1, 6)), 4, axis=0)[:steps]
        film = studio.segment(None, held.astype(np.float32))
        moved = float(film.poses[-1, 0, 0] - film.poses[0, 0, 0])
        made.append((Film.of(film.to_bytes()), moved))
    return made


def asked(count: int, seed: int = 0, wanted: int = 1) -> list[Asked]:
    """Different pairs, of few films."""
    few = films(2 + int((2 * count) ** 0.5), seed=seed)
    pairs = itertools.islice(itertools.combinations(few, 2), count)
    return [
        Asked(f"{seed}-{i}", (a, b), (first, second), wanted)
        for i, ((a, first), (b, second)) in enumerate(pairs)
    ]


def queue(
    folder: Path, count: int, practice: int = 0, seed: int = 0, wanted: int = 1, **about: object
) -> RunsEnd:
    """The run's end of a queue of so many queries and practice pairs."""
    folder.mkdir(parents=True, exist_ok=True)
    said = ABOUT | {"practice": practice} | about
    end = RunsEnd(folder, {key: json.dumps(value) for key, value in said.items()})
    pairs = asked(count + practice, seed, wanted)
    end.offer("practice", pairs[:practice], 0, 0)
    end.ask(dict(enumerate(pairs[practice:])), 0, 1024)
    progress(folder, waiting=f"answers: 0 of {count} are there")
    return end


def progress(folder: Path, **changes: object) -> None:
    """Write progress.json as a run does."""
    said = {"status": "running", "step": 2048, "total_steps": 102400, "labels": 12}
    said |= {"labels_total": 60, "last_return": 154.3, "updated": time.time() + 600}
    (folder / "progress.json").write_text(json.dumps(said | changes))


def answers(folder: Path) -> list[dict]:
    """All answers to queries and other showings, in the order of arrival."""
    return table(
        folder / FILE,
        "SELECT a.*, s.purpose, s.mirrored FROM answers a JOIN showings s ON s.id = a.showing "
        "ORDER BY a.number",
    )
