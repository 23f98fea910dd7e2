"""New parts work as they are written, and `check` finds what is wrong with a part."""

import ast
import subprocess
import sys

import pytest

from active_rlhf import parts
from active_rlhf.cli import main
from active_rlhf.parts import KINDS
from active_rlhf.parts.conformance import CHECKS, subjects
from active_rlhf.parts.registry import own_modules
from active_rlhf.study.loading import load_study, resolve_run


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    parts.load_parts([])


def checked(capsys, *arguments: str) -> tuple[int, dict[str, str | None]]:
    """The exit code of `check`, and the fault that each check found."""
    code = main(["check", *arguments])
    said = {}
    for line in capsys.readouterr().out.splitlines():
        outcome, rest = line[:4], line[5:]
        sentence, _, fault = rest.partition(": ")[2].partition(": ")
        said[sentence] = fault if outcome == "FAIL" else None
        assert outcome in ("ok  ", "FAIL")
    return code, said


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_part_works_as_it_is(kind, folder, capsys):
    assert main(["new", kind, "my_own"]) == 0
    assert "check my_own.py" in capsys.readouterr().out
    text = (folder / "my_own.py").read_text()
    assert ast.get_docstring(ast.parse(text)) and "emplate" not in text and text.count("#") >= 1
    code, said = checked(capsys, "my_own.py")
    assert code == 0 and len(said) >= 4 and set(said.values()) == {None}, said


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "task"])
def test_the_usage_in_a_new_part_is_a_valid_study(kind, folder):
    main(["new", kind, "my_own"])
    lines = ast.get_docstring(ast.parse((folder / "my_own.py").read_text())).splitlines()
    usage = "\n".join(line[4:] for line in lines if line.startswith("    "))
    base = "study: s\nseeds: [1]\nenvironments: [HalfCheetah-v5]\n"
    base += "" if "selectors" in usage else "selectors: {mine: {base: random}}\n"
    (folder / "study.yaml").write_text(base + usage)
    spec = resolve_run(load_study("study.yaml"), "HalfCheetah-v5", "mine", 1)
    assert spec.parts == {f"{kind} my_own": "my_own.py"}


