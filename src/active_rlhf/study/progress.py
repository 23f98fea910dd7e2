"""The progress of a study's runs, read from their files while something else trains them.

Training writes `progress.json` into each run directory and `run.json` when it is done; nothing else
is read, so it makes no difference where the study runs.
"""

import json
import os
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise, product
from pathlib import Path
from statistics import fmean
from typing import Any

from active_rlhf.files import folder_name
from active_rlhf.run.identity import code_fingerprint
from active_rlhf.run.schedule import Plan
from active_rlhf.study.loading import resolve_run
from active_rlhf.study.matrix import study_runs
from active_rlhf.study.precision import settled_run
from active_rlhf.study.settings import Spec, Study
from active_rlhf.study.starting import seeded
from active_rlhf.study.sweep import stages
from active_rlhf.study.tuning import trial_specs, tuned_study

SILENT_AFTER = 180.0  # seconds without a sign of life, after which a run no longer counts as going


@dataclass
class RunProgress:
    """What is known of one run: `state` is waiting, running or done, `rate` in steps a second."""

    environment: str
    selector: str
    seed: int
    directory: Path
    total_steps: int
    state: str = "waiting"
    steps: int = 0
    rate: float = 0.0
    labels: int = 0
    labels_total: int = 0
    last_return: float | None = None
    waits_for: str | None = None  # such as `answers: 3 of 10 are there`
    updated: float = 0.0
    seen: tuple[int, int] = (0, 0)  # modification times of progress.json and run.json at last look
    trial: str = ""  # its stage and trial, of a sweep


@dataclass(frozen=True)
class Snapshot:
    """The whole study at one moment. `seconds_left` is None until a first rate is known."""

    running: list[RunProgress] = field(default_factory=list)
    runs_done: int = 0
    runs_total: int = 0
    steps_done: int = 0
    steps_total: int = 0
    seconds_left: float | None = None
    best: str = ""  # the best trials of a sweep so far
    follows: bool = False  # whether there will be further runs, which the sweep decides on


class Watcher:
    """Keeps the state of every run of a study, `runs`, and looks only at files that changed."""

    def __init__(self, study: Study, results: Path) -> None:
        self._study, self._results = study, results
        self._chosen = 0  # when a sweep's choice was written
        self._trials = _trials(study, results) if study.sweep else []
        self._plan(study)

    def _plan(self, study: Study) -> None:
        """Watch the runs of a study; of one with a sweep, those that test it once it is known."""

        def steps(environment: str, selector: str) -> int:
            return Plan.of(resolve_run(study, environment, selector, study.seeds[0])).steps

        steps_of = cache(steps)
        self._spec = _specs(study, self._results)  # not asked for now: a start may decide them
        self._code = cache(lambda *cell: code_fingerprint(self._spec(*cell)))
        planned = [] if study.sweep and not study.variants else study_runs(study)
        self.runs = self._trials + [
            RunProgress(
                environment,
                selector,
                seed,
                self._results / "runs" / folder_name(environment) / selector / str(seed),
                steps_of(environment, selector),
            )
            for environment, selector, seed in planned
        ]

    def _heed_choice(self) -> None:
        """Plan the runs that test what the sweep has led to."""
        path = self._results / "sweep" / "choices.json"
        if not self._trials or _modified(path) == self._chosen:
            return
        self._chosen = _modified(path)
        from active_rlhf.tuning.choice import read_choices, variants

        if choices := read_choices(path):
            base = self._study.model_copy(update={"variants": None})
            self._plan(tuned_study(base, variants(choices)))

    def look(self, now: float | None = None) -> Snapshot:
        """The state of the study, from its files, at `now` (Unix seconds; default: the clock)."""
        now = time.time() if now is None else now
        self._heed_choice()
        begun: dict[Path, set[str]] = {}
        for run in self.runs:
            if run.state == "done":
                continue
            parent = run.directory.parent
            if parent not in begun:
                begun[parent] = set(os.listdir(parent)) if parent.is_dir() else set()
            if str(run.seed) in begun[parent]:
                self._read(run)
                if run.state == "running" and now - run.updated > SILENT_AFTER:
                    run.state = "waiting"
        return self._snapshot()

    def _read(self, run: RunProgress) -> None:
        seen = (_modified(run.directory / "progress.json"), _modified(run.directory / "run.json"))
        if seen == run.seen:
            return
        run.seen = seen
        result = _read_json(run.directory / "run.json")
        if result and self._is_current(run, result):
            run.state, run.steps = "done", run.total_steps
            run.rate = run.total_steps / max(float(result.get("wall_s") or 0.0), 1e-9)
            return
        progress = _read_json(run.directory / "progress.json")
        if progress and progress.get("status") == "running":
            run.state = "running"
            run.steps = int(progress["step"])
            run.rate = float(progress["steps_per_second"] or 0.0)
            run.labels = int(progress["labels"] or 0)
            run.labels_total = int(progress["labels_total"] or 0)
            run.last_return = progress["last_return"]
            run.waits_for = progress.get("waiting")
            run.updated = float(progress["updated"])

    def _is_current(self, run: RunProgress, result: dict[str, Any]) -> bool:
        """Whether a result is what the study asks for; the workflow replaces others."""
        if run.trial:
            return result.get("status") == "complete"
        cell = run.environment, run.selector
        return _is_whole(result, self._spec(*cell), run.seed) and (
            result.get("code") == self._code(*cell)
        )

    def _snapshot(self) -> Snapshot:
        running = [run for run in self.runs if run.state == "running"]
        steps_total = sum(run.total_steps for run in self.runs)
        steps_done = sum(run.steps for run in self.runs if run.state != "waiting")
        return Snapshot(
            running,
            sum(run.state == "done" for run in self.runs),
            len(self.runs),
            steps_done,
            steps_total,
            self._seconds_left(max(1, len(running))),
            best_trials(self._study, self._results) if self._trials else "",
            bool(self._trials) and len(self.runs) == len(self._trials),
        )

    def _seconds_left(self, at_once: int) -> float | None:
        """Remaining steps at the observed cost of their environment and selector, `at_once` a time.

        Cells not seen yet are taken to cost the mean of the others.
        """
        observed = defaultdict(list)
        for run in self.runs:
            if run.rate > 0 and run.state != "waiting":
                observed[run.environment, run.selector].append(1 / run.rate)
        if not observed:
            return None
        cost = {cell: fmean(seconds) for cell, seconds in observed.items()}
        usual = fmean(cost.values())
        left = 0.0
        for run in self.runs:
            if run.state != "done":
                steps = run.total_steps - (run.steps if run.state == "running" else 0)
                left += steps * cost.get((run.environment, run.selector), usual)
        return left / at_once


