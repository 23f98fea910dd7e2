"""The documentation: its links lead somewhere, and its Python code runs as it stands."""

import contextlib
import io
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from people import person, spec
from PIL import Image
from tiny_study import TINY

from active_rlhf.analysis.files import write_table
from active_rlhf.analysis.study import statistics
from active_rlhf.cli import main
from active_rlhf.labelling.data import ROW
from active_rlhf.labelling.quality import read_rows
from active_rlhf.results.collect import collect
from active_rlhf.results.export import read_runs
from active_rlhf.run.training import train
from active_rlhf.study.loading import load_study, resolve_run

REPOSITORY = Path(__file__).parents[1]
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")
LISTED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
    cwd=REPOSITORY,
    capture_output=True,
    text=True,
    check=True,
).stdout.split()


def anchors(page: Path) -> set[str]:
    """What links to headings of a page are called: lower case, dashes, no punctuation."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", LISTED)
def test_links_lead_to_files_and_headings_that_exist(name):
    page = REPOSITORY / name
    for target, anchor in LINK.findall(page.read_text()):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{name} links to {target}#{anchor}"


ENVIRONMENT, SEEDS, STEPS = "Hopper-v5", [1, 2, 3], 6144
SELECTORS = {"random": "Random", "duo": "DUO"}


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A folder with a small study's runs, exports and statistics, and with `my_runs.csv`."""
    folder = tmp_path_factory.mktemp("library")
    demo = folder / "results/demo"
    changes = {"study": "demo", "seeds": SEEDS, "selectors": [*SELECTORS], "total_steps": STEPS}
    study = load_study("demo.yaml", data=TINY | changes)
    specs = {name: resolve_run(study, ENVIRONMENT, name, SEEDS[0]).as_dict() for name in SELECTORS}
    for name in SELECTORS:
        for seed in SEEDS:
            train(
                resolve_run(study, ENVIRONMENT, name, seed),
                demo / "runs" / ENVIRONMENT / name / str(seed),
            )
    collect(demo / "runs", demo / "exports", ENVIRONMENT, specs, {}, SEEDS)
    runs = read_runs({ENVIRONMENT: demo / f"exports/{ENVIRONMENT}.csv"}, SELECTORS)
    for name, table in statistics(runs, resamples=100).items():
        write_table(table, demo / f"statistics/{name}.parquet")
    other = {"method": "algorithm", "step": "timesteps", "return": "reward"}
    columns = ["env", "method", "seed", "step", "return"]
    runs[columns].rename(columns=other).to_csv(folder / "my_runs.csv", index=False)
    return folder


def blocks(page: Path, language: str = "bash") -> str:
    """All of a page's code in a language."""
    pattern = rf"^```{language}\n(.*?)^```"
    return "".join(re.findall(pattern, page.read_text(), re.DOTALL | re.MULTILINE))


@pytest.mark.slow
def test_the_commands_of_the_label_page_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = Path("results/people/runs/Reacher-v5/random/1")
    with person(run, "Ada"), person(run, "Bo"):
        train(spec(overlap={"people": 2, "share": 0.3}), run)
    page = (REPOSITORY / "docs/label_data.md").read_text()
    for line in blocks(REPOSITORY / "docs/label_data.md").splitlines():
        assert main(shlex.split(line)[1:]) == 0, capsys.readouterr().err
    assert Path("labels.npz").read_bytes() == (run / "labels.npz").read_bytes()
    assert Path("results/people/labels/quality.csv").exists() and Path("fits.csv").exists()
    assert all(f"`{key}`" in page for key in ROW if key != "people")
    measured = read_rows("results/people/labels/quality.csv")["measure"]
    assert all(f"`{name}`" in page for name in set(measured) - {"people", "queries"})


def run_page(page: Path, names: dict[str, Any]) -> None:
    """Run a page's Python blocks in order; a block of text after one is what it must print."""
    assert blocks(page, "python")
    printed = ""
    for language, text in re.findall(r"(?ms)^```(\w+)\n(.*?)^```", page.read_text()):
        if language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(compile(text, f"{page.name}:\n{text}", "exec"), names)
            printed = output.getvalue()
        elif language == "text":
            assert printed == text


