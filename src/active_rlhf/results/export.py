"""Reading exported runs, and refusing those that must not be compared.

One CSV per environment, one row per finished training episode, in time order within a run:
`exp_name, seed, charts/episodic_return, global_step`, optionally `episode_length, labels`, with
`exp_name = <env>__<method>__<seed>__<stamp>`. Columns may be in any order; others are ignored.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.errors import InputError
from active_rlhf.files import sha256

METRIC = "charts/episodic_return"
TEXT = ("env", "method", "method_a", "method_b", "host", "hosts", "reference", "environments")
NEEDED = {"global_step": "step", METRIC: "return"}
OPTIONAL = {"episode_length": "length", "labels": "labels"}
# An environment's name holds no double underscore; a method's may.
RUN_NAME = r"^(?P<env>(?:(?!__).)+)__(?P<method>.+)__(?P<seed>\d{1,18})__(?P<stamp>[^_]+)$"
LARGEST = 1e50  # return, so that its fourth power is still a number
REMEDY = "mend the file, or list the run under `exclude:` with a reason"

Exclusions = Sequence[Mapping[str, Any]]


class ExportError(InputError):
    """An exported file cannot be used; the message is one line: which file, where and why."""


def read_csv(
    path: str | Path, numbers: Sequence[str] = (), optional: Sequence[str] = (), **options: Any
) -> pd.DataFrame:
    """Read a CSV file whose columns `numbers` hold finite numbers; `optional` ones may have gaps.

    Names stay text, whatever they look like. Zero bytes, which a system crash can leave in a file,
    are refused, since they would silently cut cells short. Raises ExportError naming the file, also
    if its hash differs from that in the `.sha256` beside it (`<hash>  <file name>`, as sha256sum
    writes it).
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            if any(b"\0" in block for block in iter(lambda: file.read(2**20), b"")):
                raise ValueError("it holds zero bytes")
        dtype = dict.fromkeys(TEXT, str) | options.pop("dtype", {})
        frame = pd.read_csv(
            path,
            encoding="utf-8-sig",
            low_memory=False,
            dtype=dtype,
            keep_default_na=False,
            na_values=[""],
            **options,
        )
    except FileNotFoundError:
        raise ExportError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # pandas' parser and decoding errors are ValueErrors
        raise ExportError(f"{path}: not a readable CSV file: {error}") from None
    sums = path.with_name(f"{path.name.split('.')[0]}.sha256")
    listed = sums.read_text("utf-8", "replace").splitlines() if sums.exists() else []
    hashes = [line[:64] for line in listed if line[64:] == f"  {path.name}"]
    if hashes and sha256(path) not in hashes:
        raise ExportError(
            f"{path}: changed since it was made; delete it, and snakemake makes it again"
        )
    for name in (*numbers, *optional):
        if name not in frame:
            held = ", ".join(map(str, frame))
            raise ExportError(f"{path}: column {name} is missing (found: {held})")
        values = pd.to_numeric(frame[name], errors="coerce").to_numpy(float)
        bad = ~np.isfinite(values) & ~(frame[name].isna() & (name in optional)).to_numpy()
        if bad.any():
            row = int(np.argmax(bad))
            value = frame[name].iloc[row]
            raise ExportError(f"{path}: {name} is {value} in line {row + 2}, expected a number")
    return frame


