"""A study that Snakemake trains while a person answers, through a power cut."""

import os
import signal
import subprocess
import sys
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

import httpx
import numpy as np
import pytest
import yaml
from asking import answers
from people import at_work
from serving import ROOT, begin_server, free_port

STUDY = {
    "study": "people",
    "seeds": [1, 2],
    "environments": ["Reacher-v5"],
    "selectors": ["random"],
    "total_steps": 24 * 64,
    "agent": {"rollout_steps": 64, "epochs": 1, "minibatches": 4},
    "labels": {"total": 24, "initial": 6, "sessions": 4, "segment_length": 5, "probe_pairs": 5},
    "reward_model": {"hidden": [8, 8], "epochs": 1, "precision": "float32"},
    "vae": {"precision": "float32"},
    "evaluation": {"every": 1536, "episodes": 1},
    "teacher": {"name": "human", "practice": 1},
    "checkpoint_every": 0.2,
}


@contextmanager
def person(port: int, name: str):
    """Answers left to all that is on their screen, until the end of the block."""

    def work(stop: Event, given: list[str]) -> None:
        here = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=here, headers={"Origin": here}, timeout=30) as client:
            while not stop.wait(0.05):
                with suppress(httpx.TransportError):
                    wish = {"annotator": name, "count": 3}
                    for showing in client.post("/api/next", json=wish).json()["showings"]:
                        body = {"annotator": name, "run": showing["run"], "answer": "left"}
                        body |= {"id": str(uuid.uuid4()), "showing": showing["id"]}
                        said = client.post("/api/answer", json=body)
                        assert said.status_code == 200, said.text
                        given.append(body["id"])

    with at_work(work) as given:
        yield given


def snakemake(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    runs = [f"results/people/runs/Reacher-v5/random/{seed}/run.json" for seed in (1, 2)]
    profile = ["--profile", str(ROOT / "profiles/local"), "--cores", "2"]
    study = ["--snakefile", str(ROOT / "Snakefile"), "--configfile", "study.yaml"]
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", *runs, *profile, *study, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
def test_a_study_with_a_person_in_it_goes_on_after_a_power_cut(tmp_path, monkeypatch):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    monkeypatch.chdir(tmp_path)
    port = free_port()
    workflow, server = snakemake(tmp_path), begin_server(Path("study.yaml"), port)
    given = []
    with person(port, "Ada") as said:
        while len(said) < 10:
            assert workflow.poll() is None, workflow.stdout.read()
            Event().wait(0.05)
        os.killpg(workflow.pid, signal.SIGKILL)
        server.kill()
        given += said
    workflow.communicate()
    server.communicate()
    unlocking = snakemake(tmp_path, "--unlock")
    assert unlocking.wait(120) == 0, unlocking.stdout.read()
    workflow, server = snakemake(tmp_path), begin_server(Path("study.yaml"), port)
    with person(port, "Ada") as said:
        output, _ = workflow.communicate(timeout=400)
        assert workflow.returncode == 0, output
    server.terminate()
    assert server.wait(30) == 0
    given += said
    folders = [tmp_path / f"results/people/runs/Reacher-v5/random/{seed}" for seed in (1, 2)]
    found = [one for folder in folders for one in answers(folder)]
    assert set(given) <= {one["id"] for one in found}
    assert len({one["showing"] for one in found}) == len(found)  # nothing was asked twice
    assert sum(one["purpose"] == "practice" for one in found) == 1  # once for the environment
    for folder in folders:
        with np.load(folder / "labels.npz") as labels:
            assert len(labels["preferences"]) == 24 and (labels["answered_at"] >= 0).all()
