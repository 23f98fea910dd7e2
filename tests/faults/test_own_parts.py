"""Errors in scores, pickers and teachers of one's own: the part, its file and line are named.

The files are added to a copy of the package, as the README says, and runs are trained with them.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "active_rlhf"
FOLDERS = {"score": "selection/scores", "picker": "selection/pickers", "teacher": "teachers"}
HEADS = {
    "score": "def score(differences):\n",
    "picker": (
        "from active_rlhf.selection.pool import Picker\n"
        "def pick(pool, batch, generator):\n{}PICKER = Picker(pick)\n"
    ),
    "teacher": (
        "from active_rlhf.teachers import Answers\n"
        "def answer(question, history, generator):\n{}def build():\n    return answer\n"
    ),
}
STUDY: dict[str, Any] = {
    "study": "mine",
    "seeds": [1],
    "environments": ["Pendulum-v1"],
    "total_steps": 128,
    "agent": {"rollout_steps": 64, "epochs": 1, "minibatches": 2},
    "labels": {
        **{"total": 8, "initial": 4, "sessions": 2, "validation_fraction": 0.25},
        **{"segment_length": 10, "oversampling": 4, "probe_pairs": 10},
    },
    "reward_model": {"hidden": [8, 8], "epochs": 1},
    "evaluation": {"every": 10_000, "episodes": 1},
}
# Of each: the kind, the body of its function, and what is said after the file's name. Sessions have
# a pool of 16 pairs and ask 4 of them.
CASES = {
    "crash": (
        "score",
        "    return differences[0] / [][3]",
        ", line 3): IndexError: list index out",
    ),
    "many_lines": ("score", "    raise OSError('one\\ntwo')", ", line 3): OSError: one two"),
    "says_nothing": ("score", "    assert False", ", line 3): AssertionError; "),
    "deeper": (
        "score",
        "    import numpy\n    return numpy.linalg.inv(differences)",
        ", line 4): Lin",
    ),
    "leaves": ("score", "    import sys; sys.exit(3)", ", line 3): SystemExit: 3"),
    "endless": ("score", "    return score(differences)", ", line 3): RecursionError: maximum"),
    "nothing": ("score", "    pass", "): ValueError: gave scores (), not one a pair (16,)"),
    "transposed": (
        "score",
        "    return differences.T",
        "gave scores (16, 3), not one a pair (16,)",
    ),
    "nan_scores": (
        "score",
        "    return differences[0] * float('nan')",
        "gave 16 scores that are not",
    ),
    "writes": ("score", "    differences[:] = 0", ", line 3): ValueError: assignment destination"),
    "too_few": ("picker", "    return [0, 1]\n", "must give 4 different indices below 16, not arr"),
    "twice": ("picker", "    return [0, 1, 1, 2]\n", "must give 4 different indices below 16"),
    "too_far": ("picker", "    return [0, 1, 2, 16]\n", "must give 4 different indices below 16"),
    "negative": ("picker", "    return [0, 1, 2, -1]\n", "must give 4 different indices below 16"),
    "fractions": (
        "picker",
        "    return [0.0, 1, 2, 3]\n",
        "must give 4 different indices below 16",
    ),
    "none": ("picker", "    pass\n", "must give 4 different indices below 16"),
    "picks_badly": (
        "picker",
        "    return pool.nothing\n",
        ", line 4): AttributeError: 'Pool' object",
    ),
    "answers_badly": ("teacher", "    return 1 / 0\n", ", line 4): ZeroDivisionError: division"),
    "no_answers": (
        "teacher",
        "    pass\n",
        "): AttributeError: 'NoneType' object has no attribute",
    ),
    "few_answers": (
        "teacher",
        "    return Answers([1.0], [1.0])\n",
        "gave answers (1,), not one a",
    ),
    "odd_answers": (
        "teacher",
        "    return Answers([.3] * 4, [1] * 4)\n",
        "an answer is 1, 0, 0.5 or",
    ),
}
DRIVER = """
import contextlib, io, json, pathlib, sys
from active_rlhf.study import loading as config
from active_rlhf.study import parts
from active_rlhf.cli import main
from active_rlhf.selection.pickers import PICKERS
from active_rlhf.selection.scores import SCORES

