"""What a study's files were made from."""

import json
from collections.abc import Mapping
from typing import Any

from active_rlhf.analysis.wording import capital
from active_rlhf.results.provenance import RECORD
from active_rlhf.site.frame import Site
from active_rlhf.site.listing import listing, pairs, texts


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
