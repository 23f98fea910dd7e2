"""Films show what happened: checked against MuJoCo and gymnasium, which know nothing of them."""

import json

import gymnasium
import mujoco
import numpy as np
import pytest
from film_runs import IN_STEP, ROLLOUT, ROLLOUTS, SMALL, spec, stopped
from run_files import assert_same_results

from active_rlhf.behaviour.ledger import Ledger
from active_rlhf.cli import main
from active_rlhf.errors import InputError
from active_rlhf.films import BodyFilm, NoFilm, PictureFilm, Studio, film_of_segment
from active_rlhf.films.recorded import Recorded
from active_rlhf.parts import task
from active_rlhf.run.training import train
from active_rlhf.tasks import NotReproducible
from active_rlhf.tasks.gym import ENVIRONMENTS, GymTask

STEPS, OFFSET = 80, 50
ROBOTS = [name for name in ENVIRONMENTS if name.endswith("-v5")]
SEED = 7

IN_STEP_CHANGES = {
    "agent": IN_STEP,
    "labels": SMALL["labels"] | {"segment_length": 10, "first_after": 0.2},
}


def acted(name, episodes=2):
    """Episodes in a run's task: origin, actions and stored observations of each."""
    acting, rng = GymTask(name, SEED), np.random.default_rng(0)
    for _ in range(episodes):
        actions = rng.normal(size=(STEPS, *acting.action_space.shape)).astype(np.float32)
        seen, origin = [], acting.origin
        for action in actions:
            seen.append(acting.observation.astype(np.float32))
            acting.step(action)
        yield origin, actions, np.array(seen)
        acting.reset()


def geoms(name, actions, episode):
    """Positions and rotations [STEPS, g] of all geoms, by gymnasium and MuJoCo alone."""
    env = gymnasium.make(name, **ENVIRONMENTS[name].options).unwrapped
    before = list(acted(name, episode))
    observation, _ = env.reset(seed=SEED)
    for _, earlier, _ in before:
        for action in earlier:
            env.step(np.clip(action, -1, 1).astype(np.float64))
        observation, _ = env.reset()
    places, turns, seen = [], [], []
    data = mujoco.MjData(env.model)
    low, high = env.action_space.low, env.action_space.high
    for action in actions:
        data.qpos[:] = env.data.qpos
        mujoco.mj_forward(env.model, data)
        places.append(data.geom_xpos.copy())
        turns.append(data.geom_xmat.copy().reshape(-1, 3, 3))
        seen.append(observation.astype(np.float32))
        observation, *_ = env.step(np.clip(action, low, high).astype(np.float64))
    return np.array(places), np.array(turns), np.array(seen)


def matrix(quaternion):
    out = np.zeros(9)
    mujoco.mju_quat2Mat(out, np.asarray(quaternion, float))
    return out.reshape(3, 3)


@pytest.mark.parametrize("name", ROBOTS)
def test_a_film_shows_every_geom_where_mujoco_has_it(name):
    studio = Studio(name, None, SEED)
    for episode, (origin, actions, seen) in enumerate(acted(name)):
        film = studio.segment(origin, actions, OFFSET, seen[OFFSET:])
        places, turns, observed = geoms(name, actions, episode)
        np.testing.assert_array_equal(observed, seen)
        assert isinstance(film, BodyFilm) and len(film) == STEPS - OFFSET
        assert film.dt == {"Hopper-v5": 0.008, "Walker2d-v5": 0.008}.get(name, 0.05)
        shown = film.stage["geoms"]
        assert len(shown) == places.shape[1]
        for t in range(0, len(film), 7):
            for number, geom in enumerate(shown):
                place, turn = np.array(geom["at"]), matrix(geom["turn"])
                if geom["body"] is not None:
                    pose = film.poses[t, geom["body"]]
                    turned = matrix(pose[3:])
                    place, turn = pose[:3] + turned @ place, turned @ turn
                np.testing.assert_allclose(place, places[OFFSET + t, number], atol=2e-5)
                np.testing.assert_allclose(turn, turns[OFFSET + t, number], atol=2e-5)
        with pytest.raises(NotReproducible, match=name):
            studio.segment(origin, actions, OFFSET, np.nextafter(seen[OFFSET:], np.float32(9)))