def test_a_new_task_is_an_environment_of_a_study(folder):
    main(["new", "task", "my_own"])
    (folder / "study.yaml").write_text(
        "study: s\nseeds: [1]\nparts: [my_own.py]\nselectors: [random]\n"
        "environments: {MyOwn-v0: {options: {friction: 0.2}}}\nlabels: {segment_length: 20}\n"
    )
    spec = resolve_run(load_study("study.yaml"), "MyOwn-v0", "random", 1)
    assert spec.parts == {"task MyOwn-v0": "my_own.py"} and spec.options == {"friction": 0.2}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["score", "My"], "name: 'My' must be lower-case letters"),
        (["score", "../x"], "name: '../x' must be lower-case letters"),
        (["score", "there"], "there.py: already exists; give another --out"),
    ],
)
def test_a_new_part_is_refused_in_one_line(arguments, said, folder, capsys):
    (folder / "there.py").write_text("x = 1\n")
    assert main(["new", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {said}") and error.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["there.py"]


HEAD = """
import numpy as np
from active_rlhf.parts import *
from active_rlhf.selection.candidates import independent_pairs
from active_rlhf.teachers import Answers
"""
NEEDS, SAME, SAVES = (
    "returns what a run needs",
    "is deterministic",
    "resumes from its saved state",
)
ORDER, INSIDE = "does not depend on which segment comes first", "draws segments that lie inside"
RUN = "trains a tiny run to the same bytes, resumed or not"
# A faulty part, the check that must find it, and what it must say.
WRONG = {
    "not finite": (
        "@score\ndef wrong(pairs):\n    return np.log(0 * pairs.differences[0])",
        NEEDS,
        "30 scores that are not finite",
    ),
    "one-sided": ("@score\ndef wrong(pairs):\n    return pairs.differences[0]", ORDER, "30 of 30"),
    "by chance": (
        "@score\ndef wrong(pairs):\n    return np.random.default_rng().random(len(pairs))",
        SAME,
        "session 0: the same question got a different answer",
    ),
    "by chance, in a run": (
        "@score\ndef wrong(pairs):\n    return np.random.default_rng().random(len(pairs))",
        RUN,
        "differs when the run is stopped and resumed",
    ),
    "one too few": (
        "@picker\ndef wrong(pool, batch, generator):\n    return np.arange(min(batch, 25))",
        NEEDS,
        "must give 30 different indices below 30",
    ),
    "across episodes": (
        "@candidates\ndef wrong(context, count, generator):\n"
        "    return np.arange(60).reshape(30, 2)",
        INSIDE,
        "segments [31, 32, 33] cross the end of an episode",
    ),
    "forgetful": (
        "@teacher\nclass Wrong:\n    def __init__(self):\n        self.seen = 0\n"
        "    def __call__(self, question, history, generator):\n        self.seen += 1\n"
        "        answer = np.full(len(question.rewards), float(self.seen > 3))\n"
        "        return Answers(answer, np.ones(len(answer)))\n"
        "    def state_dict(self):\n        return {}\n"
        "    def load_state_dict(self, state):\n        pass",
        SAVES,
        "its saved state does not restore another one to the same point",
    ),
    "too sure": (
        "@teacher\ndef wrong(question, history, generator):\n"
        "    return Answers(np.ones(len(question.rewards)), 2 * np.ones(len(question.rewards)))",
        NEEDS,
        "confidence must be 0 to 1",
    ),
}


@pytest.fixture
def no_run(monkeypatch):
    """The check without the run at its end, which takes longest."""
    monkeypatch.setattr("active_rlhf.parts.conformance.RUN", ("", lambda *_: None))


@pytest.mark.parametrize("case", WRONG)
def test_check_finds_what_is_wrong(case, folder, capsys, request):
    text, sentence, fault = WRONG[case]
    if sentence != RUN:
        request.getfixturevalue("no_run")
    (folder / "my_parts.py").write_text(f"{HEAD}\n{text}\n")
    code, said = checked(capsys, "my_parts.py:wrong")
    (found,) = [said[name] for name in said if name.startswith(sentence)]
    assert code == 1 and found is not None and fault in found, said


SLOPE = "1 / (1 + np.exp(-np.clip(logits, -500, 500))) - wanted"
REPEATED = "np.repeat(sums[None], len(self.weights), axis=0)"
UNSEEDED = "np.random.default_rng().uniform"
BROKEN = [
    ("reward_model", SLOPE, "logits * 0", "learns"),
    ("reward_model", '"weights": self.weights} | self.scales()', "} | self.scales()", "resumes"),
    ("reward_model", REPEATED, "sums", "predicts finite"),
    ("agent", '"weights": self.weights, "moments"', '"moments"', "resumes"),
    ("agent", "self.weights += self", "self.weights += np.nan * self", "acts and learns"),
    ("task", "self.np_random.uniform", UNSEEDED, "is deterministic"),
    ("task", "self.np_random.uniform", UNSEEDED, "resumes"),
    ("task", "reward = -float", "reward = np.nan * float", "steps, ends"),
]


@pytest.mark.parametrize(("kind", "old", "new", "sentence"), BROKEN)
def test_check_finds_what_breaks_a_template(kind, old, new, sentence, folder, capsys, no_run):
    main(["new", kind, "my_own"])
    text = (folder / "my_own.py").read_text()
    assert old in text
    (folder / "my_own.py").write_text(text.replace(old, new))
    capsys.readouterr()
    code, said = checked(capsys, "my_own.py")
    (found,) = [said[name] for name in said if name.startswith(sentence)]
    assert code == 1 and found is not None, said


# Teachers that need a run's directory or labels, and a reward model of pictures.
IN_A_RUN = {"human", "recorded", "cnn"}
OWN = [(kind, name) for kind in KINDS for name in own_modules(kind) if name not in IN_A_RUN]


@pytest.mark.parametrize(("kind", "name"), OWN)
def test_the_packages_own_parts_pass_the_check(kind, name):
    (subject,) = [subject for subject in subjects(kind) if subject.name == name]
    settings = {"learning_rate": 1e-3, "hidden": [32]} if "mlp" in name else {}
    for sentence, check in CHECKS[kind]:
        check(subject, settings)
        assert sentence


def test_check_takes_settings_and_names(folder, capsys, no_run):
    code, said = checked(capsys, "score:bald")
    assert code == 0 and len(said) == 5
    main(["new", "score", "my_own"])
    capsys.readouterr()
    code, said = checked(capsys, "my_own.py:my_own", "--set", "power=-1")
    assert code == 1 and said == {"settings": "power: must be more than 0, not -1"}
    assert main(["check", "my_own.py:other"]) == 2
    assert capsys.readouterr().err == "error: my_own.py: declares no other; known: my_own\n"
    assert main(["check", "nothing.py"]) == 2
    assert "there is no file nothing.py" in capsys.readouterr().err


def test_new_is_quick(folder):
    code = (
        "import sys; from active_rlhf.cli import main; assert main(['new', 'agent', 'mine']) == 0;"
        "assert not {'torch', 'numba', 'mujoco', 'gymnasium'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
