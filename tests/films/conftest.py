"""Runs whose films are shown, finished and half-done."""

from pathlib import Path

import pytest
import shown  # noqa: F401
from film_runs import ROLLOUTS, spec, stopped

from active_rlhf.run.training import train


@pytest.fixture(scope="module", params=["Dot-v0", "Hopper-v5"])
def runs(request, tmp_path_factory) -> tuple[Path, Path]:
    """A finished run, and the same one with a checkpoint, of each kind of film."""
    folder = tmp_path_factory.mktemp("runs")
    train(spec(request.param), folder / "finished")
    stopped(request.param, folder / "going", ROLLOUTS - 3)
    return folder / "finished", folder / "going"
