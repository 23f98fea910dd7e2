"""Reading exported runs, and refusing those that must not be compared.

One CSV per environment, one row per finished training episode (or whatever a row of imported runs
is), in time order within a run: `exp_name, seed, charts/episodic_return, global_step`, optionally
`episode_length, labels`, with `exp_name = <env>__<method>__<seed>__<stamp>`. Columns may be in any
order; others are ignored.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from active_rlhf.files import folder_name, sha256
from active_rlhf.results.comparable import (
    ExportError,
    Faults,
    faulty,
    require_seeds,
    run_faults,
    twins,
    value_faults,
)

METRIC = "charts/episodic_return"
TEXT = ("env", "method", "method_a", "method_b", "host", "hosts", "reference", "environments")
NEEDED = {"global_step": "step", METRIC: "return"}
OPTIONAL = {"episode_length": "length", "labels": "labels"}
# An environment's name holds no double underscore; a method's may.
RUN_NAME = r"^(?P<env>(?:(?!__).)+)__(?P<method>.+)__(?P<seed>\d{1,18})__(?P<stamp>[^_]+)$"
CHUNK = 1_000_000  # rows that are read at a time

Exclusions = Sequence[Mapping[str, Any]]


@contextmanager
def readable(path: str | Path) -> Iterator[None]:
    """Turn what reading a CSV file may raise into ExportErrors that name it."""
    try:
        yield
    except FileNotFoundError:
        raise ExportError(f"{path}: no such file") from None
    except ExportError:
        raise
    except (OSError, ValueError) as error:  # pandas' parser and decoding errors are ValueErrors
        raise ExportError(f"{path}: not a readable CSV file: {error}") from None


def read_csv(
    path: str | Path, numbers: Sequence[str] = (), optional: Sequence[str] = (), **options: Any
) -> pd.DataFrame:
    """Read a CSV file whose columns `numbers` hold finite numbers; `optional` ones may have gaps.

    Names stay text, whatever they look like. Zero bytes, which a system crash can leave in a file,
    are refused, since they would silently cut cells short. Raises ExportError naming the file, also
    if its hash differs from that in the `.sha256` beside it (`<hash>  <file name>`, as sha256sum
    writes it).
    """
    (frame,) = _csv(Path(path), **options)
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


def _csv(path: Path, chunk: int | None = None, **options: Any) -> Iterator[pd.DataFrame]:
    """A CSV file, whole or some rows at a time; checked as `read_csv` says."""
    with readable(path):
        with open(path, "rb") as file:
            if any(b"\0" in block for block in iter(lambda: file.read(2**20), b"")):
                raise ValueError("it holds zero bytes")
        dtype = dict.fromkeys(TEXT, str) | options.pop("dtype", {})
        options |= {"encoding": "utf-8-sig", "low_memory": False, "dtype": dtype}
        options |= {"keep_default_na": False, "na_values": [""], "chunksize": chunk}
        found = pd.read_csv(path, **options)
        _require_unchanged(path)
        if chunk is None:
            yield found
        else:
            with found:
                yield from found


def _require_unchanged(path: Path) -> None:
    sums = path.with_name(f"{path.name.split('.')[0]}.sha256")
    listed = sums.read_text("utf-8", "replace").splitlines() if sums.exists() else []
    hashes = [line[:64] for line in listed if line[64:] == f"  {path.name}"]
    if hashes and sha256(path) not in hashes:
        raise ExportError(
            f"{path}: changed since it was made; delete it, and snakemake makes it again"
        )


def read_runs(
    paths: Mapping[str, str | Path],
    methods: Mapping[str, str] | None = None,
    exclude: Exclusions | None = None,
    total_steps: int | Mapping[str, int] | None = None,
    untrained: bool = False,
    design: str | None = None,
    repeated: Collection[str] = (),
) -> pd.DataFrame:
    """All runs of a study as one long frame: `env, method, seed, step, return[, length, labels]`.

    `paths` maps an environment to its file. `methods` maps the method part of `exp_name` to a
    display name, and so selects, names and orders the methods. Several parts may share a name, as a
    method may be called differently in each file. None takes all methods, in the order of their
    names. Each entry of `exclude` (`env, method, seed, reason`, the method by either name) removes
    one run, which must be there unless `untrained`: a study does not train what it excludes. Rows
    are ordered by environment, method (an ordered Categorical), seed and step. Steps, lengths and
    labels are counts (the latter two if every environment has them); returns are sums of rewards
    over an episode.

    Raises ExportError for files and runs that cannot be compared: unreadable or missing columns,
    missing or non-finite values, steps that go backwards, rows that are equal in step and return
    (unless the environment is one of `repeated`), two runs of one seed, seeds that do not suit the
    `design` (see `require_seeds`), and a run that ends early: more than twice the longest ordinary
    distance between rows (see `Spacing`) before `total_steps` (None: before the file's longest
    run).
    """
    for entry in exclude or ():
        if entry["env"] not in paths:
            held = ", ".join(paths)
            raise ExportError(f"exclude: {_shown(entry)}: no such environment (there is {held})")
    frames = []
    for env, path in paths.items():
        left_out = [entry for entry in exclude or () if entry["env"] == env]
        rows, runs = _rows(path, env, methods, left_out, untrained)
        goal = total_steps.get(env) if isinstance(total_steps, Mapping) else total_steps
        excluded = excluded_runs(left_out, methods or {})
        require_comparable(path, rows, runs, goal, design, excluded, env in repeated)
        frames.append(long_form(env, rows, runs))
    shared = [name for name in frames[0] if all(name in frame for frame in frames)]
    return _joined([frame[shared] for frame in frames], methods, ["seed"])


def require_comparable(
    path: str | Path,
    rows: pd.DataFrame,
    runs: pd.DataFrame,
    goal: int | None,
    design: str | None,
    excluded: Collection[tuple[str, int]],
    repeated: bool,
) -> None:
    """Raise ExportError unless these runs of an environment can be compared; see `read_runs`."""
    faults = Faults(path)
    faults.add(run_faults(rows, goal, repeated))
    faults.add(twins(runs))
    faults.refuse()
    require_seeds(path, runs, design, excluded)


def long_form(env: str, rows: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Rows with `env, method, seed` of their run in place of its name, and counts as integers."""
    run = rows["run"].cat.codes.to_numpy()
    method = pd.Categorical(runs["method"])
    keys = {
        "env": pd.Categorical.from_codes(np.zeros(len(rows), int), pd.Index([env])),
        "method": pd.Categorical.from_codes(method.codes[run], method.categories),
        "seed": runs["seed"].to_numpy("int64")[run],
    }
    values = {
        name: rows[name].to_numpy("float64" if name == "return" else "int64")
        for name in rows
        if name != "run"
    }
    return pd.DataFrame(keys | values)