@pytest.mark.slow
def test_the_code_of_the_library_page_runs(results, monkeypatch):
    monkeypatch.chdir(results)
    names: dict[str, Any] = {}
    run_page(REPOSITORY / "docs/library.md", names)
    assert names["tables"]["comparisons"]["n"].tolist() == [3, 3]
    assert set(names["comparisons"]["method_b"]) == {"DUO"}
    assert Path("curves.svg").read_text().startswith("<?xml")
    size = Image.open("slides/curves.png").size
    assert size == (2000, 1200)  # 5 x 3 inches at 400 dots per inch
    assert names["learned"].shape == (200,) and len(names["agrees"]) > 0
    page = (REPOSITORY / "docs/library.md").read_text()
    fields = dict(re.findall(r"(?m)^\| `(\w+)` \| (\w+64|\w+32|bool)[ |\[]", page))
    with np.load(f"results/demo/runs/{ENVIRONMENT}/duo/1/labels.npz") as file:
        assert {name: str(file[name].dtype) for name in file.files} == fields


@pytest.mark.slow
def test_the_commands_and_code_of_the_films_page_run(results, monkeypatch):
    monkeypatch.chdir(results)
    page = REPOSITORY / "docs/films.md"
    names: dict[str, Any] = {}
    run_page(page, names)
    assert len(names["film"]) == TINY["labels"]["segment_length"]
    for line in blocks(page).splitlines():
        done = subprocess.run(line.split(), capture_output=True, text=True)
        if "MuJoCo cannot draw here" in done.stderr:
            pytest.skip("MuJoCo draws only with libEGL or libOSMesa: no video of robots is written")
        assert done.returncode == 0, done.stderr
    assert {"film.html", "queries.html", "hopper.mp4"} <= {path.name for path in results.iterdir()}


@pytest.mark.slow
def test_the_commands_and_code_of_the_inspection_page_run(results, monkeypatch, capsys):
    monkeypatch.chdir(results)
    page = REPOSITORY / "docs/inspect.md"
    run_page(page, {})
    Path("states.yaml").write_text(blocks(page, "yaml"))
    for line in blocks(page).splitlines():
        assert main(shlex.split(line)[1:]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "leaning forward" in said and "those of the pairs it asked about" in said
    assert Path("learned/index.html").exists() and Path("learned/inspection.json").exists()


@pytest.mark.slow
def test_the_code_of_the_provenance_page_runs(results, monkeypatch):
    monkeypatch.chdir(results)
    names: dict[str, Any] = {"observations": np.zeros((3, 11))}
    run_page(REPOSITORY / "docs/provenance.md", names)
    assert names["actions"].shape == (3, 3) and names["rewards"].shape == (3,)


TEXTBOOK = {
    "cartpole": {"total_steps": 1024, "labels": {"total": 12, "initial": 6, "sessions": 2}},
    "atari_small": {"total_steps": 1600, "labels": {"total": 4, "initial": 2, "sessions": 2}},
    "seaquest": {"total_steps": 960, "labels": {"total": 4, "initial": 2, "sessions": 2}},
}


@pytest.mark.slow
def test_the_commands_of_the_textbook_run(tmp_path, monkeypatch, capsys):
    pytest.importorskip("ale_py", reason="no ale-py: no Atari")
    monkeypatch.chdir(tmp_path)
    Path("config").mkdir()
    for name, small in TEXTBOOK.items():
        study = yaml.safe_load((REPOSITORY / f"config/{name}.yaml").read_text())
        study["labels"] |= small["labels"] | {"probe_pairs": 4, "segment_length": 5}
        study["labels"]["validation_fraction"] = 0.25
        study |= {"total_steps": small["total_steps"], "evaluation": {"every": 8000, "episodes": 1}}
        if name != "cartpole":
            study["environments"]["ALE/Seaquest-v5"]["options"]["max_episode_steps"] = 40
            study["agent"]["environments"] = 4
        Path(f"config/{name}.yaml").write_text(yaml.safe_dump(study))
    lines = blocks(REPOSITORY / "docs/textbook.md").splitlines()
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("active-rlhf")]
    assert len(commands) == len(lines) - 1  # make cartpole is a study of its own
    for command in commands:
        assert main(command) == 0, (command, capsys.readouterr().err)
    assert "centred" in capsys.readouterr().out
    assert len(list(Path("runs").glob("*.html"))) == 5
