"""Bad results: exports and run directories that were damaged, edited or made by other programs.

Either what is read is what the file says, checked against a plain reading of it, or the file is
refused in one line with its name. What a legal file looks like does not matter.
"""

import csv
import io
import json
import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fuzzing import Cuts, accepted, cuts, damaged
from hypothesis import strategies as st
from run_files import STUDY, export_runs, write_run

from active_rlhf.analysis.endpoints import last_evaluations
from active_rlhf.errors import InputError
from active_rlhf.results.export import METRIC, ExportError, read_records, read_runs
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.measures import beside
from active_rlhf.study.settings import Figures

pytestmark = pytest.mark.slow  # by the many tries

WORKFLOW = Path(__file__).parents[2] / "workflow"
ENV = "Hopper-v5"
NAMES = ["exp_name", "seed", METRIC, "global_step"]
RUNS = [(method, seed) for method in ("rand", "duo") for seed in (1, 20)]
STEPS = range(100, 1000, 100)


def value(method: str, seed: int, step: int) -> float:
    return len(method) * seed + step / 7 - 100


ROWS = [
    [f"{ENV}__{method}__{seed}__17", str(seed), repr(value(method, seed, step)), str(step)]
    for method, seed in RUNS
    for step in STEPS
]
EXPECTED = [
    (ENV, method, seed, step, value(method, seed, step))
    for method, seed in sorted(RUNS)
    for step in STEPS
]


# --- legal forms ---------------------------------------------------------------------------------


def spelled(text: str) -> st.SearchStrategy[str]:
    """Ways to write the same number."""
    whole = "." not in text
    return st.sampled_from(
        [text, f"+{text}" if text[0] != "-" else text, f"{text}e0", f"{text}.0" if whole else text]
    )


@st.composite
def legal_forms(draw: Any) -> bytes:
    """The study in another column order, row order, encoding, line end, quoting or spelling."""
    extra = draw(st.lists(st.sampled_from(["host", "note, with comma", "ü 研究"]), unique=True))
    columns = draw(st.permutations([*NAMES, *extra]))
    left = [[row for row in ROWS if row[0] == name] for name in dict.fromkeys(r[0] for r in ROWS)]
    rows = []
    while left := [run for run in left if run]:  # runs interleaved, each in order
        rows.append(left[draw(st.integers(0, len(left) - 1))].pop(0))
    respell = draw(st.booleans())
    stream = io.StringIO()
    writer = csv.writer(
        stream,
        lineterminator=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])),
    )
    pad = draw(st.sampled_from(["", " "]))
    writer.writerow([name if name in extra else pad + name + pad for name in columns])
    for row in rows:
        cells = dict(zip(NAMES, row, strict=True)) | dict.fromkeys(extra, 'x, "y"\nü')
        if respell:
            cells |= {name: draw(spelled(cells[name])) for name in NAMES[1:]}
        writer.writerow([cells[name] for name in columns])
        if draw(st.integers(0, 20)) == 0:
            stream.write("\n" if "\r" not in stream.getvalue() else "")
    text = stream.getvalue()
    text = text.rstrip("\r\n") if draw(st.booleans()) else text
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig"])))


def test_legal_forms_of_a_file_say_the_same(tmp_path):
    path = tmp_path / "exports of ü 研究.csv"

    def check(content: bytes) -> bool:
        path.write_bytes(content)
        runs = read_runs({ENV: path}, total_steps=900)
        assert list(runs.itertuples(index=False, name=None)) == EXPECTED
        return True

    assert accepted(check, 40, legal_forms()) == 1


# --- damaged files -------------------------------------------------------------------------------

