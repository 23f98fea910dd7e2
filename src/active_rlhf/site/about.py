"""What a study cost, how it was set, and what its files were made from: a page each."""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from active_rlhf.analysis.wording import capital, duration
from active_rlhf.results.provenance import RECORD
from active_rlhf.site.frame import Site, figure
from active_rlhf.site.listing import Listing, choices, listing, numbers, pairs, texts
from active_rlhf.site.runs import changed
from active_rlhf.study.messages import show
from active_rlhf.study.settings import Figures, Resources, Statistics

STUDY_SECTIONS = {"statistics": Statistics, "figures": Figures, "resources": Resources}
STAGE = "_s"  # ends the names of columns that hold seconds
TOTALS = ("wall_s", "cpu_s", "gpu_s")


def write_cost(
    site: Site, means: pd.DataFrame, runs: pd.DataFrame, captions: Mapping[str, str]
) -> None:
    """Write the page of costs. means: the statistic `overhead`; runs: the export of that name."""
    site.write(
        "site/cost.html",
        "cost.html.jinja",
        means=_means(means),
        stages=_stages(runs),
        figure=figure(site.root, "overhead", "Wall time", captions.get("overhead", "")),
    )


def _means(frame: pd.DataFrame) -> Listing:
    unit, seconds = duration(frame["wall_s"])
    return listing(
        "cost",
        "Cost of a run: means over runs, and the change from the reference method. No interval, "
        "no test; times on different machines do not compare.",
        [
            choices("environment", frame["env"]),
            choices("method", frame["method"]),
            numbers("n", frame["n"], 0),
            numbers(f"time, {unit}", frame["wall_s"] / seconds, 2),
            numbers("change, %", 100 * frame["wall_s_change"], 1),
            numbers(f"processor, {unit}", frame["cpu_s"] / seconds, 2),
            numbers("memory, MB", frame["peak_rss_mb"], 0),
            texts("machines", frame["hosts"]),
        ],
        source="statistics/overhead.csv",
    )


def _stages(runs: pd.DataFrame) -> Listing:
    """Seconds by stage, means over the runs of a cell."""
    stages = [c for c in runs.columns if c.endswith(STAGE) and c not in TOTALS]
    means = runs.groupby(["env", "method"], sort=False)[stages].mean().reset_index()
    return listing(
        "stages",
        "Seconds of a run in each stage of its work, means over runs.",
        [
            choices("environment", means["env"]),
            choices("method", means["method"]),
            *(
                numbers(stage.removesuffix(STAGE).replace("_", " "), means[stage], 2)
                for stage in stages
            ),
        ],
        source="exports/overhead.csv",
    )


def write_config(site: Site) -> None:
    """Write the page of settings: those that differ from defaults, then the whole config."""
    path = site.root / "config.yaml"
    site.write(
        "site/config.html",
        "config.html.jinja",
        changed=settings(site.study),
        whole=path.read_text(encoding="utf-8"),
    )


def settings(study: Mapping[str, Any]) -> Listing:
    """The settings of a study that differ from the package's defaults, and where.

    changes: the study's variants, with the complete settings of each.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    places = dict(study.get("environments") or {})
    for variant, changes in (study.get("changes") or {}).items():
        places |= {f"{env}@{variant}": own for env, own in changes["environments"].items()}
    for environment, own in places.items():
        for key, here, usual in ([c.text for c in row] for row in changed(own).rows):
            found.setdefault((key, here, usual), []).append(environment)
        if own.get("options"):
            found.setdefault(("options", show(own["options"]), "–"), []).append(environment)
        steps = ("total_steps", f"{own['total_steps']:,}", "1,000,000")
        if steps[1] != steps[2]:
            found.setdefault(steps, []).append(environment)
    rows = [(key, here, usual, ", ".join(where)) for (key, here, usual), where in found.items()]
    for section, model in STUDY_SECTIONS.items():
        usual = model().as_dict()
        for key, value in (study.get(section) or {}).items():
            if usual.get(key) != value:
                default = show(usual[key]) if key in usual else "–"
                rows.append((f"{section}.{key}", show(value), default, "the study"))
    columns = list(zip(*rows, strict=True)) or [()] * 4
    names = ("setting", "here", "default", "where")
    return listing(
        "settings",
        "Settings that differ from the package's defaults. Values tuned for an environment come "
        "from config/environments/.",
        [
            texts(name, values, filtered=name == "where")
            for name, values in zip(names, columns, strict=True)
        ],
    )


def write_provenance(site: Site) -> None:
    """Write the page of what the study's files were made from, by its record."""
    record = json.loads((site.root / RECORD).read_text(encoding="utf-8"))
    package = record["package"]
    facts = {
        "Package": package["sha256"],
        "Commit": package.get("commit", "unknown")
        + (" with changes" if package.get("modified") else ""),
        "Workflow": record["workflow"]["sha256"],
        "Record": record["sha256"],
    }
    made = record["artefacts"]
    files = listing(
        "files",
        "Every file of the study that is not a run's, with its SHA-256 and what it was made from. "
        "`active-rlhf verify` recomputes them.",
        [
            texts("file", made),
            texts("SHA-256", [entry["sha256"][:16] + "…" for entry in made.values()]),
            texts("made from", [", ".join(entry["inputs"]) for entry in made.values()]),
        ],
        source=RECORD,
    )
    site.write(
        "site/provenance.html",
        "provenance.html.jinja",
        facts=pairs(facts),
        versions=pairs({capital(name): text for name, text in record["versions"].items()}),
        runs=_versions_of_runs(record),
        files=files,
    )


def _versions_of_runs(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The sets of libraries that runs were made with, and how many runs each."""
    counts = [0] * len(record["versions_of_runs"])
    for run in record["runs"].values():
        counts[run["versions"]] += 1
    return [
        (f"{count} runs", ", ".join(f"{name} {text}" for name, text in (versions or {}).items()))
        for count, versions in zip(counts, record["versions_of_runs"], strict=True)
    ]