def read_runs(
    paths: Mapping[str, str | Path],
    methods: Mapping[str, str] | None = None,
    exclude: Exclusions | None = None,
    total_steps: int | Mapping[str, int] | None = None,
    untrained: bool = False,
) -> pd.DataFrame:
    """All runs of a study as one long frame: `env, method, seed, step, return[, length, labels]`.

    `paths` maps an environment to its file. `methods` maps the method part of `exp_name` to a
    display name, and so selects, names and orders the methods. Several parts may share a name, as a
    method may be called differently in each file. None takes all methods, in the order of their
    names. Each entry of `exclude` (`env, method, seed, reason`, the method by either name) removes
    one run, which must be there unless `untrained`: a study does not train what it excludes. Rows
    are ordered by environment, method (an ordered Categorical), seed and step. Steps,
    lengths and labels are counts; returns are sums of rewards over an episode.

    Raises ExportError for files and runs that cannot be compared: unreadable or missing columns,
    missing or non-finite values, steps that do not increase, two runs of one seed, a seed that only
    some methods have, and a run that ends more than two of the longest episodes (its own, or the
    median run's if that is longer) before `total_steps` (None: before the file's longest run).
    """
    for entry in exclude or ():
        if entry["env"] not in paths:
            held = ", ".join(paths)
            raise ExportError(f"exclude: {_shown(entry)}: no such environment (there is {held})")
    frames = []
    for env, path in paths.items():
        frame = _of_environment(path, env, methods)
        left_out = [entry for entry in exclude or () if entry["env"] == env]
        _require_methods(path, frame, methods, left_out if untrained else ())
        if not untrained:
            _require_runs(path, frame, left_out)
        frame, excluded = _without(path, frame, left_out, methods or {})
        columns = NEEDED | {name: to for name, to in OPTIONAL.items() if name in frame}
        frame = _numeric(path, frame, {"stated_seed": "stated_seed"} | columns)
        _refuse(path, _value_faults(frame, list(columns.values())))
        goal = total_steps.get(env) if isinstance(total_steps, Mapping) else total_steps
        _refuse(path, _run_faults(frame, goal, excluded))
        kept = ["env", "method", "seed", *columns.values()]
        counts = [name for name in kept[2:] if name != "return"]
        frames.append(frame[kept].astype(dict.fromkeys(counts, "int64") | {"return": "float64"}))
    return _joined(frames, methods, ["seed", "step"])