CELLS = [
    *("", " ", "nan", "NaN", "NA", "null", "None", "inf", "-inf", "1e999", "-1", "0", "0.5", "1e3"),
    *("1,000", "1 000", "1.000,5", "1_000", "0x10", "True", "١٠٠", "１００", "9" * 30, "1e", "--1"),
    *(
        '"',
        "'",
        '"a',
        "a\nb",
        "\x00",
        "\ufeff",
        "ü",
        "\u2028",
        "x" * 10_000,
        "=1+1",
        "100.0",
        " 7 ",
    ),
    *(f"{ENV}__duo__1__17", f"{ENV}__duo__1__18", f"{ENV}__duo__x__17", f"{ENV}__duo__-1__17"),
    *(f"{ENV}__duo__1.0__17", f"{ENV}__duo", "Ant-v5__duo__1__17", f"{ENV}____1__17", "__"),
    *(f"{ENV}__a__b__1__17", f"{ENV}__duo__{'9' * 18}__1", f"{ENV}__duo__{'9' * 19}__1"),
    *(f"{ENV}__duo__1__2025-01-01", f"{ENV}__duo\n__1__17", f"{ENV}__duo__20__17"),
]


@st.composite
def damaged_tables(draw: Any) -> bytes:
    """One to three faults in the rows, header or format, in some encoding."""
    header, rows = [*NAMES], [[*row] for row in ROWS]
    options: dict[str, Any] = {"delimiter": ",", "lineterminator": "\n"}
    encoding = "utf-8"
    for _ in range(draw(st.integers(1, 3))):
        i = draw(st.integers(0, max(0, len(rows) - 1)))
        j = draw(st.integers(0, 3))
        kinds = "cell cell cell column twice gone move short long header format encoding cut none"
        kind = draw(st.sampled_from([*kinds.split(), "names"]))
        if not rows or min(map(len, [header, *rows])) < 4:
            break
        if kind == "cell":
            rows[i][j] = draw(st.sampled_from(CELLS) | st.text(max_size=5))
        elif kind == "column":
            cell = draw(st.sampled_from(CELLS))
            rows = [[*row[:j], cell, *row[j + 1 :]] for row in rows]
        elif kind == "twice":
            rows.insert(draw(st.integers(0, len(rows))), [*rows[i]])
        elif kind == "gone":
            del rows[i : i + draw(st.integers(1, 12))]
        elif kind == "move":
            rows.insert(draw(st.integers(0, len(rows))), rows.pop(i))
        elif kind == "short":
            rows[i] = rows[i][: draw(st.integers(0, 3))]
        elif kind == "long":
            rows[i] = [*rows[i], "more"]
        elif kind == "header":
            header[j] = draw(st.sampled_from([*CELLS, *NAMES, "Seed", "step", "return", "env"]))
        elif kind == "format":
            formats = [*((d, "\n") for d in ";\t |"), *((",", t) for t in ("\n\n", "\r\r\n", "\r"))]
            options = dict(zip(options, draw(st.sampled_from(formats)), strict=True))
        elif kind == "encoding":
            encodings = ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp037"]
            encoding = draw(st.sampled_from(encodings))
        elif kind == "cut":
            rows = rows[:i]
        elif kind == "none":
            header = []
        else:
            rows[i : i + 9] = [[f"{ENV}__new__3__1", "3", *row[2:]] for row in rows[i : i + 9]]
    stream = io.StringIO()
    writer = csv.writer(stream, **options)
    writer.writerows([header, *rows] if header else rows)
    text = stream.getvalue()
    end = draw(st.integers(0, len(text))) if draw(st.integers(0, 5)) == 0 else len(text)
    return text[:end].encode(encoding, errors="replace")


