"""The list of runs, and a page for each."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from active_rlhf.analysis.wording import duration
from active_rlhf.errors import InputError
from active_rlhf.files import environment_of, split
from active_rlhf.site.charts import chart
from active_rlhf.site.frame import Site
from active_rlhf.site.listing import (
    Cell,
    Column,
    Listing,
    choices,
    listing,
    numbers,
    pairs,
)
from active_rlhf.site.settings import changed

LATEST = 10  # episodes whose mean is a run's final return
MEASURES = {
    "probe_accuracy": "accuracy on the probe set",
    "probe_loss": "loss on the probe set",
    "probe_calibration": "calibration error on the probe set",
    "probe_correlation": "correlation on the probe set",
    "validation_accuracy": "accuracy on held-out answers",
    "train_accuracy": "accuracy on answers learned from",
}
ANSWERS = {"first": "first", "second": "second", "equal": "both good", "skipped": "cannot judge"}


@dataclass(frozen=True)
class RunFolder:
    """A run's directory below runs/, `<environment>/<method>/<seed>`, as its run.json tells."""

    path: str
    result: Mapping[str, Any]

    @property
    def environment(self) -> str:
        return environment_of(self.path.split("/")[0])

    @property
    def method(self) -> str:
        return self.path.split("/")[1]

    @property
    def seed(self) -> int:
        return int(self.path.split("/")[2])

    @property
    def page(self) -> str:
        return f"site/runs/{self.path}.html"


def read_run(root: Path, path: str) -> RunFolder:
    """The run in this folder of a study. Raises InputError if its run.json cannot be read."""
    file = root / "runs" / path / "run.json"
    try:
        return RunFolder(path, json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read ({error})") from error


def write_runs(site: Site, folders: Iterable[str], names: Mapping[str, str]) -> None:
    """Write the list and a page for each run. folders: below runs/; names: of methods in tables."""
    found = [read_run(site.root, folder) for folder in folders]
    for run in found:
        _write_run(site, run, names.get(run.method, run.method))
    site.write("site/runs.html", "runs.html.jinja", runs=_list(found, names))


def _list(found: list[RunFolder], names: Mapping[str, str]) -> Listing:
    results = [run.result for run in found]
    unit, seconds = duration([result["wall_s"] for result in results])
    seeds = [Cell(str(run.seed), run.seed, href=run.page) for run in found]
    variants = [split(run.method)[1] for run in found]
    return listing(
        "runs",
        "Each run of the study; its seed leads to its page. Final return: mean true return of the "
        "last 10 training episodes.",
        [
            choices("environment", [run.environment for run in found]),
            choices("method", [names.get(run.method, run.method) for run in found]),
            *([choices("variant", variants)] if any(variants) else []),
            (Column("seed", numeric=True), seeds),
            numbers("final return", [_number(result.get("final_return")) for result in results]),
            numbers("steps", [result["steps"] for result in results], 0),
            numbers("episodes", [result["episodes"] for result in results], 0),
            numbers("queries", [_number(result.get("queries")) for result in results], 0),
            numbers(f"time, {unit}", [result["wall_s"] / seconds for result in results], 1),
            numbers("memory, MB", [result["peak_rss_mb"] for result in results], 0),
            choices("machine", [result.get("cpu", "") for result in results]),
        ],
    )


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _write_run(site: Site, run: RunFolder, name: str) -> None:
    folder, result = site.root / "runs" / run.path, run.result
    episodes = pd.read_csv(folder / "episodes.csv")
    asks = (folder / "sessions.csv").exists()
    sessions = pd.read_csv(folder / "sessions.csv") if asks else pd.DataFrame()
    evaluations = pd.read_csv(folder / "evaluations.csv")
    queries = f"site/behaviour/{run.path.rsplit('/', 1)[0]}/{run.seed}.html"
    log = f"logs/train/{run.path}.log"
    unit, seconds = duration([result["wall_s"]])
    facts = {
        "Environment": run.environment,
        "Method": name,
        "Seed": run.seed,
        "Status": result["status"],
        "Steps": f"{result['steps']:,} in {result['episodes']:,} episodes",
        "Final return": f"{_number(result.get('final_return')):.4g}, mean of the last "
        f"{min(LATEST, result['episodes'])} episodes",
        "Queries": result.get("queries", ""),
        "Time": f"{result['wall_s'] / seconds:.1f} {unit}, {result['cpu_s']:.1f} s of processor",
        "Memory": f"{result['peak_rss_mb']:,.0f} MB",
        "Machine": result.get("cpu", ""),
        "Precision": (result.get("precision") or {}).get("why", ""),
        "Resumed": f"{result['resumed']} times" if result.get("resumed") else "never",
        "Finished": datetime.fromtimestamp(result["finished"], UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "Agent": result.get("path", ""),
    }
    charts = [
        chart("True return of training episodes", episodes["step"], episodes["return"]),
        *(
            chart(f"Reward model: {meaning}", sessions["step"], sessions[column])
            for column, meaning in MEASURES.items()
            if column in sessions
        ),
    ]
    site.write(
        run.page,
        "run.html.jinja",
        title=f"{name} on {run.environment}, seed {run.seed}",
        facts=pairs(facts),
        charts=[one for one in charts if one],
        answers=[(text, int(sessions[key].sum())) for key, text in ANSWERS.items()] if asks else [],
        stages=sorted(result["seconds"].items(), key=lambda item: -item[1]),
        whole=sum(result["seconds"].values()) or 1,
        evaluations=_evaluations(evaluations),
        changed=changed(result["spec"]),
        versions=pairs(result["versions"]),
        files=sorted(result["files"].items()),
        folder=f"runs/{run.path}",
        log=log if (site.root / log).exists() else "",
        queries=queries if (site.root / queries).exists() else "",
    )


def _evaluations(frame: pd.DataFrame) -> Listing:
    return listing(
        "evaluations",
        "True returns of the policy without exploration.",
        [
            numbers("step", frame["step"], 0),
            numbers("mean", frame["return_mean"]),
            numbers("sd", frame["return_sd"]),
            numbers("episodes", frame["episodes"], 0),
        ],
    )
