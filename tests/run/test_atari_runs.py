"""Runs on Seaquest, by its pictures and by its memory: killed and resumed, small, and filmed."""

import json
import re
import shlex
import shutil
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from active_rlhf.behaviour.stacks import Pictures
from active_rlhf.cli import main
from active_rlhf.films.recorded import Recorded
from active_rlhf.labelling.data import read, write
from active_rlhf.results.inspection import inspect_run, scene_of, shown_segments
from active_rlhf.rewards.probe import ProbeSet
from active_rlhf.run import probe
from active_rlhf.run.saved import load_reward_model
from active_rlhf.run.training import Stopped, train
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.messages import ConfigError
from active_rlhf.study.probes import probe_for
from active_rlhf.tasks.atari import AtariOptions

ROOT = Path(__file__).parents[2]
GAME = "ALE/Seaquest-v5"
PIXELS = {
    "agent": {"name": "a2c", "network": "cnn", "environments": 4, "rollout_steps": 32}
    | {"precision": "bfloat16"},
    "reward_model": {"name": "cnn", "members": 2, "units": 8, "epochs": 1, "batch_size": 4},
    "selectors": {"duo": {"candidates": {"episodes": 5}}, "disagreement": {}},
}
RAM = {
    "agent": {"name": "a2c", "environments": 4, "rollout_steps": 32, "hidden": [16]},
    "reward_model": {"members": 2, "hidden": [16], "epochs": 1, "precision": "float32"},
    "selectors": ["duo", "variquery", "k_center"],
    "options": {"ram": True},
    "vae": {"segments": 40, "batch_size": 20, "epochs": 1, "precision": "float32"},
}


def study_of(kind):
    options = {"max_episode_steps": 150, **kind.get("options", {})}
    return load_study(
        "small.yaml",
        data={
            "study": "small",
            "seeds": [1],
            "environments": {GAME: {"options": options}},
            "total_steps": 960,
            "labels": {"total": 12, "initial": 4, "sessions": 3, "segment_length": 8}
            | {"first_after": 0.2, "oversampling": 2, "probe_pairs": 6},
            "evaluation": {"every": 960, "episodes": 1},
        }
        | {key: value for key, value in kind.items() if key != "options"},
    )


@pytest.fixture(scope="module", params=[pytest.param("pixels", marks=pytest.mark.slow), "ram"])
def kind(request):
    return {"pixels": PIXELS, "ram": RAM}[request.param]


@pytest.fixture(scope="module")
def whole(kind, tmp_path_factory):
    """A finished run, and what it is a run of."""
    out = tmp_path_factory.mktemp("whole") / "run"
    spec = resolve_run(study_of(kind), GAME, "duo", 1)
    train(spec, out)
    return spec, out


