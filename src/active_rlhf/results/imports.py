"""Runs of others, from their files to the export that everything else reads.

Of each row a run is known by environment, method and seed: from the file's columns, from the names
of runs in it, from its path, or from the study, in this order.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.files import atomic, folder_name, sha256
from active_rlhf.results.comparable import (
    ExportError,
    Faults,
    Spacing,
    faulty,
    value_faults,
)
from active_rlhf.results.export import (
    CHUNK,
    METRIC,
    RUN_NAME,
    Exclusions,
    excluded_runs,
    is_run,
    number,
    require_comparable,
    require_exclusions,
    require_methods,
    together,
)
from active_rlhf.results.readers import READERS, Choices, Head, Reader
from active_rlhf.results.readers.files import head_of
from active_rlhf.results.readers.reader import VALUES

WILDCARD = re.compile(r"\{(\w+)(?:,((?:[^{}]|\{[^{}]*\})+))?\}")
OF_RUNS = ("method", "seed", "run")
WHOLE = re.compile(r"[0-9]{1,18}(?:\.0+)?")


# --- files ----------------------------------------------------------------------------------------


def matching(pattern: str, env: str | None) -> dict[str, dict[str, str]]:
    """Files that a pattern stands for, in order: path -> what its wildcards stand for there.

    env: what `{env}` stands for; None for anything, as of the other wildcards.

    Raises ExportError for a wildcard of another name than `method`, `seed`, `run` and `env`.
    """
    if os.path.isfile(pattern):
        return {pattern: {}}
    glob, expression, at, seen = "", "", 0, set()
    for found in WILDCARD.finditer(pattern):
        name, own = found.groups()
        if name not in (*OF_RUNS, "env"):
            known = ", ".join(f"{{{known}}}" for known in (*OF_RUNS, "env"))
            raise ExportError(f"{pattern}: unknown wildcard {{{name}}}; known: {known}")
        between = pattern[at : found.start()]
        glob, expression, at = glob + between, expression + _expression(between), found.end()
        if name == "env" and env is not None:
            glob, expression = glob + env, expression + re.escape(env)
            continue
        deep = own is not None and ("/" in own or "." in own)
        glob += "**" if deep else "*"
        expression += f"(?P={name})" if name in seen else f"(?P<{name}>{own or '[^/]+'})"
        seen.add(name)
    glob, expression = glob + pattern[at:], expression + _expression(pattern[at:])
    if not re.search(r"[*?]", glob):
        return {glob: {}} if os.path.isfile(glob) else {}
    try:
        compiled = re.compile(expression)
    except re.error as error:
        raise ExportError(f"{pattern}: not a usable pattern ({error})") from None
    anchor, steps = _anchored(glob.replace("[", "[[]"))
    paths = sorted(str(path) for path in anchor.glob(steps) if path.is_file())
    matches = {path: compiled.fullmatch(path) for path in map(os.path.normpath, paths)}
    return {path: match.groupdict() for path, match in matches.items() if match}


def _expression(text: str) -> str:
    """Text outside wildcards as a regular expression, in which `*` takes no slash."""
    parts = re.split(r"(\*\*/?|\*|\?)", text)
    meaning = {"**": ".*", "**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return "".join(meaning.get(part, re.escape(part)) for part in parts)


def _anchored(glob: str) -> tuple[Path, str]:
    """The folder before the first wildcard of a glob, and the rest of it."""
    parts = Path(glob).parts
    first = next(i for i, part in enumerate(parts) if re.search(r"[*?]", part))
    rest = [re.sub(r"\*\*+", "**" if part == "**" else "*", part) for part in parts[first:]]
    deep = any("**" in part and part != "**" for part in parts[first:])
    return Path(*parts[:first]), "**/*" if deep else "/".join(rest)


def files_of(env: str | None, source: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """All files of an environment, with what the wildcards of their paths stand for."""
    return {
        path: known for pattern in source["files"] for path, known in matching(pattern, env).items()
    }


def shown(source: Mapping[str, Any]) -> str:
    """What messages call the files: their pattern, or the one file."""
    return ", ".join(source["files"])


def digest(env: str, source: Mapping[str, Any]) -> str:
    """One hash of the files of an environment: of the file, or of all their hashes in order."""
    hashes = [sha256(path) for path in files_of(env, source)]
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


# --- what they are --------------------------------------------------------------------------------


def recognised(head: Head, chosen: str | None = None) -> Reader:
    """The reader of a file. Raises ExportError if none knows it, or not the chosen one."""
    if not head.start and chosen is None:
        return READERS["export"]  # which will say that it is empty
    for name, reader in READERS.items():
        if name == (chosen or name) and reader.recognises(head):
            return reader
    kinds = "; ".join(f"`{reader.name}`, {reader.about}" for reader in READERS.values())
    held = f" (its columns: {', '.join(head.columns)})" if head.columns else ""
    if chosen:
        return READERS[chosen]
    raise ExportError(f"{head.path}: of no known kind{held}. Say `format:` or `columns:`: {kinds}")


def described(env: str | None, source: Mapping[str, Any]) -> dict[str, Any]:
    """What a study says of files, with `format`, `rows` and `columns` filled in from the first.

    env: None for any. Raises ExportError if there is no such file, or if it is of no known kind.
    """
    files = files_of(env, source)
    if not files:
        raise ExportError(f"there is no file {shown(source)}")
    head = head_of(Path(next(iter(files))))
    reader = recognised(head, source.get("format"))
    rows, columns = reader.described(head, _choices(env or "", source))
    given = {key: value for key, value in source.items() if value is not None}
    return {**given, "format": reader.name, "rows": source.get("rows") or rows, "columns": columns}


def _choices(env: str, source: Mapping[str, Any]) -> Choices:
    return Choices(source.get("columns") or {}, source.get("task"), env)


# --- their runs -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gathered:
    """Rows of an environment's runs, and the runs, as in `results.comparable`.

    `left_out` says how many rows were not taken, and why.
    """

    rows: pd.DataFrame
    runs: pd.DataFrame
    left_out: dict[str, int]


@dataclass
class _Runs:
    """The runs found so far.

    `found`: name -> method as the file calls it, seed, and whether that only counts runs. `others`:
    the environments of rows that were left out.
    """

    env: str
    source: Mapping[str, Any]
    several: bool
    found: dict[str, tuple[str, int, bool]] = field(default_factory=dict)
    others: dict[str, None] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)

    def of(
        self, frame: pd.DataFrame, path: str, of_path: Mapping[str, str]
    ) -> tuple[np.ndarray, list[str | None]]:
        """A number for each row, and the run of each number by name; None: another environment."""
        names = [name for name in ("env", *OF_RUNS) if name in frame]
        if names:
            keys = frame[names].astype("str").fillna("")
            for name in names:
                if (empty := keys[name].str.strip() == "").any():
                    what = self.source["columns"].get(name, name)
                    place = frame.index[int(empty.to_numpy().argmax())]
                    word = "line" if READERS[self.source["format"]].lines else "row"
                    raise ExportError(f"{path}: {word} {place} has no {what}")
            group = keys.groupby(names, sort=False).ngroup().to_numpy()
            told = [dict(zip(names, row, strict=True)) for row in keys.drop_duplicates().to_numpy()]
        elif self.source["rows"] == "scores":  # each row is a run
            group, told = np.arange(len(frame)), [{"run": str(place)} for place in frame.index]
        else:
            group, told = np.zeros(len(frame), int), [{}]
        return group, [self._run(own, path, of_path) for own in told]

    def _run(self, told: Mapping[str, str], path: str, of_path: Mapping[str, str]) -> str | None:
        """The name of the run that a row tells of; see the module for the order of sources."""
        own = {key: text.strip() for key, text in told.items()}
        named = _run_named(self.source.get("runs")).fullmatch(own.get("run", ""))
        parts = {k: v for k, v in named.groupdict().items() if v} if named else {}
        study = {k: str(v) for k in ("method", "seed") if (v := self.source.get(k)) is not None}
        known = study | dict(of_path) | parts | own
        task = self.source.get("task")
        wanted = {str(task)} if isinstance(task, str) else {self.env, folder_name(self.env)}
        if known.get("env", self.env) not in wanted | {self.env}:
            self.others[known["env"]] = None
            return None
        if self.source["format"] == "export" and not parts:
            run = own.get("run", "")
            raise ExportError(f"{path}: exp_name {run!r} is not <env>__<method>__<seed>__<stamp>")
        if "method" not in known:
            raise ExportError(f"{path}: of which method is this run? {SAY.format('method')}")
        method = known["method"]
        if "seed" in known:
            if not WHOLE.fullmatch(known["seed"]):
                shown = known["seed"]
                raise ExportError(f"{path}: seed {shown!r} is not a whole number; {BY_RUN}")
            seed = int(known["seed"].partition(".")[0])
        if self.source["format"] == "export":
            name = own["run"]
        else:
            which = f"seed {seed}" if "seed" in known else known.get("run", "")
            name = f"{method} {which}".strip() + (f" in {path}" if self.several else "")
        if name not in self.found:
            if "seed" not in known:
                seed = self.counted[method]
            self.counted[method] += 1
            self.found[name] = method, seed, "seed" not in known
        return name


SAY = "Say `{0}:`, or give it in the path as {{{0}}}, in `columns:` or in `runs:`"
BY_RUN = "name that column under `run`, and runs are numbered"


def _run_named(pattern: str | None) -> re.Pattern[str]:
    """What names of runs look like."""
    if pattern is None:
        return re.compile(RUN_NAME)
    text, at = "", 0
    for found in WILDCARD.finditer(pattern):
        text += _expression(pattern[at : found.start()])
        own = found[2] or ("[0-9]+" if found[1] == "seed" else ".+")
        text, at = text + f"(?P<{found[1]}>{own})", found.end()
    try:
        return re.compile(text + _expression(pattern[at:]))
    except re.error as error:
        raise ExportError(f"runs: {pattern}: not a usable pattern ({error})") from None


def gather(
    env: str,
    source: Mapping[str, Any],
    methods: Mapping[str, str] | None = None,
    exclude: Exclusions = (),
) -> Gathered:
    """All rows of these methods' runs of an environment, with their values checked.

    source: as `described`. methods: the file's name of a method -> that in tables; None for all.
    Raises ExportError for files that cannot be read, rows whose run is not known, unusable values,
    and methods or exclusions that are not there.
    """
    files, reader, where = files_of(env, source), READERS[source["format"]], shown(source)
    if not files:
        raise ExportError(f"there is no file {where}")
    several = len(files) > 1
    every = _Runs(env, source, several and reader.joined is None)
    faults, parts, late = Faults(where), [], 0
    for frame, path in _frames(env, source, files, reader):
        if frame.empty:
            continue
        group, names = every.of(frame, path, files[path])
        kept = [
            name is not None
            and (methods is None or every.found[name][0] in methods)
            and not any(is_run(entry, *every.found[name][:2], methods) for entry in exclude)
            for name in names
        ]
        mine = np.asarray(kept, bool)[group]
        if not mine.any():
            continue
        table = _table(frame[mine], np.asarray(names, object)[group[mine]], reader)
        if "stated" in frame:
            said = number(frame["stated"][mine])
            true = np.array([every.found[str(name)][1] if name else 0 for name in names])
            wrong = said.to_numpy() != true[group[mine]]
            faults.add(faulty(table, wrong, "seed differs from the one in exp_name in {row}"))
        found = list(value_faults(table, [name for name in VALUES if name in table]))
        faults.add((run, f"{fault} of {path}" if several else fault) for run, fault in found)
        if until := source.get("until"):
            beyond = table["step"] > until
            late, table = late + int(beyond.sum()), table[~beyond]
        parts.append(table)
    runs = pd.DataFrame.from_dict(every.found, orient="index", columns=["part", "seed", "numbered"])
    if runs.empty and every.others:
        others = ", ".join(every.others)
        raise ExportError(f"{where}: no runs of {env} (it holds {others}; `task:` says its name)")
    require_methods(where, set(runs["part"]), methods)
    of_methods = runs if methods is None else runs[runs["part"].isin(list(methods))]
    require_exclusions(where, of_methods, exclude, methods)
    faults.refuse()
    if not any(map(len, parts)):
        why = "every run is listed under `exclude:`" if len(runs) and exclude else "no rows"
        raise ExportError(f"{where}: {why}")
    rows = together(part for part in parts if len(part))
    if source["rows"] == "scores":
        twice = rows["run"].duplicated()
        if twice.any():
            name = rows["run"][twice].astype(str).iloc[0]
            told = "has several rows, but no step; which column is it? Say `columns: {step: ...}`"
            raise ExportError(f"{where}: {name} {told}")
    rows.attrs["lines"] = reader.lines
    runs = runs.loc[rows["run"].cat.categories]
    runs = runs.assign(method=[(methods or {}).get(part, part) for part in runs["part"]])
    return Gathered(rows, runs, {f"after step {until:,}": late} if late else {})


def _table(frame: pd.DataFrame, names: np.ndarray, reader: Reader) -> pd.DataFrame:
    """The values of rows as numbers, with their run; NaN for what is none."""
    order = list(dict.fromkeys(names))
    table = pd.DataFrame({"run": pd.Categorical(names, order)}, frame.index)
    table.attrs["lines"] = reader.lines
    for name in VALUES:
        if name in frame:
            table[name] = number(frame[name])
        elif name == "step":
            table[name] = 0.0
    return table


def _frames(
    env: str, source: Mapping[str, Any], files: Mapping[str, Mapping[str, str]], reader: Reader
) -> Iterator[tuple[pd.DataFrame, str]]:
    """Rows of each file or, if a run may have several, of each run; and a file they are from."""
    choices = _choices(env, source)
    if reader.joined is None:
        for path in files:
            for frame in reader.read(head_of(Path(path)), choices):
                yield frame, path
        return
    of_run: dict[tuple[str, ...], list[str]] = {}
    for path, known in files.items():
        told = tuple(known.get(name, "") for name in OF_RUNS)
        # Without a wildcard that tells runs apart, files of one folder are of one run.
        of_run.setdefault(told if any(told) else (os.path.dirname(path),), []).append(path)
    for paths in of_run.values():
        frames = [f for path in paths for f in reader.read(head_of(Path(path)), choices)]
        yield reader.joined(frames), paths[0]


# --- the export -----------------------------------------------------------------------------------


def convert(
    env: str,
    source: Mapping[str, Any],
    out: Path,
    methods: Mapping[str, str] | None = None,
    exclude: Exclusions = (),
    design: str | None = None,
    references: Sequence[str] = (),
) -> None:
    """Write the export of an environment's imported runs, `<env>.csv`, and `<env>.sha256`.

    With references, which name two methods as the files do, also `<env>.baselines.csv`, their runs;
    they are among the compared ones only if `methods` lists them. The same files give the same
    bytes. Nothing is written unless all runs can be compared.

    Raises ExportError as `gather` and `require_comparable` do.
    """
    own = [entry for entry in exclude if entry["env"] == env]
    found = gather(env, source, methods, own)
    if references and methods is None:
        parts = [part for part in dict.fromkeys(found.runs["part"]) if part not in references]
        if not parts:
            raise ExportError(f"{shown(source)}: there are no methods but the references")
        found = gather(env, source, {part: part for part in parts}, own)
    where, steps = shown(source), source.get("until")
    repeated = source.get("equal_rows") == "keep"
    excluded = excluded_runs(own, methods or {})
    require_comparable(where, found.rows, found.runs, steps, design, excluded, repeated)
    ends = None
    if references:
        ends = gather(env, source, {name: name for name in references})
        require_comparable(where, ends.rows, ends.runs, steps, "unpaired", (), repeated)
    name = folder_name(env)
    made = {f"{name}.csv": found} | ({f"{name}.baselines.csv": ends} if ends else {})
    with ExitStack() as stack:
        sums = stack.enter_context(atomic(out / f"{name}.sha256"))
        hashes = []
        for file, own_runs in made.items():
            path = stack.enter_context(atomic(out / file))
            _write(env, own_runs, path, source["format"])
            hashes.append(f"{sha256(path)}  {file}\n")
        sums.write_text("".join(hashes), encoding="utf-8")


def convert_of_study(env: str, study: Mapping[str, Any], out: Path) -> None:
    """Write the export of an environment of a study, whose settings these are; see `convert`."""
    ends = study.get("references")
    convert(
        env,
        study["imported"][env],
        out,
        study.get("methods"),
        study.get("exclude") or (),
        study["statistics"].get("design"),
        [ends["low"], ends["high"]] if ends else (),
    )


def _write(env: str, found: Gathered, path: Path, kind: str) -> None:
    """Write rows in the columns of the thesis."""
    runs, rows = found.runs, found.rows
    names = [str(name) for name in runs.index]
    if kind != "export":
        pairs = zip(runs["part"], runs["seed"], strict=True)
        names = [f"{folder_name(env)}__{part}__{seed}__0" for part, seed in pairs]
    code, seeds = rows["run"].cat.codes.to_numpy(), runs["seed"].to_numpy("int64")
    columns = {"length": "episode_length", "labels": "labels"}
    for begin in range(0, len(rows), CHUNK):
        part, of = rows.iloc[begin : begin + CHUNK], code[begin : begin + CHUNK]
        table = {
            "exp_name": pd.Categorical.from_codes(of, pd.Index(names)),
            "seed": seeds[of],
            METRIC: part["return"].to_numpy(float),
            "global_step": part["step"].to_numpy("int64"),
        }
        table |= {to: part[name].to_numpy("int64") for name, to in columns.items() if name in part}
        pd.DataFrame(table).to_csv(
            path, mode="a", header=begin == 0, index=False, lineterminator="\n"
        )


# --- what was understood --------------------------------------------------------------------------


def environments_in(source: Mapping[str, Any]) -> list[str]:
    """The environments that files tell of, by their paths or in their rows; `""` where they do not.

    source: as `described` for any environment. Raises ExportError as `gather` does.
    """
    paths = {path: known for p in source["files"] for path, known in matching(p, None).items()}
    if all("env" in known for known in paths.values()):
        return list(dict.fromkeys(known["env"] for known in paths.values()))
    reader = READERS[source["format"]]
    every = _Runs("", {**source, "task": None}, several=True)
    for frame, path in _frames("", source, paths, reader):
        if len(frame):
            every.of(frame, path, paths[path])
    return [*every.others, *([""] if every.found else [])]


def overview(found: Gathered) -> pd.DataFrame:
    """One row per method: runs, seeds, rows, holes, and the steps that runs begin and end with."""
    rows, runs = found.rows, found.runs
    code = rows["run"].cat.codes.to_numpy()
    length = rows["length"].to_numpy(float) if "length" in rows else None
    step = rows["step"].to_numpy(float)
    spacing = Spacing.of(code, step, length)
    holes = np.bincount(code[spacing.holes()], minlength=len(runs))
    table = runs.assign(
        rows=spacing.ends - spacing.starts + 1,
        first=step[spacing.starts],
        last=step[spacing.ends],
        holes=holes,
    )
    grouped = table.groupby("part", sort=False)
    return pd.DataFrame(
        {
            "runs": grouped.size(),
            "seeds": grouped["seed"].agg(_few),
            "rows": grouped["rows"].sum(),
            "first": grouped["first"].max(),
            "shortest": grouped["last"].min(),
            "longest": grouped["last"].max(),
            "holes": grouped["holes"].sum(),
        }
    ).rename_axis("method")


def _few(seeds: pd.Series) -> str:
    """'1, 2, 3 and 7 more'."""
    named = sorted(seeds)
    more = f" and {len(named) - 3} more" if len(named) > 4 else ""
    return ", ".join(map(str, named[: 3 if more else 4])) + more
