"""Runs of others: every kind is recognised and read whole, and what cannot be used is refused."""

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from results.kinds import KINDS, NUMBERED, made

from active_rlhf.analysis.rows import spread, warnings
from active_rlhf.analysis.study import statistics, statistics_of_exports
from active_rlhf.analysis.wording import Terms
from active_rlhf.cli import main
from active_rlhf.errors import InputError
from active_rlhf.results.export import ExportError, read_runs
from active_rlhf.results.imports import convert_of_study, gather, matching
from active_rlhf.results.readers import READERS
from active_rlhf.study.loading import load_study
from active_rlhf.tables.significance import significance

ENV = "Hopper-v5"


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """(entry of a study, expected rows, folder) of a kind, made once."""
    root, known = tmp_path_factory.mktemp("kinds"), {}

    def of(kind: str):
        if kind not in known:
            folder = root / kind.replace(" ", "_")
            known[kind] = (*made(kind, folder), folder)
        return known[kind]

    return of


def loaded(entry, folder: Path, **more):
    study = {"study": "s", "imported": {ENV: entry}, **more}
    return load_study(folder / "study.yaml", data=study).as_dict()


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_recognised_and_read_whole(kind, kinds, tmp_path):
    entry, expected, folder = kinds(kind)
    study = loaded(entry, folder, statistics={"design": "unpaired"})
    source = study["imported"][ENV]
    assert (source["format"], source["rows"]) == KINDS[kind][1:]
    assert load_study(folder / "study.yaml", data=study).as_dict() == study  # all is filled in
    convert_of_study(ENV, study, tmp_path)
    runs = read_runs({ENV: tmp_path / f"{ENV}.csv"}, design="unpaired")
    found = [(m, s, t, r) for _, m, s, t, r, *_ in runs.itertuples(index=False)]
    wanted = sorted(expected, key=lambda row: (row[0], row[1]))
    assert [row[:3] for row in found] == [row[:3] for row in wanted]
    assert np.array_equal([r for *_, r in found], [r for *_, r in wanted])
    if kind == "bpref train":
        assert runs["labels"].max() == 250
    again = gather(ENV, source).runs["numbered"]
    assert again.all() if kind in NUMBERED else not again.any()


# --- what is refused, and what is not -----------------------------------------------------------

HEAD = "algo,seed,steps,score\n"


def table(*runs: tuple[str, int, list[tuple[int, float]]]) -> str:
    return HEAD + "".join(f"{m},{s},{t},{r}\n" for m, s, own in runs for t, r in own)


def converted(tmp_path: Path, text: str, entry=None, **study) -> pd.DataFrame:
    """The runs of a study of one file, as everything after the conversion reads them."""
    (tmp_path / "r.csv").write_text(text)
    stored = loaded({"files": "r.csv"} | (entry or {}), tmp_path, **study)
    convert_of_study(ENV, stored, tmp_path / "out")
    design = stored["statistics"].get("design")
    keep = [ENV] if stored["imported"][ENV]["equal_rows"] == "keep" else []
    path = tmp_path / f"out/{ENV}.csv"
    return read_runs({ENV: path}, untrained=True, design=design, repeated=keep)


