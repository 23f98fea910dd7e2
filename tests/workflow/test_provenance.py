"""The recorded origins of a finished study's files, checked against the files themselves."""

import hashlib
import json
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from studies import REPOSITORY

from active_rlhf.cli import main
from active_rlhf.results.marks import mark
from active_rlhf.results.provenance import trace
from active_rlhf.run.identity import code_fingerprint
from active_rlhf.study.loading import load_study, resolve_run

RUN = "runs/Hopper-v5/hybrid/1"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def results(request, trained) -> Path:
    """Those of the test's own study, if it has one."""
    own = "study" in request.fixturenames
    return (request.getfixturevalue("study") if own else trained).folder / "results/tiny"


@pytest.fixture
def record(results):
    return json.loads((results / "provenance.json").read_text())


def test_every_file_of_the_study_is_recorded_with_its_hash(results, record):
    made = [path for path in results.rglob("*") if path.is_file()]
    names = {path.relative_to(results).as_posix() for path in made} - {"provenance.json"}
    of_runs = ("runs/", "logs/", "site/runs", "site/behaviour", "site/provenance")
    names = {name for name in names if not name.startswith(of_runs)}
    assert record["artefacts"].keys() == names
    for name, entry in record["artefacts"].items():
        assert entry["sha256"] == digest(results / name)


def test_every_run_is_recorded_with_code_commit_versions_and_its_files(trained, results, record):
    config = load_study(trained.folder / "study.yaml")
    git = ["git", "-C", str(REPOSITORY), "rev-parse", "HEAD"]
    head = subprocess.run(git, capture_output=True, text=True)
    assert record["package"].get("commit", "") == head.stdout.strip()  # none outside of git
    assert len(record["runs"]) == 4
    for name, entry in record["runs"].items():
        directory = results / "runs" / name
        environment, selector, seed = name.split("/")
        assert entry["sha256"] == digest(directory / "run.json")
        result = json.loads((directory / "run.json").read_text())
        spec = resolve_run(config, environment, selector, int(seed))
        assert entry["code"] == result["code"] == code_fingerprint(spec)
        assert record["versions_of_runs"][entry["versions"]] == result["versions"]
        tables = {path.name for path in directory.iterdir()}
        tables -= {"run.json", "finished.json", "progress.json"}
        assert result["files"] == {file: digest(directory / file) for file in tables}


def test_inputs_are_those_that_snakemake_itself_names(study, record):
    plan = study.snakemake("--forceall", "--dry-run", "--verbose").stdout
    jobs = re.findall(r"input: (.+)\n +output: (.+)\n", plan)
    prefix = "results/tiny/"
    of_rules = {
        output.removeprefix(prefix): {item.removeprefix(prefix) for item in inputs.split(", ")}
        for inputs, outputs in jobs
        for output in outputs.split(", ")
    }
    checked = 0
    for name, entry in record["artefacts"].items():
        inputs = {re.sub(r"^(runs/[^/]+)/.*", r"\1", item) for item in of_rules.get(name, ())}
        assert set(entry["inputs"]) == inputs, name
        checked += bool(inputs)
    assert checked > 50


def test_a_figures_and_a_tables_mark_is_the_hash_of_their_inputs(results, record):
    for name in ("figures/effects.png", "figures/improvement.pdf", "tables/summary.tex"):
        inputs = sorted(digest(results / item) for item in record["artefacts"][name]["inputs"])
        expected = hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:16]
        line = f"active-rlhf study=tiny inputs={expected} "
        assert line.encode() in (results / name).read_bytes()
    source = Image.open(results / "figures/effects.png").info["Source"]
    assert re.fullmatch(r"active-rlhf study=tiny( (inputs|settings|code)=[0-9a-f]{16}){3}", source)
    assert (results / "tables/summary.tex").read_text().startswith("% active-rlhf study=tiny ")


def test_a_mark_depends_on_content_alone(tmp_path):
    for folder, names in (("a", "xy"), ("b", "yx")):
        (tmp_path / folder).mkdir()
        for name, text in zip(names, ("1", "2"), strict=True):
            (tmp_path / folder / name).write_text(text)
    one, other = (sorted((tmp_path / folder).iterdir()) for folder in "ab")
    assert mark("s", one, "t", "c" * 64) == mark("s", other, "t", "c" * 64)
    others = mark("s", one[:1], "t"), mark("s", one, "u"), mark("s", one, "t", "d"), mark("z", one)
    assert len({mark("s", one, "t"), *others}) == 5


def test_made_again_figures_tables_pages_and_record_have_the_same_bytes(study, results, record):
    before = (results / "provenance.json").read_bytes()
    (results / "provenance.json").unlink()
    assert study.plan() == {"provenance": 1, "provenance_page": 1}
    forced = ("effects", "summary", "costs", "config_page")
    times = {name: (results / name).stat().st_mtime_ns for name in record["artefacts"]}
    assert study.snakemake("--forcerun", *forced).returncode == 0
    made = [name for name, time in times.items() if (results / name).stat().st_mtime_ns != time]
    assert len([name for name in made if name.startswith(("figures", "tables", "rep"))]) > 8
    for name in made:
        assert digest(results / name) == record["artefacts"][name]["sha256"]
    assert (results / "provenance.json").read_bytes() == before


def test_a_file_is_traced_to_its_runs_and_config(study, results, capsys):
    assert main(["provenance", str(results / "figures/Hopper-v5/effects.pdf")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["made from"]) == [
        *("statistics/comparisons.parquet", "exports/Hopper-v5.csv"),
        "exports/Hopper-v5.sessions.csv",
        "probes/Hopper-v5.npz",
    ]
    for name, expected in found["made from"].items():
        assert digest(results / name) == expected
    assert found["runs"].keys() == {
        f"Hopper-v5/{selector}/{seed}" for selector in ("random", "hybrid") for seed in (1, 2)
    }
    assert found["config"] == digest(results / "config.yaml")
    assert found["runs"]["Hopper-v5/random/1"]["versions"]["numpy"] == found["versions"]["numpy"]
    assert found["versions"]["pandas"] == pd.__version__
    assert found["unchanged"] is True
    with (results / "figures/Hopper-v5/effects.pdf").open("ab") as file:
        file.write(b"\n")
    assert trace(results / "figures/Hopper-v5/effects.pdf")["unchanged"] is False


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("results/tiny/figures/none.png", "is not listed in"),
        ("results/tiny/runs/Hopper-v5/random/1/run.json", "is not listed in"),
        ("study.yaml", "is in no results folder that has a provenance.json"),
    ],
)
def test_a_file_that_is_not_recorded(trained, file, message, capsys):
    assert main(["provenance", str(trained.folder / file)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_damaged_record_is_named(study, results, capsys):
    for damage in ("{", "[]", "{}", '{"sha256": 1}', "[" * 100_000):
        (results / "provenance.json").write_text(damage)
        assert main(["provenance", str(results / "config.yaml")]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "Traceback" not in error


def test_a_run_of_an_edited_package_is_recorded_as_such(editable):
    """The record tells code from code even where the version is the same."""
    path = editable.repository / "src/active_rlhf/results/provenance.py"
    before = json.loads((editable.folder / "results/tiny/provenance.json").read_text())
    path.write_text(path.read_text() + "\nEDITED = True\n")
    assert editable.snakemake().returncode == 0
    after = json.loads((editable.folder / "results/tiny/provenance.json").read_text())
    assert after["package"]["sha256"] != before["package"]["sha256"]
    assert "commit" not in after["package"]  # it is outside of git
    assert after["artefacts"] == before["artefacts"] and after["runs"] == before["runs"]