def said(path: Path) -> set[tuple]:
    """What a file says, read without pandas: run, return and step of every row."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = [row for row in csv.reader(file) if row]
    names = [name.strip() for name in header]
    at = [names.index(name) for name in ("exp_name", METRIC, "global_step")]
    return {
        (name.rsplit("__", 2)[0], int(name.rsplit("__", 2)[1]), float(step), float(value))
        for name, value, step in ([row[i] for i in at] for row in rows)
        if name.startswith(f"{ENV}__")  # a file may hold several environments
    }


def read_or_refused(path: Path) -> bool:
    """Whether the export was accepted; if so it must hold comparable runs, as the file says."""
    try:
        runs = read_runs({ENV: path})
    except ExportError as error:
        message = str(error)
        assert message.startswith(f"{path}: ") and len(message.splitlines()) == 1
        assert len(message) < 2000
        return False
    assert np.isfinite(runs["return"]).all()
    assert (runs.groupby(["method", "seed"], observed=True)["step"].diff().dropna() >= 0).all()
    seeds = runs.groupby("method", observed=True)["seed"].unique()
    assert len({tuple(sorted(x)) for x in seeds}) == 1
    found = {(f"{r.env}__{r.method}", r.seed, float(r.step), r[5]) for r in runs.itertuples()}
    assert found == said(path) and len(found) == len(runs)
    return True


def test_damaged_exports(tmp_path):
    path = tmp_path / "exports of ü 研究.csv"

    def check(content: bytes) -> bool:
        path.write_bytes(content)
        return read_or_refused(path)

    text = pd.DataFrame(ROWS, columns=NAMES).to_csv(index=False).encode()
    assert check(text)

    scribbled = cuts().map(lambda damage: damaged(text, damage))
    cases = damaged_tables() | scribbled | st.binary(max_size=60)
    assert 0.005 < accepted(check, 100, cases) < 0.9


def test_damaged_evaluations(tmp_path):
    """The endpoint is a number that the run's rows in the file say, or the file is refused."""
    episodes, path = tmp_path / "runs.csv", tmp_path / "evaluations of ü 研究.csv"
    pd.DataFrame(ROWS, columns=NAMES).to_csv(episodes, index=False)
    runs = read_runs({ENV: episodes})
    columns = ["exp_name", "seed", "step", "return_mean", "episodes"]
    rows = [(*run, s, v, 10) for *run, v, _ in ROWS[::9] for s, v in ((500, "0.25"), (900, v))]
    text = pd.DataFrame(rows, columns=columns).to_csv(index=False).encode()

    def check(damage: Cuts) -> bool:
        path.write_bytes(damaged(text, damage))
        try:
            found = read_records({ENV: path}, numbers=columns[2:])
            judged = last_evaluations(runs, found)
        except InputError as error:
            assert len(str(error).splitlines()) == 1
            return False
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *said = [row for row in csv.reader(file) if row]
        at = [[name.strip() for name in header].index(name) for name in columns]
        values = {(row[at[0]].rsplit("__", 1)[0], float(row[at[3]])) for row in said}
        assert {(f"{env}__{m}__{s}", v) for (env, m, s), v in judged.items()} <= values
        return True

    assert check([])
    assert 0.005 < accepted(check, 60, cuts()) < 0.9


# --- run directories -----------------------------------------------------------------------------


def test_damaged_runs(tmp_path):
    """A run's files go into the exports as they were written, or nothing is exported."""
    study = load_study("tiny.yaml", data=STUDY)
    runs = tmp_path / "runs of ü 研究"
    for selector in ("random", "true_reward"):
        for seed in (3, 11):
            spec = resolve_run(study, ENV, selector, seed)
            write_run(runs / ENV / selector / str(seed), spec)
    victim = runs / ENV / "random" / "11"
    kept = tmp_path / "kept"
    shutil.copytree(victim, kept)
    exports = tmp_path / "exports"

    def check(faults: dict[str, Cuts]) -> bool:
        shutil.rmtree(exports, ignore_errors=True)
        shutil.copytree(kept, victim, dirs_exist_ok=True)
        for name, damage in faults.items():
            (victim / name).write_bytes(damaged((victim / name).read_bytes(), damage))
        try:
            export_runs(study, ENV, runs, exports)
        except ExportError as error:
            assert str(victim) in str(error) and len(str(error).splitlines()) == 1
            assert not list(exports.iterdir())
            return False
        for name in ("", ".evaluations", ".sessions"):
            name = f"{ENV}{name}.csv"
            assert (exports / name).read_bytes() == (clean / name).read_bytes()
        return True

    clean = tmp_path / "clean"
    export_runs(study, ENV, runs, clean)
    assert check({})
    names = st.sampled_from(["run.json", "episodes.csv", "evaluations.csv", "sessions.csv"])
    texts = cuts(b"{", b"}", b"NaN", b"Infinity", b"null", b"1e999", b"[" * 5000)
    assert accepted(check, 60, st.dictionaries(names, texts, min_size=1, max_size=2)) < 0.9