WHOLE = [(step, step / 3) for step in range(100, 1001, 100)]
UNEQUAL = [("a", s, WHOLE) for s in range(20)] + [("b", s, WHOLE) for s in range(5)]
RUN_A = ("a", 1, WHOLE)
HOLED = ("a", 2, [WHOLE[0], WHOLE[3], (450, 1.0)])
NAMED = "exp_name,seed,charts/episodic_return,global_step\n"
# What is said of a table, or of one with an entry of its own.
REFUSED = {
    "line 12 repeats the step": table(("a", 1, [*WHOLE, WHOLE[-1]])),
    "a seed 1: steps go backwards at line 3": table(("a", 1, WHOLE[::-1])),
    "a seed 2: unfinished: ends at step 450 of 1000, and has holes": table(RUN_A, HOLED),
    "b lacks 15 of 20 seeds (5, 6, 7 and 12 more); ": table(*UNEQUAL),
    "a and b have no seed in": table(RUN_A, ("b", 2, WHOLE)),
    "duplicate run: a seed 1 is also Hopper-v5__a__1__2": (
        f"{NAMED}Hopper-v5__a__1__1,1,0,9\nHopper-v5__a__1__2,1,0,9\n"
    ),
    "not a number in line 3": HEAD + "a,1,100,1\na,1,200,x\n",
    "r.csv: line 3 has no algo": HEAD + "a,1,100,1\n,1,200,2\n",
    "seed 'one' is not a whole number": HEAD + "a,one,100,1\n",
    "of which method is this run?": "seed,step,return\n1,2,3\n",
    "no runs of Hopper-v5 (it holds Ant; `task:` says its name)": (
        "env,method,seed,step,return\nAnt,a,1,2,3\n"
    ),
    "return and reward may": "method,seed,step,return,reward\na,1,2,3,4\n",
    "of no known kind": "method,seed,step,loss\na,1,2,3\n",
    "column r is missing": (HEAD, {"columns": {"return": "r"}}),
    "no rows": HEAD,
    "a seed 1 has several rows, but no step": "algo,seed,score\na,1,2\na,1,3\n",
    "unknown wildcard {algo}": (HEAD, {"files": "{algo}.csv"}),
    "there is no file none/{seed}.csv": (HEAD, {"files": "none/{seed}.csv"}),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_is_refused_is_named_with_file_line_and_remedy(said, tmp_path):
    given = REFUSED[said]
    with pytest.raises(InputError) as caught:
        converted(tmp_path, *([given] if isinstance(given, str) else given))
    message = str(caught.value)
    assert said in message and len(message.splitlines()) == 1
    assert "r.csv" in message or "study.yaml" in message


def test_what_parallel_environments_write_is_read(tmp_path):
    """Several rows at a step, whose lengths do not add up to it; alike only where asked for."""
    rows = [(step, value) for step in range(2000, 20001, 2000) for value in (-340.6, -452.0)]
    runs = converted(tmp_path, table(("a", 1, rows), ("b", 1, rows)))
    assert list(runs["step"][:2]) == [2000, 2000] and len(runs) == 40
    text = "method,seed,step,length,return\n" + "".join(f"a,1,{t},1000,{r}\n" for t, r in rows)
    assert len(converted(tmp_path, text)) == 20
    alike = table(("a", 1, [(step, 1.0) for step, _ in rows]))
    with pytest.raises(ExportError, match="repeats"):
        converted(tmp_path, alike)
    assert len(converted(tmp_path, alike, {"equal_rows": "keep"})) == 20


def test_seeds_that_differ_are_compared_by_choice(tmp_path):
    paired = converted(tmp_path, table(*UNEQUAL), statistics={"design": "paired"})
    unpaired = converted(tmp_path, table(*UNEQUAL), statistics={"design": "unpaired"})
    assert len(paired) == len(unpaired) == 250
    tables = statistics(paired, resamples=20)["comparisons"]
    assert set(tables["n"]) == {5} and set(tables["n_a"]) == {20}
    terms = Terms.of({"statistics": {"design": "paired"}, "imported": {ENV: {"rows": "means"}}})
    caption = significance(tables, terms, ENV).caption
    assert "Only seeds that both methods have" in caption and "logged means" in caption
    assert significance(tables, terms, ENV).rows[0][1].text == "5 of 20, 5"


def test_methods_exclusions_and_length_are_the_studys(tmp_path):
    text = table(("a", 1, WHOLE), ("a", 2, WHOLE[:2]), ("b", 1, WHOLE), ("c", 9, WHOLE))
    entry = {"env": ENV, "method": "A", "seed": 2, "reason": "killed"}
    runs = converted(tmp_path, text, {"until": 700}, methods={"b": "B", "a": "A"}, exclude=[entry])
    assert set(runs["method"]) == {"a", "b"} and set(runs["seed"]) == {1}
    assert runs["step"].max() == 700
    with pytest.raises(ExportError, match=r"exclude: .* no such run"):
        converted(tmp_path, text, exclude=[entry | {"method": "z"}])


def test_what_rows_cover_is_counted_and_said():
    """Recomputed with plain pandas; `final` of rows at different rates is warned of."""
    rows = [("E", "often", s, t, 1.0) for s in (1, 2) for t in range(10, 2001, 10)]
    rows += [("E", "seldom", s, t, 1.0) for s in (1, 2) for t in range(100, 1501, 100)]
    runs = pd.DataFrame(rows, columns=["env", "method", "seed", "step", "return"])
    holed = (runs["seed"] == 2) & (runs["method"] == "often")
    runs = runs[~(holed & runs["step"].between(300, 900))]
    found = spread(runs).set_index("method")
    grouped = runs.groupby("method")
    assert found["rows"].to_dict() == grouped.size().to_dict()
    last = runs.groupby(["method", "seed"])["step"].last().groupby("method")
    assert found["shortest"].to_dict() == last.min().to_dict()
    assert found.loc["often", ["span", "holes", "where"]].tolist() == [100, 1, "seed 2: 290 to 910"]
    said = " ".join(warnings(spread(runs), Terms(rows="episodes")))
    assert "span 100 steps in often and 1,000 in seldom" in said and "seed 2: 290 to 910" in said
    assert "over the steps that all runs have, 100 to 1,500; the longest run has 2,000" in said
    assert "span" not in " ".join(warnings(spread(runs), Terms(endpoint="last_steps")))


def test_paths_say_method_and_seed(tmp_path):
    for name in ("a/s_1/x.csv", "a/s_22/x.csv", "b/c/s_3/x.csv", "b/s_4/y[1].csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list(matching(f"{tmp_path}/{{method}}/s_{{seed}}/x.csv", ENV).values()) == [
        {"method": "a", "seed": "1"},
        {"method": "a", "seed": "22"},
    ]
    deep = matching(f"{tmp_path}/{{method,.+}}/s_{{seed,[0-9]}}/x.csv", ENV)
    assert [known["method"] for known in deep.values()] == ["a", "b/c"]
    assert list(matching(f"{tmp_path}/b/s_4/y[1].csv", ENV)) == [f"{tmp_path}/b/s_4/y[1].csv"]
    assert matching(f"{tmp_path}/*/s_4/y[1].csv", ENV) and not matching(f"{tmp_path}/{{env}}", ENV)


def test_the_command_says_what_it_understood_and_writes_a_study_that_loads(
    kinds, monkeypatch, capsys
):
    monkeypatch.chdir(kinds("monitor")[-1])
    (command,) = re.findall(r"```sh\nactive-rlhf (import .*)\n```", PAGE)
    assert main(shlex.split(command)) == 0
    said = capsys.readouterr().out
    assert "Hopper-v5: 4 files of kind monitor; a row is a training episode" in said
    assert re.search(r"sac +2 +1, 7 +28 +100 +1,400 +1,400 +0", said)
    study = load_study("study.yaml")
    assert study.methods == {"ppo": "ppo", "sac": "sac"}
    assert main(shlex.split(command)) == 2  # it is there
    monkeypatch.chdir(kinds("rliable npz")[-1])
    numbered = ["import", "scores.npz", "--env", ENV, "--task", "0", "--out", "s.yaml"]
    assert main(numbered) == 0 and "are numbered" in capsys.readouterr().out
    assert load_study("s.yaml").statistics.design == "unpaired"
    assert main([*numbered[:2], "--out", "t.yaml"]) == 2
    assert not Path("t.yaml").exists()


# --- the recipes of the documentation -----------------------------------------------------------

PAGE = (Path(__file__).parents[2] / "docs/imports.md").read_text()
RECIPES = {
    kind: text
    for kinds, text in re.findall(r"```yaml\n# ([\w, ]+)\n(.*?)```", PAGE, re.DOTALL)
    for kind in kinds.split(", ")
}


def test_every_kind_has_a_recipe_and_a_row():
    assert RECIPES.keys() - {"numbers", "methods"} == KINDS.keys()
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == READERS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_a_recipe_reads_all_rows_of_its_kind(kind, kinds, tmp_path):
    _, expected, folder = kinds(kind)
    study = {"study": "s", **yaml.safe_load(RECIPES[kind])}
    stored = load_study(folder / "study.yaml", data=study).as_dict()
    assert len(gather(ENV, stored["imported"][ENV]).rows) == len(expected)
    convert_of_study(ENV, stored, tmp_path)
    assert sum(1 for _ in (tmp_path / f"{ENV}.csv").open()) == len(expected) + 1


@pytest.mark.parametrize("ends", ["numbers", "methods"])
def test_returns_are_normalised_between_numbers_or_methods(ends, tmp_path):
    rng = np.random.default_rng(0)
    runs = [
        (m, s, [(100 * k, mean + rng.normal()) for k in range(1, 13)])
        for m, mean in (("random", 20), ("sac", 3000), ("mine", 1500), ("other", 700))
        for s in range(4)
    ]
    (tmp_path / "r.csv").write_text(table(*runs))
    stored = loaded("r.csv", tmp_path, **yaml.safe_load(RECIPES[ends]))
    convert_of_study(ENV, stored, tmp_path / "out")
    named = [stored["references"][end] for end in ("low", "high")] if ends == "methods" else []
    files = {"exports": "", "baselines": ".baselines"} if named else {"exports": ""}
    given = {key: {ENV: tmp_path / f"out/{ENV}{kind}.csv"} for key, kind in files.items()}
    nothing = {"methods": None, "exclude": [], "total_steps": {}, "baselines": {}}
    nothing |= {"evaluations": {}, "sessions": {}, "references": named}
    tables = statistics_of_exports(stored | nothing | given)
    final = pd.DataFrame([(m, np.mean([r for _, r in own[-10:]])) for m, _, own in runs])
    means = final.groupby(0)[1].mean()
    low, high = (means["random"], means["sac"]) if named else (20, 3000)
    found = tables["aggregates"].query("statistic == 'mean' and metric_type == 'endpoint'")
    wanted = {m: (means[m] - low) / (high - low) for m in found["method"]}
    assert found.set_index("method")["value"].to_dict() == pytest.approx(wanted)
    assert set(found["method"]) == ({"mine", "other"} if named else set(means.index))
    said = Terms.of(stored).ends
    assert "0 is random, 1 is sac" in said if named else "two numbers" in said
