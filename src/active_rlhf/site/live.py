"""A page over a running study: its progress, the curves so far, and runs that failed."""

import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from active_rlhf.analysis.wording import duration
from active_rlhf.files import folder_name
from active_rlhf.site.frame import Site, asset
from active_rlhf.study.matrix import shown_methods
from active_rlhf.study.progress import RunProgress, Watcher
from active_rlhf.study.settings import Study

BINS = 40  # of training, in which returns are averaged
LISTED = 50  # runs that train or failed
LOG_END = 4096  # bytes in which to look for a reason

Run = tuple[str, str, int]


class Live:
    """What is known of a study while it runs; each look reads only what is new."""

    def __init__(self, study: Study, root: Path):
        self.study, self.root = study, root
        self._watcher = Watcher(study, root)
        self._names = shown_methods(study) or {}
        self._steps: dict[tuple[str, str], int] = {}
        self._returns: dict[Run, dict[int, float]] = defaultdict(dict)
        self._whole: set[Run] = set()

    def look(self) -> dict[str, Any]:
        """The study now, as JSON data."""
        seen = self._watcher.look()
        for run in self._watcher.runs:
            if not run.trial:  # no two of these are runs of the same settings
                self._note(run)
        unit, seconds = duration([seen.seconds_left or 0])
        left = None if seen.seconds_left is None else f"{seen.seconds_left / seconds:.0f} {unit}"
        return {
            "done": seen.runs_done,
            "total": seen.runs_total,
            "share": seen.steps_done / seen.steps_total if seen.steps_total else 1.0,
            "left": left,
            "best": seen.best,
            "running": [self._shown(run) for run in seen.running[:LISTED]],
            "failed": [
                {"run": self._name(run), "reason": reason}
                for run, reason in list(self._failed())[:LISTED]
            ],
            "curves": self._curves(),
            "pages": (self.root / "index.html").exists(),
        }

    def _name(self, run: RunProgress) -> str:
        called = self._names.get(run.selector, run.selector.replace("_", " "))
        trial = f", {run.trial}" if run.trial else ""
        return f"{called} on {run.environment}, seed {run.seed}{trial}"

    def _shown(self, run: RunProgress) -> dict[str, Any]:
        return {
            "run": self._name(run),
            "share": run.steps / run.total_steps,
            "steps": f"{run.steps:,} of {run.total_steps:,}",
            "rate": f"{run.rate:,.0f}",
            "labels": f"{run.labels} of {run.labels_total}" if run.labels_total else "",
            "last": "" if run.last_return is None else f"{run.last_return:,.1f}",
            "waits": run.waits_for or "",
        }

    def _failed(self) -> Iterator[tuple[RunProgress, str]]:
        """Runs whose training ended without a result, and the last word of their log."""
        for run in self._watcher.runs:
            if run.state != "waiting":
                continue
            place = f"train/{folder_name(run.environment)}/{run.selector}/{run.seed}.log"
            if run.trial:
                own = f"{run.selector}/{run.trial}/{folder_name(run.environment)}"
                place = f"sweep/{own}/{run.seed}.log"
            try:
                with (self.root / "logs" / place).open("rb") as file:
                    file.seek(0, 2)
                    file.seek(max(0, file.tell() - LOG_END))
                    lines = file.read().decode(errors="replace").split("\n")
            except OSError:
                continue
            said = [text.strip() for text in lines if text.strip()]
            if said and "error" in said[-1].lower():
                yield run, said[-1]

    def _note(self, run: RunProgress) -> None:
        """Keep what the run's last return was, or all of them once it is done."""
        key = run.environment, run.selector, run.seed
        self._steps.setdefault(key[:2], run.total_steps)
        if key in self._whole:
            return
        if run.state == "done":
            self._whole.add(key)
            try:
                episodes = pd.read_csv(run.directory / "episodes.csv", usecols=["step", "return"])
            except (OSError, ValueError):
                return
            at = (episodes["step"] * BINS / run.total_steps).map(math.ceil).clip(1, BINS)
            means = episodes["return"].groupby(at).mean()
            places = means.index.to_numpy(int).tolist()
            self._returns[key] = dict(zip(places, means.tolist(), strict=True))
        elif run.last_return is not None and run.steps:
            place = min(BINS, math.ceil(run.steps * BINS / run.total_steps))
            self._returns[key][place] = run.last_return

    def _curves(self) -> list[dict[str, Any]]:
        """For each cell, the mean return over its runs in each part of training."""
        cells: dict[tuple[str, str], list[dict[int, float]]] = defaultdict(list)
        for (environment, method, _), returns in self._returns.items():
            if returns:
                cells[environment, method].append(returns)
        found = []
        for environment, method in self._steps:
            if not (runs := cells.get((environment, method))):
                continue
            steps = self._steps[environment, method]
            points = []
            for place in range(1, BINS + 1):
                values = [returns[place] for returns in runs if place in returns]
                if values and np.isfinite(values).all():
                    points.append((place * steps / BINS, float(np.mean(values))))
            name = self._names.get(method, method.replace("_", " "))
            found.append(
                {"environment": environment, "method": name, "n": len(runs), "points": points}
            )
        return found


def application(study: Study, root: Path) -> Starlette:
    """The page, at /, and the study's results as they are, below /study. Nothing is written."""
    live = Live(study, root)
    root.mkdir(parents=True, exist_ok=True)
    site = Site(root, study.as_dict())

    def page(_: Request) -> Response:
        return HTMLResponse(site.rendered("", "live.html.jinja", pages={}))

    async def now(_: Request) -> Response:
        return JSONResponse(
            await run_in_threadpool(live.look), headers={"Cache-Control": "no-store"}
        )

    def file(name: str, kind: str) -> Route:
        return Route(f"/site/{name}", lambda _: Response(asset(name), media_type=kind))

    return Starlette(
        routes=[
            Route("/", page),
            Route("/now", now),
            file("site.css", "text/css"),
            file("site.js", "text/javascript"),
            file("live.js", "text/javascript"),
            Mount("/study", StaticFiles(directory=root, html=True)),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
    )
