"""A run tiny enough to try any part in."""

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from active_rlhf.parts.conformance.made_up import LENGTH
from active_rlhf.parts.conformance.subject import Check, Subject, expect
from active_rlhf.run.training import Stopped, train
from active_rlhf.study.loading import load_study, resolve_run

ROLLOUT = 64
TINY: dict[str, Any] = {
    "study": "check",
    "seeds": [1],
    "environments": ["Pendulum-v1"],
    "total_steps": 8 * ROLLOUT,
    "labels": {
        **{"total": 12, "initial": 4, "sessions": 4, "validation_fraction": 0.25},
        **{"segment_length": LENGTH, "oversampling": 5, "probe_pairs": 10},
    },
    "vae": {"latent": 2, "channels": [4], "segments": 32, "batch_size": 16, "epochs": 1},
    "evaluation": {"every": 4 * ROLLOUT, "episodes": 1},
}
SMALL_AGENT = {"rollout_steps": ROLLOUT, "epochs": 1, "minibatches": 2}
SMALL_MODEL = {"hidden": [8, 8], "epochs": 1}


def _study(subject: Subject, settings: Mapping[str, Any]) -> dict[str, Any]:
    choice = {"name": subject.name, **settings}
    study = TINY | {"agent": SMALL_AGENT, "reward_model": SMALL_MODEL}
    study |= {"parts": [subject.origin]} if subject.origin else {}
    study |= {"selectors": {"mine": {"score": "range", "picker": "top"}}}
    if subject.kind == "task":
        return study | {"environments": {subject.name: {"options": dict(settings)}}}
    if subject.kind in ("teacher", "reward_model"):
        return study | {subject.kind: choice}
    if subject.kind == "agent":
        assert subject.part is not None
        own = subject.part.settings.model_fields
        small = {key: value for key, value in SMALL_AGENT.items() if key in own}
        steps = {} if "rollout_steps" in own else {"total_steps": 8 * 2048}
        return study | {"agent": small | choice} | steps
    return study | {"selectors": {"mine": study["selectors"]["mine"] | {subject.kind: choice}}}


def _runs(subject: Subject, settings: Mapping[str, Any]) -> None:
    """Train a tiny run, and again with stops on the way; both must give the same bytes."""
    data = _study(subject, settings)
    study = load_study("check.yaml", data=data)
    spec = resolve_run(study, next(iter(data["environments"])), "mine", 1)
    with tempfile.TemporaryDirectory() as folder, _silence():
        whole, cut = Path(folder) / "whole", Path(folder) / "cut"
        train(spec, whole)
        for rollouts in (1, 3, 2):
            with contextlib.suppress(Stopped):
                train(spec, cut, stopping=_after(rollouts))
        train(spec, cut)
        for name in ("episodes.csv", "evaluations.csv", "sessions.csv", "labels.npz"):
            same = (whole / name).read_bytes() == (cut / name).read_bytes()
            expect(same, f"{name} differs when the run is stopped and resumed")


def _after(rollouts: int) -> Callable[[], bool]:
    """Says stop after being asked that often."""
    left = iter(range(rollouts))
    return lambda: next(left, None) is None


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


RUN: Check = ("trains a tiny run to the same bytes, resumed or not", _runs)