@pytest.mark.parametrize("name", ROBOTS)
def test_observations_alone_show_nearly_the_same(name):
    studio = Studio(name, None, SEED)
    for origin, actions, seen in acted(name):
        exact = studio.segment(origin, actions, OFFSET).poses
        film = studio.observed(seen[OFFSET:], actions[OFFSET:])
        start = exact[0, 0, :3] - film.poses[0, 0, :3]
        np.testing.assert_allclose(film.poses[..., 2:], exact[..., 2:], atol=1e-5)
        np.testing.assert_allclose(film.poses[..., :2] + start[:2], exact[..., :2], atol=0.02)
        assert len(film.to_bytes()) < 12_000


def test_a_picture_is_what_the_environment_shows():
    environment = GymTask("Dot-v0", 3)
    actions = np.random.default_rng(1).normal(size=(40, 2)).astype(np.float32)
    film = film_of_segment("Dot-v0", None, 3, None, actions, 10)
    dot = environment.env
    for t, action in enumerate(actions):
        if t >= 10:
            np.testing.assert_array_equal(film.pictures[t - 10], dot.picture())
        environment.step(action)
    assert film.dt == 1 / 25
    content = json.loads(film.to_bytes())
    assert content["frames"] == 30 and 2 < len(content["palette"]) < 40


def test_large_pictures_become_smaller_and_many_colours_fewer():
    class Noise:
        def render(self):
            return self.picture

    noise, rng = Noise(), np.random.default_rng(0)
    noise.picture = rng.integers(0, 256, (700, 1400, 3), np.uint8)
    from active_rlhf.films.studio import PictureCamera

    film = PictureCamera(noise, 0.1).film([noise.picture])
    assert film.pictures.shape == (1, 233, 466, 3)
    np.testing.assert_array_equal(
        film.pictures[0, 1, 2], np.rint(noise.picture[3:6, 6:9].mean((0, 1)))
    )
    assert film.as_json()["palette"] is None
    steps = np.arange(512, dtype=np.uint16).reshape(1, 1, 512, 1)
    grey = PictureFilm(np.concatenate([steps >> 1, steps >> 1, steps & 1], -1).astype(np.uint8), 1)
    assert len(grey.as_json()["palette"]) == 128


def test_a_task_of_your_own_is_seen_by_its_render():
    @task(name="own")
    class Own(GymTask):
        dt = 0.5

        def __init__(self, seed):
            super().__init__("Unseen-v0", seed)

        def render(self):
            return self.env.picture()

    actions = np.zeros((5, 2), np.float32)
    own, same = (film_of_segment(n, None, 2, None, actions) for n in ("own", "Dot-v0"))
    np.testing.assert_array_equal(own.pictures, same.pictures)
    assert own.dt == 0.5
    Own.render = lambda self: np.zeros(3)
    with pytest.raises(NoFilm, match=r"its render\(\) returns float64 \(3,\) rather than"):
        Studio("own")
    del Own.render
    with pytest.raises(NoFilm, match="own cannot be filmed: it has no render"):
        Studio("own")
    with pytest.raises(NoFilm, match="Unseen-v0 cannot be filmed: its render modes are none"):
        Studio("Unseen-v0")