folder, outcomes = pathlib.Path(sys.argv[1]), {}
for name, (kind, study) in json.load(sys.stdin).items():
    SCORES.update(parts.load("score", "score"))
    PICKERS.update(parts.load("picker", "PICKER"))
    config.TEACHERS["mine"] = config.TEACHERS[name] = {"name": name}
    path, errors = folder / f"{name}.yaml", io.StringIO()
    path.write_text(json.dumps(study))
    command = ["train", "--study", path, "--env", "Pendulum-v1", "--selector", "mine", "--seed", 1]
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        code = main([*map(str, command), "--out", str(folder / name)])
    outcomes[name] = code, errors.getvalue()
print(json.dumps(outcomes))
"""


def copy_of_the_package(folder: Path) -> dict[str, str]:
    """Copy it and return the environment of processes that are to use the copy."""
    shutil.copytree(PACKAGE, folder / "active_rlhf", ignore=shutil.ignore_patterns("__pycache__"))
    return os.environ | {"PYTHONPATH": str(folder), "NUMBA_DISABLE_JIT": "1"}


def add(folder: Path, kind: str, name: str, body: str) -> Path:
    head = HEADS[kind]
    source = "import math\n" + (head.format(body) if "{}" in head else f"{head}{body}\n")
    path = folder / "active_rlhf" / FOLDERS[kind] / f"{name}.py"
    path.write_text(source)
    return path


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, Any]:
    """Of each case: its file, the run's directory, the exit code and what was said."""
    folder = tmp_path_factory.mktemp("o ü 研究")
    environment, files, cases = copy_of_the_package(folder), {}, {}
    for name, (kind, body, _) in CASES.items():
        files[name] = add(folder, kind, name, body)
        mine = {"score": "range", "picker": "top", "candidates": "uniform"}
        mine |= {} if kind == "teacher" else {kind: name}
        teacher = {"teacher": {"name": name}} if kind == "teacher" else {}
        cases[name] = kind, STUDY | teacher | {"selectors": {"mine": mine}}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(folder)],
        input=json.dumps(cases),
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return {name: (files[name], folder / name, *found[name]) for name in CASES}


@pytest.mark.parametrize("case", CASES)
def test_a_part_that_fails_in_a_run_is_named(case, outcomes):
    kind, _, said = CASES[case]
    file, out, code, errors = outcomes[case]
    (line,) = errors.splitlines()
    assert code == 1
    assert line.startswith(f"error: Pendulum-v1 mine seed 1: {kind} {case} ({file}")
    assert said in line and line.endswith(f"; its traceback is in {out / 'failure.txt'}")
    account = (out / "failure.txt").read_text()
    assert account.startswith("Traceback (most recent call last)")
    assert not {"run.json", "finished.json", "episodes.csv"} & {path.name for path in out.iterdir()}


BROKEN = {
    "no_python": ("score", "def score(:\n", "): SyntaxError: invalid syntax"),
    "no_score": (
        "score",
        "def scores(d):\n    return d[0]\n",
        "): AttributeError: module 'active_r",
    ),
    "no_module": ("picker", "import nowhere\n", ", line 1): ModuleNotFoundError: No module named"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_part_that_cannot_be_loaded_is_named_before_anything_runs(case, tmp_path):
    kind, source, said = BROKEN[case]
    environment = copy_of_the_package(tmp_path)
    file = tmp_path / "active_rlhf" / FOLDERS[kind] / f"{case}.py"
    file.write_text(source)
    study = tmp_path / "study.yaml"
    study.write_text(json.dumps(STUDY | {"selectors": ["random"]}))
    options = {"env": environment, "cwd": tmp_path, "capture_output": True, "text": True}
    command = [sys.executable, "-m", "active_rlhf.cli", "results", str(study)]
    done = subprocess.run(command, **options)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and not done.stdout
    assert line.startswith(f"error: {kind} {case} ({file}") and re.search(re.escape(said), line)
