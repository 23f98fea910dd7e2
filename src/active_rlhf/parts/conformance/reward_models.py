"""Reward models: what they predict, learn and save."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from active_rlhf.agents.normalise import count, empty_moments
from active_rlhf.errors import InputError
from active_rlhf.parts.conformance.made_up import ACTIONS, LENGTH, OBSERVATIONS
from active_rlhf.parts.conformance.subject import Check, Subject, expect
from active_rlhf.run.checkpoint import pack, unpack


def _labels(count_of: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of segments, and answers by a reward that is linear in observation and action."""
    generator = np.random.default_rng(seed)
    observations = generator.normal(size=(count_of, 2, LENGTH, OBSERVATIONS)).astype(np.float32)
    actions = generator.normal(size=(count_of, 2, LENGTH, ACTIONS)).astype(np.float32)
    returns = (observations[..., 0] - observations[..., 1] + actions[..., 0]).sum(-1)
    return observations, actions, (returns[:, 0] > returns[:, 1]).astype(float)


def _model(subject: Subject, settings: Mapping[str, Any], sessions: int = 0) -> Any:
    assert subject.part is not None
    if subject.part.has("pictures", settings):
        raise InputError(
            f"{subject.name}: sees pictures, and what parts are checked on has none; a run on a "
            "task of pictures tries it"
        )
    model = subject.part.build(settings, OBSERVATIONS, ACTIONS, np.random.default_rng(1))
    moments = empty_moments(OBSERVATIONS)
    for row in _labels(20)[0].reshape(-1, OBSERVATIONS):
        count(moments, row)
    model.observe(moments)
    for seed in range(sessions):
        model.fit(*_labels(40, seed))
        model.calibrate(model.member_rewards(*_labels(10)[:2]))
    return model


def _predicts(subject: Subject, settings: Mapping[str, Any]) -> None:
    model, (observations, actions, _) = _model(subject, settings, 1), _labels(7)
    members = model.member_rewards(observations, actions)
    expect(
        members.shape[1:] == observations.shape[:-1],
        f"member_rewards gave {members.shape}, not [members, {observations.shape[:-1]}]",
    )
    expect(np.isfinite(members).all(), "member_rewards are not all finite")
    rewards = model.rewards(observations, actions)
    expect(rewards.shape == observations.shape[:-1], f"rewards gave {rewards.shape}")
    if hasattr(model, "features"):
        features = model.features(observations[:, 0], actions[:, 0])
        wanted = (len(members), len(observations))
        expect(features.shape[:2] == wanted, f"features gave {features.shape}, not {wanted} + k")
    expect(np.isfinite(model.parameters).all(), "parameters are not all finite")


def _model_order(subject: Subject, settings: Mapping[str, Any]) -> None:
    model, (observations, actions, _) = _model(subject, settings, 1), _labels(7)
    p = model.preferences(observations, actions)
    q = model.preferences(observations[:, ::-1], actions[:, ::-1])
    expect(np.allclose(p, 1 - q, atol=1e-5), "P(first preferred) is not 1 - P of the swapped pair")


def _learns(subject: Subject, settings: Mapping[str, Any]) -> None:
    model = _model(subject, settings)
    for _ in range(20):
        loss = model.fit(*_labels(200))
        expect(np.isfinite(loss), f"fit gave a loss of {loss}")
    *shown, answers = _labels(200, seed=9)
    right = ((model.preferences(*shown).mean(0) > 0.5) == (answers > 0.5)).mean()
    expect(
        right > 0.7, f"only {right:.0%} of new answers by a linear reward are right after 20 fits"
    )


def _model_repeats(subject: Subject, settings: Mapping[str, Any]) -> None:
    shown = _labels(7)[:2]
    one, other = (_model(subject, settings, 2).member_rewards(*shown) for _ in range(2))
    expect(np.array_equal(one, other), "the same labels gave a different model the second time")


def _model_resumes(subject: Subject, settings: Mapping[str, Any]) -> None:
    one, other = _model(subject, settings, 2), _model(subject, settings)
    other.load_state_dict(unpack(pack(one.state_dict())))
    other.generator.bit_generator.state = one.generator.bit_generator.state
    for model in (one, other):
        model.fit(*_labels(40, 8))
    shown = _labels(7)[:2]
    same = np.array_equal(one.rewards(*shown), other.rewards(*shown))
    expect(same, "its saved state does not restore another one to the same point")


def _model_saved(subject: Subject, settings: Mapping[str, Any]) -> None:
    assert subject.part is not None
    one, shown = _model(subject, settings, 2), _labels(7)[:2]
    arrays = {name: np.array(value) for name, value in one.arrays().items()}
    sizes = subject.part.make.sizes(arrays, subject.part.complete(settings))  # type: ignore[attr-defined]
    expect(tuple(sizes) == (OBSERVATIONS, ACTIONS), f"sizes says {sizes} of what it saved")
    other = _model(subject, settings)
    for name, array in other.arrays().items():
        array[...] = arrays[name]
    same = np.array_equal(one.rewards(*shown), other.rewards(*shown))
    expect(same, "a model loaded from its arrays predicts something else")


CHECKS: tuple[Check, ...] = (
    ("predicts finite rewards of the right shapes", _predicts),
    ("does not depend on which segment comes first", _model_order),
    ("learns a linear reward", _learns),
    ("is deterministic", _model_repeats),
    ("resumes from its saved state", _model_resumes),
    ("predicts the same after being saved and loaded", _model_saved),
)
