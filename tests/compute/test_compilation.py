"""Kernels compile when first called, once per machine; and what happens if they cannot."""

import importlib
import inspect
import json
import os
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_study import small

import active_rlhf
from active_rlhf.compute import compilation
from active_rlhf.run.saved import load_arrays
from active_rlhf.study.loading import load_study, resolve_run

SOURCE = Path(active_rlhf.__file__).parents[1]


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )


def test_kernels_are_compiled_here():
    assert compilation.compiles()


def test_importing_loads_no_compiler_and_starts_no_process(tmp_path):
    program = """
import importlib, pkgutil, sys
started = []
sys.addaudithook(lambda event, _: started.append(event) if event == "subprocess.Popen" else None)
for package in ("compute", "rewards", "agents.kernels", "behaviour.rows", "selection.vae"):
    module = importlib.import_module(f"active_rlhf.{package}")
    for found in pkgutil.iter_modules(getattr(module, "__path__", ())):
        if found.name not in ("warm_up", "modules", "torch_mlp", "cnn"):
            importlib.import_module(f"{module.__name__}.{found.name}")
print(*started, *{"numba", "llvmlite", "torch", "mujoco"} & sys.modules.keys())
"""
    assert python(program, XDG_CACHE_HOME=str(tmp_path)).stdout.strip() == ""
    assert not list(tmp_path.iterdir())


KERNELS = """
from active_rlhf.compute.compilation import compiled

@compiled
def twice(x):
    return inner(x) * 2

@compiled
def inner(x):
    return x + {added}
"""


def test_a_kernel_that_calls_another_is_found_in_the_cache_by_the_next_process(tmp_path):
    (tmp_path / "kernels.py").write_text(KERNELS.format(added=1))
    program = "import kernels; print(kernels.twice(4), kernels.twice.dispatcher.stats)"
    said = [python(program, PYTHONPATH=f"{tmp_path}:{SOURCE}").stdout for _ in "12"]
    assert "cache_hits=Counter(), cache_misses=Counter({(int64,): 1})" in said[0]
    assert "cache_hits=Counter({(int64,): 1}), cache_misses=Counter()" in said[1]
    assert all(line.startswith("10 ") for line in said)


def test_without_the_compiler_kernels_run_as_written(tmp_path):
    (tmp_path / "kernels.py").write_text(KERNELS.format(added=1))
    program = "import kernels; print(kernels.twice(4), kernels.twice.dispatcher)"
    environment = {"PYTHONPATH": f"{tmp_path}:{SOURCE}", "NUMBA_DISABLE_JIT": "1"}
    assert python(program, **environment).stdout.startswith("10 <function twice")


def test_another_copy_of_the_package_and_any_edit_of_a_kernels_file_recompile(
    tmp_path, monkeypatch
):
    """numba goes by paths, so another copy compiles for itself.

    Wherever a kernel is: all modules are searched for kernels, and each such file is edited.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    copy, known = tmp_path / "copy", {compilation.cache_folder()}
    shutil.copytree(compilation._HERE, copy)
    monkeypatch.setattr(compilation, "_HERE", copy)
    files = set()
    for found in pkgutil.walk_packages(active_rlhf.__path__, "active_rlhf."):
        if "__main__" not in found.name and ".templates." not in found.name:
            for value in vars(importlib.import_module(found.name)).values():
                if isinstance(value, compilation.Kernel):
                    files.add(Path(inspect.getfile(value.function)))
    assert len(files) > 5 and compilation.cache_folder() not in known
    known.add(compilation.cache_folder())
    for file in files:
        with (copy / file.relative_to(SOURCE / "active_rlhf")).open("a") as kernels:
            kernels.write("# edited\n")
        assert compilation.cache_folder() not in known
        known.add(compilation.cache_folder())


def test_a_failed_compilation_is_one_warning_and_the_reference(tmp_path):
    """The compiler process cannot start; nothing else may fail for it."""
    program = (
        "import sys; sys.executable = '/bin/false'\n"
        "import numpy as np\n"
        "from active_rlhf.agents import kernels\n"
        "from active_rlhf.compute import compilation\n"
        "x = np.full(3, .5, np.float32)\n"
        "kernels.tanh(x)\n"
        "print(compilation.compiles(), x[0])"
    )
    done = python(program, XDG_CACHE_HOME=str(tmp_path))
    assert done.stdout.split()[0] == "False"
    assert float(done.stdout.split()[1]) == pytest.approx(np.tanh(0.5))
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("warning: kernels do not compile")


@pytest.mark.slow
def test_the_reference_trains_the_same_run(tmp_path):
    """Every step in numpy and torch; only a few, as rounding soon changes the robot's path."""
    study = small(
        environments=["Hopper-v5"],
        selectors=["random"],
        total_steps=128,
        agent={"hidden": [8, 8]},
        labels={"initial": 12, "sessions": 2},
        reward_model={"dropout": 0},
    )
    spec = resolve_run(load_study("small.yaml", data=study), "Hopper-v5", "random", 1)
    for name, disabled in (("fast", "0"), ("reference", "1")):
        command = [sys.executable, "-m", "active_rlhf.cli", "train", "--spec", "/dev/stdin"]
        subprocess.run(
            [*command, "--out", str(tmp_path / name)],
            input=json.dumps(spec.as_dict()),
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
