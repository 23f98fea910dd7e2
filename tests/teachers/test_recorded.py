"""A run of people, repeated without them."""

import json
from contextlib import suppress

import pytest
import yaml
from people import SMALL, person, spec
from run_files import BESIDE

from active_rlhf.cli import main
from active_rlhf.errors import InputError
from active_rlhf.labelling.data import read
from active_rlhf.run.training import Stopped, train
from active_rlhf.study.loading import load_spec, load_study, resolve_run
from active_rlhf.study.messages import ConfigError

WAITING = {"all": {}, "none": {"wait": "none", "retrain_after": 3}}


@pytest.fixture(scope="module", params=WAITING)
def human(request, tmp_path_factory):
    """A finished run of people, cut once on its way; who is not waited for answers late too."""
    folder = tmp_path_factory.mktemp("human") / "Reacher-v5" / "random" / "1"
    with person(folder):
        looks = iter([False] * 15)
        with suppress(Stopped):
            train(spec(**WAITING[request.param]), folder, stopping=lambda: next(looks, True))
        train(spec(**WAITING[request.param]), folder)
    [labels] = read(folder)
    late = labels.columns["answered_at"] != labels.steps
    assert late.any() == (request.param == "none")
    return folder


def assert_repeated(human, run):
    names = {path.name for path in human.iterdir()} - BESIDE
    assert names == {path.name for path in run.iterdir()} - BESIDE
    for name in names - {"run.json", "finished.json", "progress.json", "timings.csv"}:
        assert (human / name).read_bytes() == (run / name).read_bytes(), name


@pytest.mark.slow
def test_killed_and_resumed_it_ends_with_the_same_bytes(human, tmp_path):
    recorded = spec("recorded", labels=str(human / "labels.npz"))
    for _ in range(3):
        looks = iter([False] * 6)
        with suppress(Stopped):
            train(recorded, tmp_path / "cut", stopping=lambda: next(looks, True))  # noqa: B023
    train(recorded, tmp_path / "cut")
    assert_repeated(human, tmp_path / "cut")


@pytest.mark.slow
def test_from_an_export_too_and_only_its_own_queries_are_answered(human, tmp_path, capsys):
    out = tmp_path / "people.jsonl"
    assert main(["labels", str(human), "--out", str(out)]) == 0
    train(spec("recorded", labels=str(out)), tmp_path / "again")
    assert_repeated(human, tmp_path / "again")
    with pytest.raises(InputError, match=r"people\.jsonl: query 0 of session 0, step 64: asks ab"):
        train(spec("recorded", seed=2, labels=str(out)), tmp_path / "other")


@pytest.mark.slow
@pytest.mark.parametrize("human", ["none"], indirect=True)
def test_the_file_is_part_of_what_a_run_is(human, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    labels = tmp_path / "studies" / "people.npz"
    labels.write_bytes((human / "labels.npz").read_bytes())
    file = tmp_path / "studies" / "repeat.yaml"
    file.write_text(
        yaml.safe_dump(SMALL | {"teacher": {"name": "recorded", "labels": labels.name}})
    )
    study = load_study(file)
    found = resolve_run(study, "Reacher-v5", "random", 1)
    assert found.teacher.settings["labels"] == "studies/people.npz"
    assert len(found.teacher.settings["sha256"]) == 64
    assert load_study(file, data=study.as_dict()) == study
    (tmp_path / "spec.json").write_text(json.dumps(found.as_dict()))
    assert load_spec("spec.json") == found
    labels.write_bytes(b"other")
    assert resolve_run(load_study(file), "Reacher-v5", "random", 1) != found
    with pytest.raises(ConfigError, match=r"spec\.json: teacher\.sha256: studies/people\.npz has "):
        load_spec("spec.json")
    with pytest.raises(InputError, match=r"people\.npz: not labels"):
        train(resolve_run(load_study(file), "Reacher-v5", "random", 1), tmp_path / "run")
    labels.unlink()
    with pytest.raises(ConfigError, match=r"teacher\.labels: there is no file "):
        load_study(file)
