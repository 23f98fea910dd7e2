"""What happens where kernels cannot be compiled."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np

from active_rlhf.compute import compilation
from active_rlhf.run.saved import load_arrays
from active_rlhf.study.loading import load_study, resolve_run


def test_kernels_are_compiled_here():
    assert compilation.COMPILED


def test_a_copy_of_the_package_compiles_for_itself(tmp_path, monkeypatch):
    """numba goes by paths: what another copy compiled would be of no use, and not looked for."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = compilation.cache_folder()
    shutil.copytree(compilation._HERE, tmp_path / "copy")
    monkeypatch.setattr(compilation, "_HERE", tmp_path / "copy")
    assert folder != compilation.cache_folder()


def test_a_failed_compilation_is_one_warning_and_the_reference(tmp_path):
    """The compiler process cannot start; nothing else may fail for it."""
    program = (
        "import sys; sys.executable = '/bin/false'\n"
        "from active_rlhf.agents.ppo import kernels\n"
        "from active_rlhf.compute import compilation\n"
        "print(compilation.COMPILED)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("warning: kernels do not compile")


def test_the_reference_trains_the_same_run(tmp_path):
    """Every step of it in numpy and torch; few, as the robot soon makes much of a rounding."""
    study = load_study(
        "config/test.yaml",
        data={
            "study": "test",
            "seeds": [1],
            "environments": ["Hopper-v5"],
            "selectors": ["random"],
            "ppo": {"total_steps": 128, "rollout_steps": 64, "minibatches": 4},
            "labels": {"total": 20, "initial": 10, "sessions": 2, "segment_length": 10}
            | {"probe_pairs": 20},
            "reward_model": {"hidden": [16, 16], "epochs": 2, "dropout": 0, "precision": "float32"},
            "evaluation": {"every": 128, "episodes": 1},
        },
    )
    spec = resolve_run(study, "Hopper-v5", "random", 1)
    for name, disabled in (("fast", "0"), ("reference", "1")):
        command = [sys.executable, "-m", "active_rlhf.cli", "train", "--spec", "/dev/stdin"]
        subprocess.run(
            [*command, "--out", str(tmp_path / name)],
            input=json.dumps(spec),
            env=os.environ | {"NUMBA_DISABLE_JIT": disabled},
            text=True,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    for name, kernels in (("fast", "compiled"), ("reference", "eager")):
        record = json.loads((tmp_path / name / "run.json").read_text())
        assert record["versions"]["kernels"] == kernels
    for name in ("policy.safetensors", "reward_model.safetensors"):
        fast, reference = (load_arrays(tmp_path / run / name) for run in ("fast", "reference"))
        for key, values in fast.items():
            np.testing.assert_allclose(values, reference[key], atol=1e-3, err_msg=key)
