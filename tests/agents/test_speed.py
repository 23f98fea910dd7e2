"""A floor under the agent's speed. Benchmarks measure the speed itself, on an idle machine."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from active_rlhf.agents.ppo.settings import PPOSettings
from active_rlhf.compute.compilation import prepare
from active_rlhf.run.loop import Run
from active_rlhf.study.loading import load_study, resolve_run

FLOOR = 10  # half of what is measured, and more: a loaded machine slows both sides


def cpu_seconds(work: Callable[[], object], times: int) -> float:
    """The least of several; of this process, so that waiting for a core does not count."""
    measured = []
    for _ in range(times):
        begin = time.process_time()
        work()
        measured.append(time.process_time() - begin)
    return min(measured)


@pytest.mark.slow
def test_the_agent_is_ten_times_as_fast_as_plain_ppo(monkeypatch):
    """Acting, rewards and update of a rollout, against benchmarks/reference.py in this process."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    reference = __import__("reference")
    monkeypatch.delitem(sys.modules, "reference")
    data = {"study": "s", "seeds": [1], "environments": ["HalfCheetah-v5"]}
    given = {"selectors": ["true_reward"], "evaluation": {"every": 10**7, "episodes": 1}}
    spec = resolve_run(load_study("s.yaml", data=data | given), "HalfCheetah-v5", "true_reward", 1)
    prepare()
    with threadpool_limits(1):
        run = Run(spec)
        run.advance()  # warms up
        fast = cpu_seconds(run.advance, 5)
        plain = reference.plain_ppo("HalfCheetah-v5", PPOSettings(**spec.agent.settings))
        slow = cpu_seconds(plain, 2)
    assert slow / fast > FLOOR, f"{slow:.2f} s against {fast:.3f} s"