def read_records(
    paths: Mapping[str, str | Path],
    methods: Mapping[str, str] | None = None,
    exclude: Exclusions | None = None,
    numbers: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> pd.DataFrame:
    """Rows of `<env>.evaluations.csv` or `<env>.sessions.csv`: `env, method, seed` and the rest.

    Methods are selected, named and ordered, and runs excluded, as in `read_runs`. A method without
    rows is fine here: a baseline that asks nothing has no sessions. `numbers` and `optional` are
    checked as in `read_csv`, and the first of `numbers` must increase within a run.
    """
    frames = []
    for env, path in paths.items():
        frame = _of_environment(path, env, methods, numbers, optional)
        for name in numbers[:1]:
            gap = frame.groupby("exp_name", observed=True)[name].diff()
            _refuse(path, _faults(frame, gap <= 0, f"{name} does not increase at row {{row}}"))
        for entry in exclude or ():
            frame = frame[~((frame["env"] == entry["env"]) & _is_run(frame, entry))]
        rest = [name for name in frame if name not in _KEYS]
        frames.append(frame[["env", "method", "seed", *rest]])
    return _joined(frames, methods, ["seed"])


_KEYS = ["exp_name", "env", "method", "part", "seed", "stated_seed"]


def _joined(
    frames: list[pd.DataFrame], methods: Mapping[str, str] | None, order: list[str]
) -> pd.DataFrame:
    present = {name for frame in frames for name in frame["method"].unique()}
    names = list(dict.fromkeys(methods.values())) if methods else sorted(present)
    kind = pd.CategoricalDtype(names, ordered=True)
    frames = [frame.astype({"method": kind}) for frame in frames]
    frames = [frame.sort_values(["method", *order], kind="stable") for frame in frames]
    return pd.concat(frames, ignore_index=True)


def _of_environment(
    path: str | Path,
    env: str,
    methods: Mapping[str, str] | None,
    numbers: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> pd.DataFrame:
    """The rows of one environment's chosen methods: `method` as shown, `part` as in exp_name."""
    frame = _named(path, numbers, optional)
    rows = frame[frame["env"] == env]
    if rows.empty and len(frame):
        raise ExportError(f"{path}: no runs of {env} (it holds {', '.join(frame['env'].unique())})")
    if methods is None:
        return rows
    rows = rows[rows["part"].isin(list(methods))]
    return rows.assign(method=rows["part"].map(dict(methods)))


def _require_methods(
    path: str | Path,
    frame: pd.DataFrame,
    methods: Mapping[str, str] | None,
    untrained: Exclusions,
) -> None:
    if frame.empty and not methods:
        raise ExportError(f"{path}: no rows")
    for name in dict.fromkeys((methods or {}).values()):
        parts = [part for part, method in (methods or {}).items() if method == name]
        absent = any(entry["method"] in (name, *parts) for entry in untrained)
        if not absent and not (frame["method"] == name).any():
            held = ", ".join(sorted(_named(path)["part"].unique())) or "no rows"
            raise ExportError(
                f"{path}: no runs of `methods: {' or '.join(parts)}` ({name}); it holds {held}"
            )


def _require_runs(path: str | Path, frame: pd.DataFrame, exclude: Exclusions) -> None:
    for entry in exclude:
        # Only other methods may have the seed: then the run is missing, and the entry says why.
        if not _is_method(frame, entry).any() or not (frame["seed"] == entry["seed"]).any():
            raise ExportError(f"exclude: {_shown(entry)}: no such run in {path}")


def _without(
    path: str | Path, frame: pd.DataFrame, exclude: Exclusions, methods: Mapping[str, str]
) -> tuple[pd.DataFrame, set[tuple[str, int]]]:
    """The frame without the excluded runs, and these as (method, seed)."""
    excluded = {
        (name, entry["seed"])
        for entry in exclude
        for name in (entry["method"], methods.get(entry["method"], entry["method"]))
    }
    for entry in exclude:
        frame = frame[~_is_run(frame, entry)]
    if frame.empty:
        raise ExportError(f"{path}: every run is listed under `exclude:`")
    return frame, excluded


def _is_method(frame: pd.DataFrame, entry: Mapping[str, Any]) -> pd.Series:
    return (frame["method"] == entry["method"]) | (frame["part"] == entry["method"])


def _is_run(frame: pd.DataFrame, entry: Mapping[str, Any]) -> pd.Series:
    return _is_method(frame, entry) & (frame["seed"] == entry["seed"])


def _shown(entry: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {entry[key]}" for key in ("env", "method", "seed"))


def _named(
    path: str | Path, numbers: Sequence[str] = (), optional: Sequence[str] = ()
) -> pd.DataFrame:
    """The file with `env, method, part` (the method part), `seed` from exp_name, `stated_seed`."""
    frame = read_csv(path, numbers, optional, dtype={"exp_name": "category"})
    frame.columns = frame.columns.astype(str).str.strip()
    for name in ("exp_name", "seed"):
        if name not in frame:
            raise ExportError(
                f"{path}: column {name} is missing (found: {', '.join(map(str, frame))})"
            )
    if not isinstance(frame.index, pd.RangeIndex):
        raise ExportError(f"{path}: rows have more values than the header has names")
    if frame["exp_name"].isna().any():
        row = int(np.argmax(frame["exp_name"].isna()))
        raise ExportError(f"{path}: row {row + 1} has no exp_name")
    names = frame["exp_name"].astype("category").cat
    parts = pd.Series(names.categories.astype(str)).str.extract(RUN_NAME)
    wrong = parts["env"].isna()
    if wrong.any():
        raise ExportError(
            f"{path}: exp_name {names.categories[int(wrong.argmax())]!r} is not "
            "<env>__<method>__<seed>__<stamp>"
        )
    found = parts.astype({"seed": "int64"}).iloc[names.codes].set_index(frame.index)
    found = found.rename(columns={"method": "part"}).drop(columns="stamp")
    rest = frame.drop(columns=[*_KEYS[1:4], "stated_seed"], errors="ignore")
    rest = rest.rename(columns={"seed": "stated_seed"})
    return pd.concat([found.assign(method=found["part"]), rest], axis=1)


def _numeric(path: str | Path, frame: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """The columns of the run, and these ones renamed, as float64, with NaN for anything else."""
    numbers = {}
    for name, to in columns.items():
        if name not in frame:
            raise ExportError(f"{path}: column {name} is missing")
        values = frame[name].astype(str) if frame[name].dtype == bool else frame[name]
        numbers[to] = pd.to_numeric(values, errors="coerce").astype("float64")
    return frame[_KEYS[:-1]].assign(**numbers)


def _refuse(path: str | Path, faults: Iterator[tuple[str, str]]) -> None:
    """Raise for the first fault of each run, naming three runs at most."""
    first: dict[str, str] = {}
    for run, fault in faults:
        first.setdefault(run, fault)
    if first:
        shown = "; ".join(f"{run}: {fault}" for run, fault in list(first.items())[:3])
        more = f"; and {len(first) - 3} more" if len(first) > 3 else ""
        raise ExportError(f"{path}: {shown}{more}; {REMEDY}")


def _faults(frame: pd.DataFrame, rows: pd.Series, fault: str) -> Iterator[tuple[str, str]]:
    """A fault for each run with a marked row; `{row}` is the first such row of the file."""
    bad = frame.loc[rows, "exp_name"].drop_duplicates()
    for row, run in zip(bad.index, bad, strict=True):
        yield str(run), fault.format(row=row + 1)


def _value_faults(frame: pd.DataFrame, columns: list[str]) -> Iterator[tuple[str, str]]:
    """Values that are not finite numbers, bad counts, and seeds that contradict the run's name."""
    for column in ["stated_seed", *columns]:
        values, name = frame[column], column.removeprefix("stated_")
        yield from _faults(
            frame, values.isna(), f"{name} is missing or not a number in row {{row}}"
        )
        if column == "stated_seed":
            fault, wrong = "differs from the one in exp_name", values != frame["seed"]
        elif column == "return":
            fault, wrong = "is not finite or beyond 1e+50", np.abs(values) > LARGEST
        else:
            fault = "is not a whole number"
            wrong = (values < 0) | (values >= 2**53) | (values % 1 != 0)
        yield from _faults(frame, wrong, f"{name} {fault} in row {{row}}")


def _run_faults(
    frame: pd.DataFrame, total_steps: int | None, excluded: set[tuple[str, int]]
) -> Iterator[tuple[str, str]]:
    """Runs that are out of order, unfinished, duplicate, or missing for a seed of other methods."""
    gap = frame.groupby("exp_name", observed=True)["step"].diff()
    yield from _faults(frame, gap == 0, "duplicate episode: row {row} repeats the step before it")
    yield from _faults(frame, gap < 0, "steps do not increase at row {row}")

    gap = gap.fillna(frame["step"])
    length = frame.get("length", gap)
    # Some tools count the reset as a step between two episodes.
    lost = (gap - length > 1) & (gap > 0)
    yield from _faults(frame, lost, "an episode is missing before row {row}, going by its length")
    runs = (
        frame.assign(length=length)
        .groupby("exp_name", observed=True)
        .agg({"method": "first", "seed": "first", "step": "last", "length": "max"})
    )
    goal = runs["step"].max() if total_steps is None else total_steps
    longest = runs["length"].clip(lower=runs["length"].median())
    for run, step in runs.loc[runs["step"] < goal - 2 * longest, "step"].items():
        yield str(run), f"unfinished: ends at step {step:.0f} of {goal:.0f}"

    for (method, seed), twins in runs.groupby(["method", "seed"]):
        if len(twins) > 1:
            run, twin = twins.index[:2]
            yield str(run), f"duplicate run: {method} seed {seed} is also {twin}"
    there = set(zip(runs["method"], runs["seed"], strict=True))
    for method in runs["method"].unique():
        for seed, other in runs.drop_duplicates("seed").set_index("seed")["method"].items():
            if (method, seed) not in there | excluded:
                yield f"{method} seed {seed}", f"no such run, but {other} has this seed"
