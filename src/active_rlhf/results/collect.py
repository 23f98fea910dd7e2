"""From the directories of finished runs to the export of one environment.

Everything after this step reads only exports. So a run that is unfinished, damaged or of another
spec is refused here, by name.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.files import atomic, folder_name, method_name, sha256
from active_rlhf.results.export import ExportError, read_csv
from active_rlhf.study.starting import seeded

# Columns of the tables in a run's directory. OPTIONAL ones may have empty cells: a selector without
# a score has no mean score.
EPISODES = ("step", "return", "length", "labels")
EVALUATIONS = ("step", "return_mean", "return_sd", "episodes", "labels")
OPTIONAL = (
    *("score_pool", "score_selected", "train_loss", "train_accuracy"),
    *("validation_loss", "validation_accuracy"),
    *("probe_accuracy", "probe_loss", "probe_calibration", "probe_correlation"),
)
ANSWERS = ("first", "second", "equal", "skipped", "used")
SESSIONS = (
    *("session", "step", "asked", *ANSWERS, "held_out", "labels", "pool", "shortlist"),
    *OPTIONAL,
)

COSTS = ("wall_s", "cpu_s", "gpu_s", "peak_rss_mb")
REMEDY = "delete the run's folder, and snakemake trains it again"

# A run's episodes under the column names of the thesis's export, which other tools read.
EXPORTED = {
    "return": "charts/episodic_return",
    "step": "global_step",
    "length": "episode_length",
    "labels": "labels",
    "learned_return": "learned_return",
}
# Columns that runs did not always have, or that baselines have not: empty where there is none.
LATER = ("learned_return",)


Spec = dict[str, Any]  # a run's whole identity, as its run.json holds it
Specs = Mapping[str, Spec]  # by selector; their seeds are ignored


def collect(
    runs: Path,
    exports: Path,
    environment: str,
    selectors: Specs,
    baselines: Specs,
    seeds: Sequence[int],
    excluded: Collection[tuple[str, int]] = (),
    probes: Mapping[str, str | Path] | None = None,
) -> None:
    """Write `<environment>.csv`, `.evaluations.csv`, `.sessions.csv` and `.overhead.csv`.

    Also `.baselines.csv`, the episodes of the baselines, if the study trains them (their
    evaluations are among those of the other runs), and `.sha256`, by which `read_csv` notices later
    changes. `runs` holds `<environment>/<selector>/<seed>/`; those of `excluded`, as (selector,
    seed), are not read. `probes`, if given, names the probe set that the runs of a selector must
    have been measured on. Runs come in the order given, rows in the order of steps; the same runs
    give the same bytes. Nothing is written unless every run is sound.

    Raises ExportError naming the first run that is missing, unfinished or damaged, or whose spec is
    not that of its selector and seed, or that was measured on another probe set.
    """
    overhead: list[dict[str, Any]] = []
    files = folder_name(environment)
    made: dict[str, Path] = {}
    hashes = {selector: sha256(path) for selector, path in (probes or {}).items()}
    with ExitStack() as stack:

        def begun(name: str) -> Path:
            made[name] = stack.enter_context(atomic(exports / name))
            return made[name]

        sums = stack.enter_context(atomic(exports / f"{files}.sha256"))
        parts = [begun(f"{files}{kind}.csv") for kind in ("", ".evaluations", ".sessions")]
        for directory, spec in _runs(runs / files, selectors, seeds, excluded):
            result = read_result(directory, spec)
            if known := hashes.get(method_name(spec["selector"], spec.get("variant"))):
                require_probe(directory, result, known)
            overhead.append(_overhead(directory, spec, result))
            for part, frame in zip(parts, _tables(directory, spec, result), strict=True):
                frame.to_csv(
                    part, mode="a", header=len(overhead) == 1, index=False, lineterminator="\n"
                )
        _write_overhead(pd.DataFrame(overhead), begun(f"{files}.overhead.csv"))
        if baselines:
            episodes = []
            for directory, spec in _runs(runs / files, baselines, seeds, excluded):
                found = _tables(directory, spec, read_result(directory, spec))
                episodes.append(found[0])
                if spec["selector"] not in selectors:
                    found[1].to_csv(
                        parts[1], mode="a", header=False, index=False, lineterminator="\n"
                    )
            part = begun(f"{files}.baselines.csv")
            pd.concat(episodes).to_csv(part, index=False, lineterminator="\n")
        sums.write_text("".join(f"{sha256(path)}  {name}\n" for name, path in made.items()))


def gather_overhead(parts: Iterable[Path], path: Path) -> None:
    """Join the overhead tables of several environments into one."""
    frame = pd.concat([read_csv(part, ("seed", *COSTS)) for part in parts])
    with atomic(path) as temporary:
        _write_overhead(frame, temporary)


def _write_overhead(frame: pd.DataFrame, path: Path) -> None:
    """Write the table; stages that a run does not have took no time."""
    stages = [name for name in frame.columns if name.endswith("_s")]
    frame = frame.assign(**frame[stages].fillna(0.0))
    frame.to_csv(path, index=False, lineterminator="\n")


def read_result(directory: Path, spec: Spec) -> dict[str, Any]:
    """The `run.json` of a finished run of exactly this spec; raises ExportError otherwise."""
    path = directory / "run.json"
    try:
        result = json.loads(path.read_text())
    except FileNotFoundError:
        raise ExportError(
            f"{directory}: the run is not complete (it has no run.json); let snakemake finish it"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ExportError(f"{path}: not readable as JSON ({error}); {REMEDY}") from None
    if not isinstance(result, dict) or result.get("status") != "complete":
        raise ExportError(f"{directory}: the run is not complete (its status says so); {REMEDY}")
    found = result.get("spec")
    if found != spec:
        raise ExportError(
            f"{directory}: the run has other settings than the study: "
            f"{_difference(found, spec)}; {REMEDY}"
        )
    return result


def require_probe(directory: Path, result: Mapping[str, Any], known: str) -> None:
    """Raise ExportError unless a run was measured on the probe set with this hash."""
    if result.get("probe") != known:
        raise ExportError(
            f"{directory}: the run was measured on another probe set than the study has now, and "
            "cannot stand beside others; snakemake --forcerun train trains it again"
        )


def _difference(found: Any, wanted: Any, key: str = "") -> str:
    """The first key in which two specs differ, with both values."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for name in sorted(found.keys() | wanted.keys()):
            if found.get(name) != wanted.get(name):
                return _difference(found.get(name), wanted.get(name), f"{key}{name}.")
    return f"{key[:-1] or 'spec'} is {found!r}, but the study says {wanted!r}"