def _rows(
    path: str | Path,
    env: str,
    methods: Mapping[str, str] | None,
    exclude: Exclusions,
    untrained: bool,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of one environment's chosen runs, and these runs, as in `results.comparable`."""
    parts, faults = [], Faults(path)
    every: dict[str, tuple[str, str, int]] = {}
    for frame in _csv(Path(path), CHUNK, dtype={"exp_name": "category"}):
        frame.columns = frame.columns.astype(str).str.strip()
        known = _runs_named(path, frame)
        every |= {name: row for name, *row in known.itertuples(name=None)}
        chosen = known["env"].isin([env, folder_name(env)])
        if methods is not None:
            chosen &= known["part"].isin(list(methods))
        chosen &= ~_among(known, exclude, methods)
        of_run = frame["exp_name"].cat.codes.to_numpy()
        frame = frame[chosen.to_numpy(bool)[of_run]]
        of_run = frame["exp_name"].cat.codes.to_numpy()
        table = pd.DataFrame({"run": frame["exp_name"]}).set_axis(frame.index + 2)  # after a header
        stated = number(frame["seed"])
        differs = stated.to_numpy() != known["seed"].to_numpy()[of_run]
        faults.add(faulty(table, stated.isna(), "seed is missing or not a number in {row}"))
        faults.add(faulty(table, differs, "seed differs from the one in exp_name in {row}"))
        columns = NEEDED | {name: to for name, to in OPTIONAL.items() if name in frame}
        for name, to in columns.items():
            if name not in frame:
                raise ExportError(f"{path}: column {name} is missing")
            table[to] = number(frame[name]).to_numpy()
        faults.add(value_faults(table, list(columns.values())))
        parts.append(table)
    runs = pd.DataFrame.from_dict(every, orient="index", columns=["env", "part", "seed"])
    runs["method"] = runs["part"].map(lambda part: (methods or {}).get(part, part))
    _require_found(path, env, methods, exclude, untrained, runs)
    faults.refuse()
    rows = together(parts)
    if rows.empty:
        raise ExportError(f"{path}: every run is listed under `exclude:`")
    return rows, runs.loc[rows["run"].cat.categories]


def together(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Frames as one, in which the rows of a run stand together; runs in order of appearance."""
    parts = list(parts)
    run = union_categoricals([part["run"].cat.remove_unused_categories() for part in parts])
    rows = pd.concat(parts)
    rows["run"] = run
    if (np.diff(run.codes) < 0).any():
        rows = rows.iloc[np.argsort(run.codes, kind="stable")]
    return rows


def number(values: pd.Series) -> pd.Series:
    """The values as float64, with NaN for anything that is no number; `True` is none."""
    text = values.astype(str) if values.dtype == bool else values
    return pd.to_numeric(text, errors="coerce").astype("float64")


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
            faults, place = Faults(path), frame.set_axis(frame.index + 2)
            runs = place.rename(columns={"exp_name": "run"})
            faults.add(faulty(runs, gap <= 0, f"{name} does not increase at {{row}}"))
            faults.refuse()
        left_out = [entry for entry in exclude or () if entry["env"] == env]
        frame = frame[~_among(frame, left_out, methods)]
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
    """The rows of one environment's chosen methods, with `env, method, part, seed` of their run."""
    frame = read_csv(path, numbers, optional, dtype={"exp_name": "category"})
    frame.columns = frame.columns.astype(str).str.strip()
    runs = _runs_named(path, frame).iloc[frame["exp_name"].cat.codes].set_axis(frame.index)
    rest = frame.drop(columns=["env", "method", "part", "stated_seed"], errors="ignore")
    frame = pd.concat([runs, rest.rename(columns={"seed": "stated_seed"})], axis=1)
    rows = frame[frame["env"].isin([env, folder_name(env)])].assign(env=env)
    if rows.empty and len(frame):
        raise ExportError(f"{path}: no runs of {env} (it holds {', '.join(frame['env'].unique())})")
    if methods is None:
        return rows.assign(method=rows["part"])
    rows = rows[rows["part"].isin(list(methods))]
    return rows.assign(method=rows["part"].map(dict(methods)))


def _require_found(
    path: str | Path,
    env: str,
    methods: Mapping[str, str] | None,
    exclude: Exclusions,
    untrained: bool,
    runs: pd.DataFrame,
) -> None:
    """Raise ExportError unless the file's `runs` hold the environment, methods and exclusions."""
    own = runs[runs["env"].isin([env, folder_name(env)])]
    if own.empty and len(runs):
        raise ExportError(f"{path}: no runs of {env} (it holds {', '.join(runs['env'].unique())})")
    if own.empty and not methods:
        raise ExportError(f"{path}: no rows")
    require_methods(path, set(own["part"]), methods, exclude if untrained else ())
    if not untrained:
        chosen = own if methods is None else own[own["part"].isin(list(methods))]
        require_exclusions(path, chosen, exclude, methods)


def require_exclusions(
    path: str | Path, runs: pd.DataFrame, exclude: Exclusions, methods: Mapping[str, str] | None
) -> None:
    """Raise ExportError unless each exclusion is about one of the runs, `part, seed`."""
    for entry in exclude:
        # Only other methods may have the seed: then the run is missing, and the entry says why.
        there = any(_is_method(entry, part, methods) for part in runs["part"])
        if not there or not (runs["seed"] == entry["seed"]).any():
            raise ExportError(f"exclude: {_shown(entry)}: no such run in {path}")


def require_methods(
    path: str | Path,
    found: Collection[str],
    methods: Mapping[str, str] | None,
    absent: Exclusions = (),
) -> None:
    """Raise ExportError unless each of the chosen methods is found, or listed as absent."""
    for name in dict.fromkeys((methods or {}).values()):
        parts = [part for part, method in (methods or {}).items() if method == name]
        known = any(entry["method"] in (name, *parts) for entry in absent)
        if not known and not set(parts) & set(found):
            held = ", ".join(sorted(found)) or "no rows"
            raise ExportError(
                f"{path}: no runs of `methods: {' or '.join(parts)}` ({name}); it holds {held}"
            )


def excluded_runs(exclude: Exclusions, methods: Mapping[str, str]) -> set[tuple[str, int]]:
    """The excluded runs as (method, seed), by both names."""
    return {
        (name, entry["seed"])
        for entry in exclude
        for name in (entry["method"], methods.get(entry["method"], entry["method"]))
    }


def _is_method(entry: Mapping[str, Any], part: str, methods: Mapping[str, str] | None) -> bool:
    return entry["method"] in (part, (methods or {}).get(part, part))


def is_run(
    entry: Mapping[str, Any], part: str, seed: int, methods: Mapping[str, str] | None
) -> bool:
    """Whether an exclusion is about the run of this method, by either name, and seed."""
    return bool(entry["seed"] == seed and _is_method(entry, part, methods))


def _among(
    runs: pd.DataFrame, exclude: Exclusions, methods: Mapping[str, str] | None
) -> np.ndarray:
    """Which of the runs, `part, seed`, are excluded."""
    pairs = zip(runs["part"], runs["seed"], strict=True)
    return np.array([any(is_run(e, *run, methods) for e in exclude) for run in pairs], bool)


def _shown(entry: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {entry[key]}" for key in ("env", "method", "seed"))


def _runs_named(path: str | Path, frame: pd.DataFrame) -> pd.DataFrame:
    """`env, part` (the method) and `seed` of each run in the frame, from `exp_name`."""
    for name in ("exp_name", "seed"):
        if name not in frame:
            raise ExportError(
                f"{path}: column {name} is missing (found: {', '.join(map(str, frame))})"
            )
    if not isinstance(frame.index, pd.RangeIndex):
        raise ExportError(f"{path}: rows have more values than the header has names")
    missing = frame["exp_name"].isna().to_numpy()
    if missing.any():
        line = int(frame.index[int(np.argmax(missing))]) + 2
        raise ExportError(f"{path}: line {line} has no exp_name")
    frame["exp_name"] = frame["exp_name"].astype("category")
    names = frame["exp_name"].cat.categories.astype(str)
    parts = pd.Series(names).str.extract(RUN_NAME)
    wrong = parts["env"].isna()
    if wrong.any():
        raise ExportError(
            f"{path}: exp_name {names[int(wrong.argmax())]!r} is not "
            "<env>__<method>__<seed>__<stamp>"
        )
    found = parts.rename(columns={"method": "part"}).astype({"seed": "int64"})
    return found.set_index(names)[["env", "part", "seed"]]
