"""NaN and infinity: a run stops where they appear, says where, and saves the evidence."""

import json
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from tiny_study import small

from active_rlhf.cli import main
from active_rlhf.run.training import train
from active_rlhf.study.loading import load_study, resolve_run

ROLLOUT, EPISODE = 64, 100
STUDY: dict[str, Any] = small(
    study="poison",
    environments=["Poisoned-v0"],
    selectors=["hybrid"],
    total_steps=4 * ROLLOUT,
    labels={"total": 8, "sessions": 2, "validation_fraction": 0.25, "segment_length": 10},
    reward_model={"epochs": 2, "batch_size": 2},
    vae={"batch_size": 8, "epochs": 3},
    evaluation={"every": 10_000, "episodes": 4},
)


class Poisoned(gymnasium.Env):
    """A point that drifts; `poison` replaces what step number `at` of an instance returns."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (3,))
    action_space = gymnasium.spaces.Box(-1, 1, (2,))
    at: ClassVar[int] = -1
    poison: ClassVar[dict[str, float]] = {}
    most: ClassVar[int] = 0  # steps that any instance took

    def __init__(self) -> None:
        self.steps = 0

    def _poison(self, what: str) -> float:
        return self.poison.get(what, 0.0) if self.steps == self.at else 0.0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.place = self.np_random.standard_normal(3)
        return self.place + self._poison("observation"), {}

    def step(self, action: np.ndarray) -> Any:
        self.steps += 1
        Poisoned.most = max(self.most, self.steps)
        self.place = 0.9 * self.place + 0.1 * np.append(action, action.sum())
        reward = self.place.sum() + self._poison("reward")
        return self.place + self._poison("observation"), float(reward), False, False, {}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Any:
    gymnasium.register("Poisoned-v0", entry_point=Poisoned, max_episode_steps=EPISODE)
    monkeypatch.setattr(Poisoned, "most", 0)
    yield
    del gymnasium.registry["Poisoned-v0"]


def poison(monkeypatch: pytest.MonkeyPatch, at: int, **what: float) -> None:
    monkeypatch.setattr(Poisoned, "at", at)
    monkeypatch.setattr(Poisoned, "poison", what)


def spec(**sections: Any) -> dict[str, Any]:
    study = {
        name: {**value, **sections.get(name, {})} if isinstance(value, dict) else value
        for name, value in STUDY.items()
    }
    return resolve_run(load_study("poison.yaml", data=study), "Poisoned-v0", "hybrid", 1)


def stopped(out: Path, **sections: Any) -> str:
    """The message of a run that stops; it must leave no result, and stop the same way again."""
    said = []
    for _ in range(2):
        with pytest.raises(FloatingPointError) as caught:
            train(spec(**sections), out, checkpoint_every=1e-3)
        said.append(str(caught.value))
        assert said[-1].endswith(f" are in {out / 'failure.npz'}")
        assert not {"run.json", "finished.json", "episodes.csv"} & {p.name for p in out.iterdir()}
        with np.load(out / "failure.npz", allow_pickle=False) as dump:
            assert any(not np.isfinite(dump[name]).all() for name in dump.files)
    assert said[0] == said[1]
    return said[0]


ENVIRONMENT = {
    "an observation": (70, {"observation": np.nan}, 70, "observations not finite"),
    "a reward": (70, {"reward": np.inf}, 70, "rewards not finite"),
    "both": (90, {"observation": np.inf, "reward": np.nan}, 90, "observations, rewards not finite"),
    "the last step of a rollout": (128, {"observation": -np.inf}, 128, "observations not finite"),
    "the last step of an episode": (100, {"observation": np.nan}, 100, "observations not finite"),
    "too large for single precision": (70, {"observation": 1e39}, 70, "observations not finite"),
    "the first observation": (0, {"observation": np.nan}, 0, "observations not finite"),
}


@pytest.mark.parametrize("case", ENVIRONMENT)
def test_an_environment_that_gives_no_number_is_named_with_the_step(case, tmp_path, monkeypatch):
    at, what, step, said = ENVIRONMENT[case]
    poison(monkeypatch, at, **what)
    assert stopped(tmp_path).startswith(f"step {step}: environment: {said}; observations")
    assert Poisoned.most <= -(-step // ROLLOUT) * ROLLOUT or step == 0  # not a rollout further


def test_an_evaluation_that_gives_no_number(tmp_path, monkeypatch):
    poison(monkeypatch, 4 * ROLLOUT + 50, reward=np.nan)  # only evaluations go so far
    assert stopped(tmp_path).startswith("step 256: evaluation: returns not finite")


LEARNING = {
    "reward_model": (ROLLOUT, "loss, parameters not finite"),
    "agent": (ROLLOUT, "parameters"),
    "vae": (ROLLOUT, "parameters"),
}


@pytest.mark.parametrize("section", LEARNING)
def test_learning_that_diverges_stops_before_it_is_used(section, tmp_path):
    """With a valid but absurd learning rate: parameters overflow in the first updates."""
    step, said = LEARNING[section]
    stage = {"agent": "policy_update"}.get(section, section)
    message = stopped(tmp_path, **{section: {"learning_rate": 5e15}})
    assert message.startswith(f"step {step}: {stage}: ") and said in message
    assert Poisoned.most == step


def test_through_the_command_it_is_one_line_and_the_cure_is_enough(tmp_path, monkeypatch, capsys):
    out = tmp_path / "o ü 研究"
    (tmp_path / "spec.json").write_text(json.dumps(spec().as_dict()))
    command = ["train", "--spec", str(tmp_path / "spec.json"), "--out", str(out)]
    poison(monkeypatch, 70, reward=np.nan)
    assert main(command) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: Poisoned-v0 hybrid seed 1: step 70: environment: rewards not")
    poison(monkeypatch, -1)
    assert main(command) == 0
    assert json.loads((out / "run.json").read_text())["status"] == "complete"
    assert not list(out.glob("failure*"))