def _trials(study: Study, results: Path) -> list[RunProgress]:
    """The runs of a sweep's trials."""
    assert study.sweep is not None
    found = []
    for selector, stage in product(study.selectors, stages(study.sweep)):
        specs = trial_specs(study, selector, {}, stage.steps)
        for slot, spec, seed in product(range(stage.size), specs, stage.new_seeds):
            trial = f"{stage.name}/{stage.folder(slot)}"
            place = f"{trial}/{folder_name(spec.environment)}/{seed}"
            found.append(
                RunProgress(
                    spec.environment,
                    selector,
                    seed,
                    results / "sweep" / selector / place,
                    Plan.of(spec).steps,
                    trial=trial,
                )
            )
    return found


def best_trials(study: Study, results: Path) -> str:
    """The best trial of each selector, as far as the stages of its sweep have been judged."""
    from active_rlhf.tuning.choice import read_choices
    from active_rlhf.tuning.records import read_stage

    assert study.sweep is not None
    every = stages(study.sweep)
    last = max(stage.rung for stage in every)
    best = {}
    for selector in study.selectors:
        judged = [after for before, after in pairwise(every) if before.rung == last]
        paths = [results / "sweep" / selector / f"{stage.name}.json" for stage in judged]
        found = [result for path in paths if path.exists() for result in read_stage(path).results]
        if found:
            result = min(found, key=lambda one: (-one.value, one.trial))
            best[selector] = (result.trial, result.value)
    for selector, choice in (read_choices(results / "sweep" / "choices.json") or {}).items():
        best[selector] = (choice.best, choice.value)
    shown = [f"{name} {value:,.4g} (trial {trial})" for name, (trial, value) in best.items()]
    return f"best so far: {', '.join(shown)}" if shown else ""


def unfinished(study: Study, results: Path) -> list[tuple[str, str, int]]:
    """The runs of a study, as in `study_runs`, that have no whole result of the study's settings.

    Code is not compared: what is finished may have been trained by an earlier version.
    """
    spec = _specs(study, results)

    def is_finished(environment: str, selector: str, seed: int) -> bool:
        folder = results / "runs" / folder_name(environment) / selector / str(seed)
        result = _read_json(folder / "run.json") or {}
        return _is_whole(result, spec(environment, selector), seed)

    return [run for run in study_runs(study) if not is_finished(*run)]


def _specs(study: Study, results: Path) -> Callable[[str, str], Spec]:
    """The spec of each cell's runs, but for the seed, as the study in this folder was decided."""

    @cache
    def spec(environment: str, selector: str) -> Spec:
        planned = resolve_run(study, environment, selector, study.seeds[0])
        return settled_run(planned, results)[0]

    return spec


def _is_whole(result: dict[str, Any], spec: Spec, seed: int) -> bool:
    """Whether a run.json is that of a complete run of this spec."""
    return result.get("status") == "complete" and (
        result.get("spec") == seeded(spec.as_dict(), seed)
    )


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    except (OSError, ValueError):
        return None