# --- unusual but valid results -------------------------------------------------------------------

PARTS = ["duo", "ü 研究", "a__b", r"50%_a & b#1 $x$ ~^\{}", "x" * 80, "endpoint", "1", "nan", "<b>"]


class Files(dict):
    """What a script finds as `snakemake.input` or `.output`: by name, by place or as a whole."""

    def __getitem__(self, key: Any) -> Any:
        whole = isinstance(key, int | slice)
        return list(self.values())[key] if whole else super().__getitem__(key)

    def __iter__(self) -> Any:
        return iter(self.values())

    __getattr__ = dict.__getitem__


def script(name: str, study: dict[str, Any], inputs: Files, outputs: Files, log: Path) -> bool:
    """Run a script of the workflow; returns whether it succeeded. If not, its log is one line."""
    stage = SimpleNamespace(
        input=inputs,
        output=outputs,
        config=study,
        log=[str(log)],
        params=SimpleNamespace(study=json.dumps(study), code="of a test"),
    )
    path = WORKFLOW / "scripts" / f"{name}.py"
    try:
        runpy.run_path(str(path), init_globals={"snakemake": stage})
    except SystemExit:
        said = log.read_text().splitlines()
        assert len(said) == 1 and said[0].startswith("error: "), log.read_text()
        return False
    return True


