"""Runs with a user's own parts: trained from a spec in another process, and killed and resumed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_files import assert_same_results
from tiny_study import small

from active_rlhf import parts
from active_rlhf.behaviour.ledger import Ledger
from active_rlhf.run.training import Stopped, train
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.settings import Spec

ROLLOUT = 64
STUDY: dict[str, Any] = small(
    study="mine",
    environments=["Pendulum-v1"],
    parts=["my_parts.py"],
    total_steps=24 * ROLLOUT,
    agent={"epochs": 1, "minibatches": 2},
    labels={"total": 30, "sessions": 12},
    reward_model={"hidden": [8, 8]},
    evaluation={"every": 500},
)
PARTS = '''
from typing import Annotated

import numpy as np
from pydantic import Field

from active_rlhf.parts import picker, reward_model, score, teacher
from active_rlhf.teachers import Answers


@teacher
class Tiring:
    """Right until it is tired, and then it guesses."""

    def __init__(self, *, after: Annotated[int, Field(ge=0, description="queries")] = 10):
        self.after, self.answered, self.seen = after, 0, np.zeros(3, int)

    def __call__(self, question, history, generator):
        assert question.asked == self.answered and question.session == self.seen[0]
        assert question.step >= 64 * question.session
        self.answered += len(question.rewards)
        self.seen += 1
        right = question.rewards.sum(-1).argmax(-1) == 0
        guess = np.arange(len(right)) % 2 == 0
        tired = np.arange(self.answered - len(right), self.answered) >= self.after
        return Answers(np.where(tired, 1.0 * guess, 1.0 * right), np.ones(len(right)))

    def state_dict(self):
        return {"answered": self.answered, "seen": self.seen}

    def load_state_dict(self, state):
        self.answered, self.seen = state["answered"], state["seen"]


@picker
class Turning:
    """The best, then the worst, and so on."""

    def __init__(self):
        self.turn = 1

    def __call__(self, pool, batch, generator):
        self.turn = -self.turn
        return np.argsort(self.turn * pool.scores)[:batch]

    def state_dict(self):
        return {"turn": self.turn}

    def load_state_dict(self, state):
        self.turn = state["turn"]


@reward_model
class Blind:
    """One without a last hidden layer."""

    def __init__(self, observations, actions, generator): ...


@score(features=True)
def by_features(pairs, *, power: float = 1.0):
    """Distance of the segments' features."""
    between = pairs.features[:, :, 0] - pairs.features[:, :, 1]
    return (np.linalg.norm(between, axis=-1).mean(0) + pairs.session) ** power
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_parts.py").write_text(PARTS)
    yield tmp_path
    parts.load_parts([])


def spec(**changes: Any) -> Spec:
    mine = {"score": {"name": "by_features", "power": 2}, "picker": "turning"}
    data = STUDY | {"teacher": {"name": "tiring"}, "selectors": {"mine": mine}} | changes
    return resolve_run(load_study("study.yaml", data=data), "Pendulum-v1", "mine", 1)


def test_a_spec_holds_their_settings_and_where_they_are(folder):
    resolved = spec().as_dict()
    assert resolved["teacher"] == {"name": "tiring", "after": 10}
    assert resolved["selection"]["score"] == {"name": "by_features", "power": 2.0}
    assert resolved["parts"] == dict.fromkeys(
        ["picker turning", "score by_features", "teacher tiring"], "my_parts.py"
    )


NO_FEATURES = "reward_model: blind has no features(observations, actions) for"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"teacher": {"name": "tiring", "after": -1}}, "teacher.after: must be at least 0, not -1"),
        ({"teacher": {"name": "tiring", "before": 1}}, "setting of tiring 'before'"),
        ({"selectors": {"mine": {"score": {"name": "by_features", "power": "x"}}}}, "score.power"),
        ({"teacher": {"name": "tirin"}}, "did you mean 'tiring'?"),
        ({"reward_model": "blind"}, f"{NO_FEATURES} score by_features"),
        (
            {"reward_model": "blind", "selectors": {"mine": {"picker": "d_optimal"}}},
            f"{NO_FEATURES} picker d_optimal",
        ),
    ],
)
def test_their_settings_are_checked_with_the_study(folder, changes, said):
    with pytest.raises(ValueError) as error:
        spec(**changes)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_teacher_that_tires_and_a_picker_that_turns_go_on_where_they_were(folder):
    whole, cut = folder / "whole", folder / "cut"
    wanted = spec()
    train(wanted, whole)
    for rollouts in (1, 5, 2, 9):  # some stops fall between two sessions of unlike kind
        left = iter([False] * rollouts)
        with pytest.raises(Stopped):
            train(wanted, cut, stopping=lambda left=left: next(left, True))
    train(wanted, cut)
    assert_same_results(cut, whole)
    answers = Ledger.load(whole / "labels.npz").column("preferences")
    rested = Ledger.load(trained(folder / "rested", after=30) / "labels.npz").column("preferences")
    assert (answers[:10] == rested[:10]).all() and (answers != rested).any()