def test_killed_and_resumed_it_writes_the_same_bytes(whole, tmp_path):
    spec, out = whole
    for rollouts in (3, 14, 9):  # before and after labels, and more than one block of frames
        asked = iter(range(1000))
        with pytest.raises(Stopped):
            train(spec, tmp_path, stopping=lambda asked=asked, n=rollouts: next(asked) == n)
    train(spec, tmp_path)
    names = ("episodes.csv", "sessions.csv", "evaluations.csv", "labels.npz")
    for name in (*names, "reward_model.safetensors", "policy.safetensors"):
        assert (out / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_what_people_would_be_shown_is_the_game(whole, tmp_path):
    spec, out = whole
    finished = Recorded(out)
    queries = finished.queries()
    assert np.isfinite(queries.probabilities).all()
    segment = int(queries.ledger.column("pairs")[-1, 0])
    [film] = finished.films([segment])  # raises NotReproducible if a pixel or a byte differs
    assert film.pictures.shape == (8, 210, 160, 3)
    assert film.as_json()["palette"] is not None and film.dt == pytest.approx(1 / 15)

    turns = iter(range(1000))
    with pytest.raises(Stopped):
        train(spec, tmp_path, stopping=lambda: next(turns) == 28)
    training = Recorded(tmp_path)
    [same] = training.films([segment])
    np.testing.assert_array_equal(film.pictures, same.pictures)

    shown, _ = finished.policy_film(seed=5, steps=12)
    assert shown.pictures.shape == (12, 210, 160, 3) and shown.pictures[-1].std() > 0


def test_labels_are_saved_small_and_read_as_they_were(whole, tmp_path):
    _, out = whole
    [labels] = read(out / "labels.npz")
    write([labels], tmp_path / "labels.npz", segments=True)
    [again] = read(tmp_path / "labels.npz")
    assert again.digests == labels.digests
    seen = labels.columns["observations"]
    np.testing.assert_array_equal(seen, again.columns["observations"])
    if isinstance(seen, Pictures):
        assert (out / "labels.npz").stat().st_size < np.asarray(seen).nbytes / 20
    model = load_reward_model(out)
    assert np.isfinite(model.preferences(seen, labels.columns["actions"])).all()


def test_what_the_model_learned_is_told_as_far_as_it_can_be(whole):
    """Of pictures too; the rewards of steps by repeating the game."""
    _, out = whole
    where = scene_of(out)
    found = inspect_run(out, where)
    assert np.isnan(found["epic"]) and "no distance" in found["missing"][0]
    assert all(0 <= kind["accuracy"] <= 1 for kind in found["agreement"].values() if kind["n"])
    for query in shown_segments(out, where):
        np.testing.assert_array_equal(query["true"].sum(-1), query["returns"])


def test_a_probe_set_measures_the_model(kind, whole, tmp_path):
    _, out = whole
    path = tmp_path / "probe.npz"
    probe.make(probe_for(study_of(kind), GAME, "duo"), path)
    measured = ProbeSet.load(path).measured(load_reward_model(out))
    assert measured.keys() >= {"probe_accuracy"} and measured["probe_loss"] >= 0


def test_the_page_on_atari_says_what_is_so(kind, whole, tmp_path, monkeypatch):
    page = (ROOT / "docs/atari.md").read_text()
    told = dict(re.findall(r"^\| `(\w+)` \| `?([^`|]+?)`? \|", page, re.MULTILINE))
    fields = {name: field.default for name, field in AtariOptions.model_fields.items()}
    assert told.pop("blank") and fields.pop("blank") is None
    told.pop("options", None)
    assert told == {name: json.dumps(value) for name, value in fields.items()}
    monkeypatch.chdir(tmp_path)
    shutil.copytree(whole[1], "results/seaquest/runs/ALE%2FSeaquest-v5/duo/1")
    for line in re.findall(r"^active-rlhf (?:film|queries) .*$", page, re.MULTILINE):
        assert main(shlex.split(line)[1:]) == 0
    assert Path("film.html").exists() and Path("queries.html").exists()


@pytest.mark.parametrize("name", ["seaquest", "atari_small"])
def test_the_shipped_studies_can_run(name):
    study = load_study(ROOT / f"config/{name}.yaml")
    for selector in (*study.selectors, "true_reward", "random_policy"):
        assert resolve_run(study, GAME, selector, 1).total_steps > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "name"), [(PIXELS, "disagreement"), (RAM, "variquery"), (RAM, "k_center")]
)
def test_other_selectors_run(given, name, tmp_path):
    train(resolve_run(study_of(given), GAME, name, 1), tmp_path)
    assert (tmp_path / "run.json").exists()


CNN = {"agent": {"name": "a2c", "network": "cnn"}, "reward_model": "cnn"}


@pytest.mark.parametrize(
    ("environment", "options", "change", "message"),
    [
        ("ALE/Seaqest-v5", {}, CNN, "environments.*no such game.*did you mean 'ALE/Seaquest-v5'"),
        (GAME, {"blank": [[0, 9]]}, CNN, r"options.blank: must be a list of \[top"),
        (GAME, {"ram": True}, CNN, "agent.network: cnn needs pictures"),
        (GAME, {"ram": True}, {"reward_model": "cnn"}, "reward_model.name: cnn takes pictures"),
        (GAME, {}, CNN | {"reward_model": "mlp"}, "model.name: mlp takes flat observations"),
        (GAME, {}, CNN | {"selectors": ["variquery"]}, "the VAE takes flat observations"),
        (GAME, {}, CNN | {"selectors": ["motion"]}, "candidates motion compares flat observations"),
        (GAME, {}, CNN | {"selectors": ["k_center"]}, "picker k_center compares flat"),
        (GAME, {"max_episode_steps": 9}, CNN, "segment_length: 10 must be less than an episode"),
        ("SmallPicture-v0", None, CNN, "reward_model: cnn needs pictures of 43 x 43 pixels"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line_before_training(
    environment, options, change, message
):
    if "SmallPicture-v0" not in gymnasium.registry:
        gymnasium.register("SmallPicture-v0", SmallPicture, max_episode_steps=100)
    data = {
        "study": "small",
        "seeds": [1],
        "environments": {environment: {} if options is None else {"options": options}},
        "selectors": ["random"],
        "total_steps": 20480,
        "labels": {"total": 20, "initial": 10, "sessions": 2, "segment_length": 10},
    }
    with pytest.raises(ConfigError, match=message) as refused:
        load_study("small.yaml", data=data | change)
    assert "\n" not in str(refused.value)


class SmallPicture(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 255, (1, 40, 40), np.uint8)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros((1, 40, 40), np.uint8), {}

    def step(self, action):
        return np.zeros((1, 40, 40), np.uint8), 0.0, False, False, {}
