"""Run directories as running and finished runs leave them for watchers."""

import json
from pathlib import Path

from run_files import write_run

from active_rlhf.run.identity import code_fingerprint
from active_rlhf.study.loading import resolve_run

NOW = 1_700_000_000.0


def directory(results: Path, selector: str, seed: int) -> Path:
    return results / "runs" / "Hopper-v5" / selector / str(seed)


def running(results: Path, selector: str, seed: int, **values) -> None:
    path = directory(results, selector, seed)
    path.mkdir(parents=True, exist_ok=True)
    state = {
        "status": "running",
        "step": 1024,
        "total_steps": 4096,
        "steps_per_second": 512.0,
        "labels": 10,
        "labels_total": 20,
        "last_return": 12.34,
        "started": NOW - 10,
        "updated": NOW,
    }
    (path / "progress.json").write_text(json.dumps(state | values))


def done(study, results: Path, selector: str, seed: int, **changes) -> None:
    spec = resolve_run(study, "Hopper-v5", selector, seed)
    this = spec.model_copy(update=changes)
    write_run(directory(results, selector, seed), this, code_fingerprint(spec))