def trained(out: Path, **teacher: Any) -> Path:
    train(spec(teacher={"name": "tiring", **teacher}), out)
    return out


@pytest.mark.slow
def test_another_process_trains_them_by_their_spec(folder):
    wanted = spec()
    train(wanted, folder / "here")
    (folder / "spec.json").write_text(json.dumps(wanted.as_dict()))
    command = ["-m", "active_rlhf.cli", "train", "--spec", "spec.json", "--out", "there"]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert_same_results(folder / "there", folder / "here")
    (folder / "my_parts.py").unlink()
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: spec.json: parts: there is no file my_parts.py\n"


def test_teachers_are_told_the_mean_length_of_the_latest_episodes():
    from active_rlhf.run.loop import Run

    data = STUDY | {
        "parts": None,
        "environments": ["InvertedPendulum-v5"],
        "selectors": ["random"],
        "labels": STUDY["labels"] | {"segment_length": 4},
    }
    run = Run(resolve_run(load_study("s.yaml", data=data), "InvertedPendulum-v5", "random", 1))
    heard, ask = [], run.learner.teacher.ask

    def overhear(tickets, question, history, generator):
        heard.append(history)
        ask(tickets, question, history, generator)

    run.learner.teacher.ask = overhear
    while run.done < run.plan.rollouts:
        run.advance()
        ended = [episode["length"] for episode in run.episodes]
        if run.plan.session_after(run.done - 1):
            assert heard[-1].episode_length == pytest.approx(np.mean(ended[-10:]))
            assert len(heard[-1].recent_returns) == min(10, len(ended))
    assert len({history.episode_length for history in heard}) > 3


def written_anew(folder: Path) -> dict[str, Any]:
    """A study of an agent, a reward model and a task as `active-rlhf new` writes them."""
    from active_rlhf.cli.new import written

    for kind, name in (("agent", "climber"), ("reward_model", "judge"), ("task", "mass_line")):
        (folder / f"{name}.py").write_text(written(kind, name))
    return STUDY | {
        "parts": ["climber.py", "judge.py", "mass_line.py"],
        "environments": ["MassLine-v0"],
        "agent": {"name": "climber", "rollout_steps": ROLLOUT},
        "reward_model": {"name": "judge"},
        "selectors": ["disagreement"],
    }


def test_your_own_agent_reward_model_and_task_make_a_run_that_resumes(folder):
    data = written_anew(folder)
    wanted = resolve_run(load_study("study.yaml", data=data), "MassLine-v0", "disagreement", 1)
    assert wanted.parts == {
        "agent climber": "climber.py",
        "reward_model judge": "judge.py",
        "task MassLine-v0": "mass_line.py",
    }
    train(wanted, folder / "whole")
    for rollouts in (3, 7):
        left = iter([False] * rollouts)
        with pytest.raises(Stopped):
            train(wanted, folder / "cut", stopping=lambda left=left: next(left, True))
    train(wanted, folder / "cut")
    assert_same_results(folder / "cut", folder / "whole")


@pytest.mark.parametrize(("name", "method"), [("climber", "learn"), ("judge", "fit")])
def test_a_later_failure_in_one_of_them_names_it_too(folder, name, method):
    data = written_anew(folder)
    text = (folder / f"{name}.py").read_text()
    head = f"    def {method}("
    assert head in text
    broken = f"    def {method}(self, *given):\n        raise KeyError('gone')\n\n{head}_before("
    text = text.replace(head, broken.replace(f"{head}_before(", f"    def {method}_before("))
    (folder / f"{name}.py").write_text(text)
    line = 1 + text.splitlines().index("        raise KeyError('gone')")
    wanted = resolve_run(load_study("study.yaml", data=data), "MassLine-v0", "disagreement", 1)
    said = rf"{name} \(.*{name}\.py, line {line}\): KeyError: 'gone'"
    with pytest.raises(ValueError, match=said):
        train(wanted, folder / "run")
    assert "Traceback" in (folder / "run" / "failure.txt").read_text()
    assert not (folder / "run" / "run.json").exists()
