"""Errors in your own parts: the part, its file and line are named.

The files lie beside the study that names them, as the README says, and runs are trained with them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_study import small

from active_rlhf.cli import main

HEADS = {
    "score": "from active_rlhf.parts import score\n@score\ndef {name}(pairs):\n{body}\n",
    "picker": (
        "from active_rlhf.parts import picker\n@picker\n"
        "def {name}(pool, batch, generator):\n{body}\n"
    ),
    "filter": "from active_rlhf.parts import filter\n@filter\ndef {name}(pairs):\n{body}\n",
    "candidates": (
        "from active_rlhf.parts import candidates\n@candidates\n"
        "def {name}(context, count, generator):\n{body}\n"
    ),
    "teacher": (
        "from active_rlhf.parts import teacher; from active_rlhf.teachers import Answers\n"
        "@teacher\ndef {name}(question, history, generator):\n{body}\n"
    ),
    "class": (
        "from active_rlhf.parts import teacher; from active_rlhf.teachers import Answers\n"
        "@teacher(name='{name}')\nclass Mine:\n{body}\n"
    ),
}
STUDY: dict[str, Any] = small(
    study="mine",
    environments=["Pendulum-v1"],
    total_steps=128,
    agent={"epochs": 1, "minibatches": 2, "hidden": [8, 8]},
    labels={"total": 8, "sessions": 2, "validation_fraction": 0.25, "segment_length": 10},
    reward_model={"hidden": [8, 8]},
    evaluation={"every": 10_000},
)
DRAWN_FEW = "labels: 1 pairs of segments seen so far are too few to ask 4 queries"
# For each: the kind, the body of its function, and the message after the file's name. Sessions have
# a pool of 16 pairs and ask 4 of them.
CASES = {
    "crash": ("score", "    return pairs.differences[0] / [][3]", ", line 4): IndexError: list in"),
    "many_lines": ("score", "    raise OSError('one\\ntwo')", ", line 4): OSError: one two"),
    "says_nothing": ("score", "    assert False", ", line 4): AssertionError; "),
    "deeper": (
        "score",
        "    import numpy\n    return numpy.linalg.inv(pairs.ids)",
        ", line 5): Lin",
    ),
    "leaves": ("score", "    import sys; sys.exit(3)", ", line 4): SystemExit: 3"),
    "endless": ("score", "    return endless(pairs)", ", line 4): RecursionError: maximum"),
    "nothing": ("score", "    pass", "): ValueError: gave scores (), not one per pair (16,)"),
    "transposed": ("score", "    return pairs.differences.T", "gave scores (16, 3), not one per p"),
    "nan_scores": ("score", "    return pairs.differences[0] * float('nan')", "gave 16 scores tha"),
    "writes": ("score", "    pairs.differences[:] = 0", ", line 4): ValueError: assignment destin"),
    "undeclared": ("score", "    return pairs.latents", "declare it with latents=True, as in"),
    "too_few": ("picker", "    return [0, 1]", "must give 4 different indices below 16, not arr"),
    "twice": ("picker", "    return [0, 1, 1, 2]", "must give 4 different indices below 16"),
    "too_far": ("picker", "    return [0, 1, 2, 16]", "must give 4 different indices below 16"),
    "negative": ("picker", "    return [0, 1, 2, -1]", "must give 4 different indices below 16"),
    "fractions": ("picker", "    return [0.0, 1, 2, 3]", "must give 4 different indices below 16"),
    "picks_badly": ("picker", "    return pool.nothing", ", line 4): AttributeError: 'Pairs' obje"),
    "lets_pass": ("filter", "    return [1, 2]", "gave int64 (2,), not a bool per pair (16,)"),
    "draws_badly": ("candidates", "    return [[1, 1]]", "gave a pair of a segment with itself"),
    "draws_few": ("candidates", "    return [[1, 2]]", DRAWN_FEW),
    "answers_badly": ("teacher", "    return 1 / 0", ", line 4): ZeroDivisionError: division"),
    "no_answers": ("teacher", "    pass", "): AttributeError: 'NoneType' object has no attribute"),
    "few_answers": ("teacher", "    return Answers([1.0], [1.0])", "gave answers (1,), not one pe"),
    "odd_answers": ("teacher", "    return Answers([.3] * 4, [1] * 4)", "an answer is 1, 0, 0.5 o"),
    "not_made": ("class", "    def __init__(self):\n        [][0]", ", line 5): IndexError: list"),
    "not_called": ("class", "    pass", "): TypeError: needs __call__"),
}
SAID_BY_THE_SELECTOR = {"draws_few"}  # not of the part
DRIVER = """
import contextlib, io, json, pathlib, sys
from active_rlhf.cli import main

folder, outcomes = pathlib.Path(sys.argv[1]), {}
for name, study in json.load(sys.stdin).items():
    path, errors = folder / f"{name}.yaml", io.StringIO()
    path.write_text(json.dumps(study))
    command = ["train", "--study", path, "--env", "Pendulum-v1", "--selector", "mine", "--seed", 1]
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        code = main([*map(str, command), "--out", str(folder / name)])
    outcomes[name] = code, errors.getvalue()
print(json.dumps(outcomes))
"""


def add(folder: Path, kind: str, name: str, body: str) -> Path:
    path = folder / f"{name}.py"
    path.write_text(HEADS[kind].format(name=name, body=body))
    return path


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, Any]:
    """For each case: its file, the run's directory, the exit code and the output."""
    folder = tmp_path_factory.mktemp("o ü 研究")
    files, cases = {}, {}
    for name, (head, body, _) in CASES.items():
        files[name] = add(folder, head, name, body)
        kind = "teacher" if head == "class" else head
        mine = {"score": "range", "picker": "top", "candidates": "uniform"}
        mine |= {} if kind == "teacher" else {kind: name}
        teacher = {"teacher": {"name": name}} if kind == "teacher" else {}
        study = STUDY | teacher | {"parts": [f"{name}.py"], "selectors": {"mine": mine}}
        cases[name] = study
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(folder)],
        input=json.dumps(cases),
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return {name: (files[name], folder / name, *found[name]) for name in CASES}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_part_that_fails_in_a_run_is_named(case, outcomes):
    kind, _, said = CASES[case]
    kind = "teacher" if kind == "class" else kind
    file, out, code, errors = outcomes[case]
    (line,) = errors.splitlines()
    assert code == 1
    if case in SAID_BY_THE_SELECTOR:
        assert line == f"error: Pendulum-v1 mine seed 1: {said}"
        return
    assert line.startswith(f"error: Pendulum-v1 mine seed 1: {kind} {case} ({file}")
    assert said in line and line.endswith(f"; its traceback is in {out / 'failure.txt'}")
    account = (out / "failure.txt").read_text()
    assert account.startswith("Traceback (most recent call last)")
    assert not {"run.json", "finished.json", "episodes.csv"} & {path.name for path in out.iterdir()}


def test_a_file_that_cannot_be_loaded_is_named_before_anything_runs(tmp_path, capsys):
    (tmp_path / "no_python.py").write_text("def no_python(pairs) return 3\n")
    study = tmp_path / "study.yaml"
    study.write_text(json.dumps(STUDY | {"parts": ["no_python.py"], "selectors": ["random"]}))
    assert main(["results", str(study)]) == 2
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert not said.out and line.startswith("error: ")
    assert "no_python.py, line 1): SyntaxError: expected ':'" in line