def test_segments_of_a_run_are_shown_while_it_trains_and_later(runs):
    finished, going = map(Recorded, runs)
    ledger = Ledger.load(runs[0] / "labels.npz")
    early = ledger.column("pairs")[ledger.column("sessions") < 4]
    ids = np.unique(early).tolist()
    assert len(ids) > 10
    for now, later in zip(going.films(ids), finished.films(ids), strict=True):
        if isinstance(now, PictureFilm):
            np.testing.assert_array_equal(now.pictures, later.pictures)
        else:
            np.testing.assert_allclose(now.poses[..., 2:], later.poses[..., 2:], atol=1e-5)
    asked = going.queries()
    np.testing.assert_array_equal(
        asked.ledger.column("pairs"), ledger.column("pairs")[: asked.ledger.asked]
    )
    np.testing.assert_array_equal(asked.returns, finished.queries().returns[: len(asked.returns)])
    assert ((asked.probabilities >= 0) & (asked.probabilities <= 1)).all()
    assert going.studio.dt > 0 and going.name == finished.name
    other = going.films([0], 7)  # a run in training has all of its behaviour
    assert len(other[0]) == 7
    film, returned = finished.policy_film(5)
    again, same = finished.policy_film(5)
    assert len(film) == len(again) and returned == same


@pytest.mark.parametrize("changes", [{}, IN_STEP_CHANGES], ids=["alone", "in step"])
def test_a_resumed_run_keeps_the_same_replays(tmp_path, changes):
    train(spec("Dot-v0", **changes), tmp_path / "whole")
    for rollouts in (3, ROLLOUTS - 8):
        stopped("Dot-v0", tmp_path / "resumed", rollouts, **changes)
    going = Recorded(tmp_path / "resumed")
    known = going.episodes()
    early = going.queries().ledger.column("pairs").ravel().tolist()
    films = going.films(early)
    train(spec("Dot-v0", **changes), tmp_path / "resumed")
    whole = Recorded(tmp_path / "whole")
    for now, later in zip(films, whole.films(early), strict=True):
        np.testing.assert_array_equal(now.pictures, later.pictures)
    over = whole.episodes()  # of a finished run, those that ended
    assert len(over) > 8 and len(set(over) & set(known)) > len(known) - 6
    with pytest.raises(InputError, match="have no step 9999"):
        going.films([9999])
    assert_same_results(tmp_path / "whole", tmp_path / "resumed")
    with np.load(tmp_path / "whole/labels.npz") as labels:
        assert labels["replay_episodes"].shape == labels["pairs"].shape
        assert len(labels["replay_actions"]) < ROLLOUT * ROLLOUTS


@pytest.mark.parametrize("runs", ["Dot-v0"], indirect=True)
def test_what_a_run_does_not_have_is_said_in_one_line(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished, going = map(str, runs)
    kept = np.load(runs[0] / "labels.npz")["pairs"]
    gone = next(i for i in range(1000) if i not in kept)
    for arguments, said in (
        (["film", finished, "--segment", str(gone)], f"{gone} is none; near it are"),
        (["film", going, "--segment", "99999"], "have no step 99999"),
        (["film", going, "--segment", "99:0"], "99:0: there are "),
        (["film", going, "--segment", "0:9999"], "0:9999: this episode has "),
        (["film", going, "--segment", "a:b"], "must be a step, or episode:step, not 'a:b'"),
        (["film", going, "--steps", "0"], "--steps: must be at least 1"),
        (["film", going, finished, "--segment", "0"], "shows segments of one run"),
        (["film", str(tmp_path)], "no run, finished or with a checkpoint"),
        (["film", going, "--video", "x.avi"], "must end with .mp4 or .gif"),
        (["queries", str(tmp_path / "none")], "no run, finished or with a checkpoint"),
    ):
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1, error
    assert not list(tmp_path.iterdir())
    labels = runs[0] / "labels.npz"
    content = labels.read_bytes()
    labels.write_bytes(content[:100])
    with pytest.raises(InputError, match=r"labels\.npz: not the labels of a run"):
        Recorded(runs[0]).films([0])
    labels.write_bytes(content)
    training = Recorded(runs[1])
    (runs[1] / "checkpoint/rows").rename(tmp_path / "rows")  # as when it finishes now
    with pytest.raises(InputError, match="finished meanwhile"):
        training.films([0])
    (tmp_path / "rows").rename(runs[1] / "checkpoint/rows")
    del training._open[0]["parts"]["agent"]
    with pytest.raises(InputError, match="its checkpoint is of another version"):
        training.policy()