@st.composite
def odd_studies(draw: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """Exports (environment to CSV) of few or many runs with extreme numbers, and their study."""
    parts = draw(st.lists(st.sampled_from(PARTS), min_size=1, max_size=4, unique=True))
    seeds = draw(st.lists(st.integers(0, 10**17), min_size=1, max_size=6, unique=True))
    environments = st.sampled_from(["Ant-v5", "nan", "1"])
    envs = draw(st.lists(environments, min_size=1, max_size=2, unique=True))
    episodes, length = draw(st.integers(1, 15)), draw(st.sampled_from([1, 1000, 10**14]))
    kinds = [st.floats(-1e50, 1e50), st.floats(-100, 100), st.just(7.0), st.just(-0.0)]
    kinds += [st.sampled_from([1.0, 2.0]), st.sampled_from([0.0, 1e-320, 1e50, -1e50])]
    labels = draw(st.sampled_from([None, lambda k: k, lambda k: 3, lambda k: -k % 16]))
    judged = draw(st.booleans())
    files, judged_files = {}, {}
    for env in envs:
        values = draw(st.sampled_from(kinds))
        rows = [
            (f"{env}__{part}__{seed}__1", seed, draw(values), length * (k + 1), k)
            for part in parts
            for seed in seeds
            for k in range(episodes)
        ]
        frame = pd.DataFrame(rows, columns=[*NAMES, "labels"])
        frame["labels"] = frame["labels"].map(labels or float)
        files[env] = frame.to_csv(index=False, columns=[*NAMES, *(["labels"] if labels else [])])
        if judged:
            last = frame.groupby("exp_name", sort=False).last().reset_index()
            last = last.rename(columns={METRIC: "return_mean", "global_step": "step"})
            judged_files[env] = last.assign(episodes=10).to_csv(index=False)
    out = {"env": envs[0], "method": parts[0], "seed": seeds[0], "reason": "ü | y"}
    endpoints = ["final", "last", "ema", "best", "last_steps", *(["evaluation"] * judged)]
    known = {envs[0]: {parts[0]: {"mean": 1e300, "sd": 0.0, "n": 1}}}
    study = {
        "study": "odd",
        "methods": draw(st.sampled_from([None, {part: f"{part} |" for part in parts}])),
        "exclude": draw(st.sampled_from([[], [], [out]])),
        "statistics": {
            "endpoint": draw(st.sampled_from(endpoints)),
            "further": draw(st.sampled_from([[], ["best", "last_steps"]])),
            "family": draw(st.sampled_from(["environment", "study"])),
            "alpha": draw(st.sampled_from([0.05, 1e-9, 0.999])),
            **{"bootstrap": 100, "rope": 0.05},
        },
        "figures": Figures().as_dict() | {"formats": []},  # pictures alone
        "total_steps": None,
        "evaluations": judged_files,
        **{"baselines": {}, "references": [], "asking": {}, "environments": []},
        "published": draw(st.sampled_from([None, known])),
    }
    return files, study


def analysed(folder: Path, files: dict[str, str], study: dict[str, Any], figures: bool) -> bool:
    """Whether the workflow's scripts made statistics, tables, findings (and figures) of a study."""
    exports = {env: folder / f"{i}.csv" for i, env in enumerate(files)}
    for env, path in exports.items():
        path.write_text(files[env])
    judged = study["evaluations"]
    for env, text in judged.items():
        path = exports[env].with_suffix(".evaluations.csv")
        path.write_text(text)
        judged[env] = str(path)
    beside_it = beside(study["statistics"]["endpoint"], bool(judged))
    study["measures"] = ["endpoint", "auc", *beside_it]
    scopes = ["", *files]
    study |= {"exports": {env: str(path) for env, path in exports.items()}, "scopes": scopes}
    names = ["summary", "comparisons", "aggregates", "curves", "endpoints", "improvement"]
    names += ["ranks", "profiles", "efficiency", "power", "bayes", "quality", "limits"]
    made = Files({name: str(folder / "statistics" / f"{name}.parquet") for name in names})
    log = folder / "log"

    def of(*inputs: str) -> Files:
        return Files({name: made[name] for name in inputs})

    def each(*names: str, kinds: tuple[str, str]) -> Files:
        return Files(
            {
                kind: [str(folder / scope / f"{name}.{kind}") for scope in scopes for name in names]
                for kind in kinds
            }
        )

    def picture(name: str) -> str:
        return str(folder / f"{name}.png")

    if not script("statistics", study, Files(), made, log):
        return False
    text = ("tex", "md")
    assert script("tables/summary", study, of("summary"), each("summary", kinds=text), log)
    tests = each(*(f"significance_{name}" for name in study["measures"]), kinds=text)
    assert script("tables/significance", study, of("comparisons"), tests, log)
    page = Files(findings=str(folder / "findings.md"))
    assert script("findings", study, of("comparisons", "summary", "limits"), page, log)
    if figures:
        for name, frame in (("learning_curves", "curves"), ("effects", "comparisons")):
            drawn = Files(enumerate(picture(f"{scope}/{name}") for scope in scopes))
            assert script(f"figures/{name}", study, of(frame), drawn, log)
        whole = study | {"scopes": [""], "measures": ["endpoint"]}
        points = Files({0: picture("endpoints")})
        assert script("figures/endpoints", whole, of("endpoints", "summary"), points, log)
        ranked = ("improvement", "critical_difference")
        ranking = Files({name: [picture(name)] for name in ranked})
        inputs = of("improvement", "summary", "ranks")
        assert script("figures/rankings", whole, inputs, ranking, log)
    return True


def test_odd_results_are_analysed_or_refused(tmp_path):
    assert accepted(lambda case: analysed(tmp_path, *case, figures=False), 6, odd_studies()) > 0.5


@pytest.mark.slow
def test_odd_results_are_drawn(tmp_path):
    assert accepted(lambda case: analysed(tmp_path, *case, figures=True), 4, odd_studies()) > 0.5
