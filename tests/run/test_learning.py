"""Every selector learns something trivial from every teacher, and unlearns it from its opposite."""

from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from trivial import STEPS, STUDY, true_reward

from active_rlhf.run.loop import Run
from active_rlhf.run.state import restore, state_of
from active_rlhf.selection.presets import PRESETS
from active_rlhf.study.loading import load_study, resolve_run

TEACHERS: dict[str, dict[str, Any]] = {
    "oracle": {},
    "oracle with ties": {"tie_quantile": 0.2},
    "bpref": {},
    "bpref mistake": {"eps_mistake": 0.1},
    "bpref noisy": {"beta": 1.0},
    "bpref skip": {"eps_skip": 0.8},
    "bpref myopic": {"gamma": 0.9},
    "bpref equal": {"eps_equal": 0.1},
    "human_simulated": {},
}


def begun(selector: str, **changes: Any) -> Run:
    data = STUDY | {"selectors": [selector]} | changes
    study = load_study(Path(__file__).with_name("study.yaml"), data=data)
    return Run(resolve_run(study, "Trivial-v0", selector, 1))


def finished(selector: str, **changes: Any) -> Run:
    run = begun(selector, **changes)
    while run.done < run.plan.rollouts:
        run.advance()
    return run


def learned(selector: str, teacher: dict[str, Any]) -> tuple[float, float]:
    """How the learned reward goes with the true one, and the mean return of the last episodes."""
    run = finished(selector, teacher=teacher)
    rng = np.random.default_rng(0)
    seen = rng.uniform(-1, 1, (500, 2)).astype(np.float32)
    actions = rng.uniform(-1, 1, (500, 1)).astype(np.float32)
    correlation = stats.pearsonr(run.learner.model.rewards(seen, actions), true_reward(actions))[0]
    return float(correlation), float(np.mean([e["return"] for e in run.episodes[-16:]]))


CROSS = list(product(PRESETS, TEACHERS))
# Each selector and each teacher once; the rest of the cross takes minutes.
QUICK = list(zip(PRESETS, cycle(TEACHERS), strict=False))


@pytest.mark.parametrize(
    ("selector", "teacher"),
    [pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow) for case in CROSS],
)
def test_learns_what_a_teacher_wants_and_the_opposite_from_its_opposite(selector, teacher):
    name, settings = teacher.split()[0], TEACHERS[teacher]
    right = learned(selector, {"name": name, **settings})
    wrong = learned(selector, {"name": "inverted", "of": name, "given": settings})
    assert right[0] > 0.3 and wrong[0] < -0.3
    assert right[1] > 1.4 * STEPS and wrong[1] < 0.6 * STEPS  # a random policy earns 1 a step


@pytest.mark.parametrize("environments", [1, 4])
def test_a_perfect_reward_model_is_the_true_reward(environments):
    agent = STUDY["agent"] | {"environments": environments}
    perfect = finished("duo", reward_model={"name": "perfect"}, agent=agent)
    true = finished("true_reward", agent=agent)
    assert perfect.episodes[-1]["labels"] == 60 and true.labels == 0
    assert [e["return"] for e in perfect.episodes] == [e["return"] for e in true.episodes]
    learned = [e["learned_return"] for e in perfect.episodes]
    np.testing.assert_allclose(learned, [e["return"] for e in true.episodes], rtol=1e-5)
    assert true.episodes[-1]["return"] > 1.5 * STEPS
    for name, array in true.agent.arrays().items():
        np.testing.assert_array_equal(perfect.agent.arrays()[name], array)


@pytest.mark.parametrize("before", ["true_reward", "none", "untrained"])
def test_the_policy_learns_from_what_it_is_told_until_there_are_labels(before):
    labels = STUDY["labels"] | {"sessions": 3, "first_after": 0.5, "before_labels": before}
    run, true = begun("random", labels=labels), begun("true_reward")
    initial = run.agent.arrays()["actor.w1"].copy()
    while run.plan.session_after(run.done) is None:
        for one in (run, true):
            one.advance()
    weights = run.agent.arrays()["actor.w1"].copy()
    assert run.done == 6 and (weights == initial).all() == (before == "none")
    assert (weights == true.agent.arrays()["actor.w1"]).all() == (before == "true_reward")

    again = begun("random", labels=labels)
    restore(again, state_of(run), run.behaviour.rows(0))
    for one in (run, again) * 3:  # the first rollout ends in the session
        one.advance()
    assert (run.agent.arrays()["actor.w1"] != weights).any()
    for name, array in run.agent.arrays().items():
        np.testing.assert_array_equal(again.agent.arrays()[name], array)
    earned = [[e["learned_return"] for e in one.episodes] for one in (run, again)]
    np.testing.assert_array_equal(*earned)
    assert np.isnan(earned[0]).sum() == 6 * 8 * (before != "untrained")  # 8 episodes a rollout
    rollouts = {kind: round(scale.count / run.plan.size) for kind, scale in run.scales.items()}
    assert rollouts["true"] == 6 * (before == "true_reward")
    assert rollouts["learned"] == 3 + 6 * (before == "untrained")


def test_a_policy_of_the_true_reward_goes_on_with_what_an_inverted_teacher_wants():
    labels = STUDY["labels"] | {"sessions": 3, "first_after": 0.5, "before_labels": "true_reward"}
    teacher = {"name": "inverted", "of": "oracle", "given": {}}
    run = finished("random", labels=labels, teacher=teacher, total_steps=28 * 160)
    returns = np.array([episode["return"] for episode in run.episodes])
    half = len(returns) // 2
    assert returns[half - 16 : half].mean() > 1.4 * STEPS
    assert returns[-16:].mean() < 0.6 * STEPS
