"""`precision: auto` against measurements here, and how long the choice is kept."""

import json
import os
import subprocess
import sys

import pytest
from tiny_study import AUTO, TINY

from active_rlhf.compute import products
from active_rlhf.compute.products import FILE, Products, decide, measured
from active_rlhf.errors import InputError
from active_rlhf.run.training import train
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.precision import precisions, settled_run, settled_study

SPEEDS = {"bfloat16": Products(100, 200, "one"), "float32": Products(200, 100, "another")}


def study(**changes):
    return load_study("study.yaml", data=TINY | AUTO | changes)


@pytest.mark.parametrize("faster", SPEEDS)
def test_auto_becomes_what_was_faster_where_the_study_began(tmp_path, faster):
    decide(tmp_path, SPEEDS[faster])
    settled, speeds = settled_study(study(), tmp_path)
    assert speeds == SPEEDS[faster]
    for selector, sections in (("random", 1), ("hybrid", 2)):  # Hybrid has a VAE too
        spec = resolve_run(settled, "Hopper-v5", selector, 1)
        assert precisions(spec) == [faster] * sections
        assert settled_run(resolve_run(study(), "Hopper-v5", selector, 1), tmp_path)[0] == spec
    assert load_study("stored.yaml", data=settled.as_dict()) == settled
    decide(tmp_path, SPEEDS["float32" if faster == "bfloat16" else "bfloat16"])
    assert settled_study(study(), tmp_path)[1] == SPEEDS[faster]  # it stays


def test_what_is_given_is_taken_and_nothing_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(products, "measured", None)
    given = study(**{name: TINY[name] for name in AUTO})
    assert settled_study(given, tmp_path) == (given, None)
    without = study(selectors=["true_reward"])
    assert settled_study(without, tmp_path) == (without, None)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / FILE).write_text('{"float32": 1')
    with pytest.raises(InputError, match=rf"{FILE}: damaged; delete it"):
        settled_study(study(), tmp_path)


@pytest.mark.slow
def test_it_is_measured_once_and_a_processor_without_bfloat16_takes_float32(tmp_path):
    """oneDNN held to AVX2 emulates bfloat16, as it does on processors that know no more."""
    program = (
        "from active_rlhf.compute.products import measured; import sys\n"
        "print(measured().faster); assert 'torch' not in sys.modules"
    )

    def faster(instructions: str) -> str:
        given = {"XDG_CACHE_HOME": str(tmp_path), "ONEDNN_MAX_CPU_ISA": instructions}
        command = [sys.executable, "-c", program]
        return subprocess.check_output(command, text=True, env=os.environ | given).strip()

    assert faster("AVX2") == "float32"
    (kept,) = tmp_path.rglob(f"*{FILE}")
    speeds = json.loads(kept.read_text())
    kept.write_text(json.dumps(speeds | {"bfloat16": 2 * speeds["float32"]}))
    assert faster("AVX2") == "bfloat16"
    faster("ALL")  # other instructions, other speeds
    assert len(list(tmp_path.rglob(f"*{FILE}"))) == 2


def test_a_single_run_keeps_its_own(tmp_path):
    spec = resolve_run(study(), "Hopper-v5", "random", 1)
    decide(tmp_path, SPEEDS["float32"])
    train(spec, tmp_path)
    result = json.loads((tmp_path / "run.json").read_text())
    assert result["spec"]["reward_model"]["precision"] == "float32"
    speeds = measured()
    assert result["precision"] == {"taken": "float32", "faster": speeds.faster, "why": str(speeds)}