def export_name(spec: Spec) -> str:
    """`<environment>__<method>__<seed>__<stamp>`; the stamp is ten digits made from the spec."""
    digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()
    stamp = int(digest, 16) % 10**10
    method = method_name(spec["selector"], spec.get("variant"))
    return f"{folder_name(spec['environment'])}__{method}__{spec['seed']}__{stamp:010d}"


def _runs(
    folder: Path, specs: Specs, seeds: Sequence[int], excluded: Collection[tuple[str, int]]
) -> Iterator[tuple[Path, Spec]]:
    for selector, spec in specs.items():
        for seed in seeds:
            if (selector, seed) not in excluded:
                yield folder / selector / str(seed), seeded(spec, seed)


def _tables(
    directory: Path, spec: Spec, result: dict[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """One run's rows of the episodes, evaluations and sessions exports."""
    episodes = run_table(directory / "episodes.csv", EPISODES, result, LATER)
    evaluations = run_table(directory / "evaluations.csv", EVALUATIONS, result)
    if spec.get("labels"):
        sessions = run_table(directory / "sessions.csv", SESSIONS, result)
    else:  # a baseline on the true reward asks nothing
        sessions = pd.DataFrame(columns=list(SESSIONS))
    episodes = episodes[list(EXPORTED)].rename(columns=EXPORTED)
    for frame in (episodes, evaluations, sessions):
        frame.insert(0, "exp_name", export_name(spec))
        frame.insert(1, "seed", spec["seed"])
    return episodes, evaluations, sessions


def run_table(
    path: Path, columns: tuple[str, ...], result: dict[str, Any], later: tuple[str, ...] = ()
) -> pd.DataFrame:
    """These columns of a run's table, checked: finite numbers, in order, with the recorded hash.

    later: columns that it need not have, and that may have gaps.
    """
    numbers = [name for name in columns if name not in OPTIONAL]
    try:
        frame = read_csv(path, numbers, [name for name in columns if name in OPTIONAL])
    except ExportError as error:
        raise ExportError(f"{error}; {REMEDY}") from None
    if (np.diff(frame["step"].to_numpy(float)) < 0).any():
        raise ExportError(f"{path}: steps go backwards; {REMEDY}")
    files = result.get("files")
    if not isinstance(files, dict) or files.get(path.name) != sha256(path):
        raise ExportError(
            f"{path}: changed since the run wrote it (run.json has another hash); {REMEDY}"
        )
    if frame.empty:
        raise ExportError(f"{path}: has no rows, as no episode was finished; raise total_steps")
    for name in later:
        values = frame[name] if name in frame else pd.Series(np.nan, frame.index)
        frame[name] = pd.to_numeric(values, errors="coerce")
    return frame[[*columns, *later]]


def _overhead(directory: Path, spec: Spec, result: dict[str, Any]) -> dict[str, Any]:
    """One run's row of the overhead table."""
    try:
        return {
            "env": spec["environment"],
            "method": method_name(spec["selector"], spec.get("variant")),
            "seed": spec["seed"],
            **{key: float(result[key]) for key in COSTS},
            "host": str(result["host"]),
            **{f"{stage}_s": float(value) for stage, value in result["seconds"].items()},
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ExportError(
            f"{directory / 'run.json'}: a cost is missing or not a number ({error}); {REMEDY}"
        ) from None
