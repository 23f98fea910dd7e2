"""Fine-tuning: runs that start from the policies of finished runs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from run_files import assert_same_results
from trivial import STEPS, STUDY

from active_rlhf.files import sha256
from active_rlhf.results.provenance import write_record
from active_rlhf.run.directory import write
from active_rlhf.run.identity import code_fingerprint
from active_rlhf.run.loop import Run
from active_rlhf.run.saved import load_arrays, save_arrays
from active_rlhf.run.training import Stopped, train
from active_rlhf.study.loading import load_spec, load_study, resolve_run
from active_rlhf.study.settings import Spec
from active_rlhf.study.starting import seeded, source_record

SOURCES = "results/before/runs/Trivial-v0/true_reward/{seed}"
PLACE = "results/before/runs/{environment}/true_reward/{seed}"
SEEDS = [1, 2]


def study(**changes):
    data = {"study": "after", "seeds": SEEDS, "selectors": ["random", "true_reward"]}
    place = Path(__file__).with_name("study.yaml")
    return load_study(place, data=STUDY | data | {"start_from": PLACE} | changes)


def spec_of(selector: str = "random", seed: int = 1, **changes) -> Spec:
    return resolve_run(study(**changes), "Trivial-v0", selector, seed)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder with a finished run on the true reward for each seed."""
    place = tmp_path_factory.mktemp("source")
    for seed in SEEDS:
        spec = spec_of("true_reward", seed, study="before", start_from=None)
        run, out = Run(spec), place / f"results/before/runs/Trivial-v0/true_reward/{seed}"
        while run.done < run.plan.rollouts:
            run.advance()
        out.mkdir(parents=True)
        write(run, out, code_fingerprint(spec))
    return place


@pytest.fixture
def before(finished, tmp_path, monkeypatch) -> Path:
    """The first of these runs, in a copy of that folder, where the test works."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Path(PLACE.format(environment="Trivial-v0", seed=1))


def test_a_run_goes_on_from_the_policy_of_another_and_says_so(before):
    spec = spec_of(total_steps=1600)
    train(spec, "results/after/runs/Trivial-v0/random/1")
    result = json.loads(Path("results/after/runs/Trivial-v0/random/1/run.json").read_text())
    source = json.loads((before / "run.json").read_text())
    start = result["start_from"]
    assert start["run"] == str(before) and start["policy"] == source["files"]["policy.safetensors"]
    assert (start["method"], start["seed"], start["code"]) == ("true_reward", 1, source["code"])

    run, policy = Run(spec), load_arrays(before / "policy.safetensors")
    assert run.agent.arrays().keys() == policy.keys()
    for name, array in run.agent.arrays().items():
        np.testing.assert_array_equal(array, policy[name])
    run.advance()
    assert np.mean([e["return"] for e in run.episodes]) > 1.5 * STEPS  # a random policy earns 1
    assert (run.agent.arrays()["actor.w1"] != policy["actor.w1"]).any()

    Path("results/after/config.yaml").write_text("")
    runs = ["Trivial-v0/random/1"]
    write_record("after", runs, {}, {}, {}, {}, Path("results/after"), Path("results"))
    record = json.loads(Path("results/after/provenance.json").read_text())
    assert record["runs"][runs[0]]["start_from"] == start


def test_a_killed_run_ends_as_one_that_was_not(before):
    spec, asked = spec_of(), iter([False] * 5 + [True])
    train(spec, "alone")
    with pytest.raises(Stopped):
        train(spec, "killed", stopping=lambda: next(asked))
    train(spec, "killed")
    assert_same_results(Path("alone"), Path("killed"))


def test_another_policy_in_its_place_trains_again_and_another_place_of_the_record_does_not(before):
    spec = spec_of()
    whole = json.loads((before / "run.json").read_text())
    (before / "run.json").write_text(json.dumps(whole | {"wall_s": 1.0}))
    assert spec_of() == spec
    Path("spec.json").write_text(json.dumps(spec.as_dict()))
    assert load_spec("spec.json") == spec

    other = spec_of(seed=2)
    assert seeded(spec.as_dict(), 2) == other.as_dict()
    assert source_record(spec.as_dict(), 2) == before.with_name("2") / "run.json"
    for name in ("policy.safetensors", "run.json"):
        shutil.copy(before.with_name("2") / name, before / name)
    assert spec_of().start_from == other.start_from != spec.start_from
    with pytest.raises(ValueError, match=r"spec.json: start_from: .* has the hash .*, not "):
        load_spec("spec.json")


def edited(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


REFUSED = {
    "no such run": (lambda run: shutil.rmtree(run), {}, "there is no run results/before/"),
    "unfinished": (lambda run: (run / "run.json").unlink(), {}, "is not finished (it has no run"),
    "half": (lambda run: edited(run / "run.json", status="running"), {}, "(its run.json says so)"),
    "not a run": (lambda run: (run / "run.json").write_text("{}"), {}, "is not that of a run"),
    "edited": (lambda run: (run / "policy.safetensors").write_bytes(b""), {}, "is not the file th"),
    "another environment": (
        lambda run: None,
        {"environments": ["Pendulum-v1"], "start_from": SOURCES},
        "is a run of Trivial-v0, not of Pendulum-v1",
    ),
    "another network": (
        lambda run: None,
        {"agent": STUDY["agent"] | {"hidden": [8, 8]}},
        "has agent.hidden = [64, 64], and this run [8, 8]",
    ),
    "the study's own": (lambda run: None, {"study": "before"}, "is of this study itself"),
    "other placeholders": (lambda run: None, {"start_from": "{run}"}, "must be text, in which"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_started_from_is_refused_in_one_line(case, before):
    spoil, changes, message = REFUSED[case]
    spoil(before)
    with pytest.raises(ValueError) as refusal:
        study(**changes)
    said = str(refusal.value)
    assert "start_from: " in said and message in said and "\n" not in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actor.w1": np.zeros((3, 64), np.float32)}, r"actor.w1 has the shape \[3, 64\] there"),
        ({"actor.w9": np.zeros(1, np.float32)}, "only one of them has actor.w9"),
        ({"actions.low": np.full(1, -2, np.float32)}, r"actions.low is \[-2.0\] there"),
    ],
)
def test_a_policy_of_other_spaces_is_refused_before_training(before, change, message):
    path = before / "policy.safetensors"
    save_arrays(load_arrays(path) | change, path)
    edited(before / "run.json", files={path.name: sha256(path)})
    with pytest.raises(ValueError, match=f"start_from: .* does not fit the agent ppo: {message}"):
        Run(spec_of())
