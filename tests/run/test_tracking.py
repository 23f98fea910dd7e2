"""What trackers call a run, and where its curves end up."""

import struct
import sys
from pathlib import Path

import pytest
import yaml

from active_rlhf.cli import main
from active_rlhf.run.tracking import event_folder, tracker
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.messages import ConfigError

STUDY = """
study: tracked
seeds: [4]
environments: [Pendulum-v1]
selectors: [random]
total_steps: 128
agent: {rollout_steps: 64}
labels: {total: 4, initial: 4, sessions: 1, segment_length: 5, probe_pairs: 5}
reward_model: {hidden: [8], epochs: 1}
evaluation: {episodes: 1}
tracking: wandb
wandb: {group: "{environment} with {selector}"}
"""

RUN = resolve_run(load_study("study.yaml", data=yaml.safe_load(STUDY)), "Pendulum-v1", "random", 4)


@pytest.fixture
def offline(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))  # for logs of its own
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    pytest.importorskip("wandb")


def records(out: Path):
    """The records that W&B wrote offline: protobuf in a LevelDB log after seven bytes of header."""
    import wandb
    from wandb.proto.wandb_internal_pb2 import Record

    wandb.teardown()  # the process that writes the file ends with it
    (file,) = out.glob("wandb/offline-run-*/*.wandb")
    data, at, block, whole = file.read_bytes(), 7, 32768, b""
    while at + 7 <= len(data):
        if block - at % block < 7:
            at += block - at % block
            continue
        size, kind = struct.unpack_from("<HB", data, at + 4)
        whole += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last piece
            yield Record.FromString(whole)
            whole = b""


def filed(out: Path) -> tuple[str, str, str]:
    (run,) = [record.run for record in records(out) if record.WhichOneof("record_type") == "run"]
    return run.project, run.run_group, run.display_name


def test_wandb_files_a_run_by_environment_selector_and_seed(offline, tmp_path):
    tracked = tracker("wandb", RUN, tmp_path)
    tracked.record({"losses/policy": 0.5}, 64)
    tracked.close()
    assert filed(tmp_path) == ("active-rlhf", "Pendulum-v1/random", "Pendulum-v1/random/4")


def test_wandb_files_a_run_as_its_study_and_the_command_line_say(offline, tmp_path):
    (tmp_path / "study.yaml").write_text(STUDY)
    cell = ["--env", "Pendulum-v1", "--selector", "random", "--seed", "4", "--out", str(tmp_path)]
    named = ["--wandb-name", "seed {seed}"]
    assert main(["train", "--study", str(tmp_path / "study.yaml"), *cell, *named]) == 0
    assert filed(tmp_path) == ("tracked", "Pendulum-v1 with random", "seed 4")
    logged = [record.history for record in records(tmp_path) if record.HasField("history")]
    assert [item.step.num for item in logged] == [64, 128]


def test_a_name_with_another_field_is_refused(capsys, tmp_path):
    (tmp_path / "study.yaml").write_text(STUDY.replace("{selector}", "{method}"))
    assert main(["results", str(tmp_path / "study.yaml")]) == 2
    assert "wandb.group: '{environment} with {method}' must be text, in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "folder"),
    [
        ("runs/duo", "runs/duo/tensorboard/Pendulum-v1/random/4"),
        ("results/s/runs/Pendulum-v1/random/4", "results/s/runs/Pendulum-v1/random/4/tensorboard"),
    ],
)
def test_tensorboard_names_a_run_by_environment_selector_and_seed(out, folder, tmp_path):
    assert event_folder(RUN, tmp_path / out) == tmp_path / folder


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("wandb", r"pip install active-rlhf\[wandb\]"), ("tensorbord", "must be one of none, ten")],
)
def test_a_missing_tracker_is_named(kind, expected, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match=expected):
        tracker(kind, RUN, tmp_path)
