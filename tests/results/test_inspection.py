"""What a reward model learned: a perfect one and its opposite are told apart from all sides."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from active_rlhf.analysis import inspection as analysis
from active_rlhf.analysis.wording import Terms
from active_rlhf.cli import main
from active_rlhf.figures import inspection as figures
from active_rlhf.files import sha256
from active_rlhf.results.inspection import (
    Behaviour,
    inspect_run,
    look,
    read_labels,
    scene,
    scene_of,
    shown_segments,
)
from active_rlhf.rewards.measures import calibration_error
from active_rlhf.run.session import reward_model
from active_rlhf.run.training import train
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.tables.inspection import inspection, of_run, states
from active_rlhf.tasks import made
from active_rlhf.tasks.placing import place

ENVIRONMENT = "CartPoleBalanced-v0"
STUDY = {
    "study": "known",
    "seeds": [1],
    "environments": {ENVIRONMENT: {"options": {"terminate": False}}},
    "selectors": ["random"],
    "parts": ["known_rewards.py"],
    "total_steps": 2048,
    "agent": {"rollout_steps": 512, "epochs": 1, "minibatches": 2, "hidden": [8]},
    "labels": {"total": 40, "initial": 40, "sessions": 1, "segment_length": 10, "probe_pairs": 40},
    "evaluation": {"every": 2048, "episodes": 1},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """A finished run of each: with the true reward as its reward model, and with its opposite."""
    place, found = tmp_path_factory.mktemp("known"), {}
    for name, sign in (("perfect", 1.0), ("inverted", -1.0)):
        data = STUDY | {"reward_model": {"name": "known", "sign": sign}}
        study = load_study(Path(__file__).with_name("study.yaml"), data=data)
        found[name] = place / name
        train(resolve_run(study, ENVIRONMENT, "random", 1), found[name])
    return found


def inspected(run: Path) -> dict:
    return inspect_run(run, scene_of(run))


def test_a_perfect_reward_is_told_from_its_opposite(runs):
    right, wrong = inspected(runs["perfect"]), inspected(runs["inverted"])
    assert (right["epic"], wrong["epic"]) == pytest.approx((0, 1), abs=1e-3)
    for measure in ("step_correlation", "within_segments"):
        assert (right[measure], wrong[measure]) == pytest.approx((1, -1), abs=1e-5)
    for kind in right["agreement"]:
        agreement = [found["agreement"][kind]["accuracy"] for found in (right, wrong)]
        assert agreement == [1.0, 0.0]
    for found, best in ((right, "centred"), (wrong, "spinning")):
        rows = {row["state"]: row for row in found["states"] if row["action"] == "every action"}
        assert rows.keys() == {"centred", "off-centre", "tilted", "spinning"}
        assert max(rows, key=lambda name: rows[name]["learned"]) == best
        assert max(rows, key=lambda name: rows[name]["true"]) == "centred"
    learned, true = (np.array(right["map"][key]) for key in ("learned", "true"))
    middle = learned.shape[0] // 2
    assert np.unravel_index(true.argmax(), true.shape) == (middle, middle)
    np.testing.assert_allclose(np.corrcoef(learned.ravel(), true.ravel())[0, 1], 1, atol=1e-6)
    assert right["map"]["axes"] == ["position", "angle"]


def test_true_rewards_of_steps_add_up_to_the_returns_that_the_run_recorded(runs):
    labels = read_labels(runs["perfect"])
    shown = shown_segments(runs["perfect"], scene_of(runs["perfect"]))
    gaps = np.abs(np.diff(labels.behaviour.returns)).ravel()
    assert gaps[shown[0]["query"]] == gaps.max() and gaps[shown[-1]["query"]] == gaps.min()
    for query in shown:
        np.testing.assert_allclose(query["true"].sum(-1), query["returns"], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("CartPole-v1", 0), ("HalfCheetah-v5", 1e-4), ("Hopper-v5", 0.01), ("Ant-v5", 0.5)],
)
def test_a_simulator_put_into_an_observed_state_pays_what_it_paid(name, tolerance):
    task, other, rng = made(name, 1), place(made(name, 2)), np.random.default_rng(0)
    paid, again = [], []
    for _ in range(100):
        seen = task.observation.astype(np.float32)
        action = rng.integers(2) if task.discrete else rng.normal(size=task.action_space.shape)
        paid.append(task.step(action)[0])
        again.append(other.reward(seen, action))
        if task.elapsed == 8:
            task.reset()
    np.testing.assert_allclose(again, paid, atol=tolerance)


@pytest.mark.parametrize("name", ["HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5"])
def test_robots_run_faster_than_they_stand_and_lie_where_they_fell(name):
    robot, still = place(task := made(name, 1)), np.zeros(task.action_space.shape)
    named = robot.states()
    rewards = {state: robot.reward(seen, still) for state, seen in named.items()}
    assert rewards["running"] == pytest.approx(rewards["standing"] + 2, abs=0.1)
    assert named["fallen"][0] < named["standing"][0] - 0.3
    assert named["running"][robot.dimensions[1]] == 2
    lying = named["fallen"][task.env.model.nq - task.unobserved :][: task.env.model.nv]
    assert np.abs(lying).max() < 0.1  # it has come to rest


def test_a_reliability_curve_adds_up_to_the_calibration_error():
    rng = np.random.default_rng(0)
    p, answers = rng.random(500), rng.choice([0, 0.5, 1], 500)
    parts = [analysis.reliability(p[half], answers[half]) for half in (slice(200), slice(200, 500))]
    whole, again = analysis.reliability(p, answers), analysis.pooled(parts)
    for key, expected in whole.items():
        np.testing.assert_allclose(again[key], expected)
    gaps = np.abs(whole["confidence"] - whole["right"])
    error = (gaps * whole["count"]).sum() / whole["count"].sum()
    assert error == pytest.approx(calibration_error(p, answers))
    assert whole["count"].sum() == (answers != 0.5).sum()


def test_the_summary_of_a_study_is_a_mean_over_seeds_with_its_interval(runs):
    right, wrong = (analysis.plain(inspected(runs[name])) for name in ("perfect", "inverted"))
    many = [right | {"seed": 1}, right | {"seed": 2}, wrong | {"method": "duo"}]
    failed = {"environment": ENVIRONMENT, "method": "duo", "seed": 2, "missing": ["gone"]}
    methods = {"random": "Random", "duo": "DUO"}
    table = analysis.summary(analysis.frame([*many, failed], methods))
    epic = table[table["name"] == "epic"].set_index("method")
    assert epic.loc["Random", "n"] == 2 and epic.loc["DUO", "n"] == 1
    assert epic.loc["Random", "mean"] == pytest.approx(right["epic"])
    assert np.isnan(epic.loc["DUO", "ci_low"])
    maps = analysis.mean_maps([*many, failed], methods)
    assert [maps[name]["n"] for name in ("Random", "DUO")] == [2, 1]
    np.testing.assert_allclose(maps["Random"]["learned"], right["map"]["learned"])
    curves = analysis.reliability_curves([*many, failed], methods)
    assert (
        curves["true returns"]["Random"]["count"].sum()
        == 2 * right["agreement"]["true returns"]["n"]
    )
    terms = Terms(methods=("Random", "DUO"))
    shown = inspection(table, terms, ENVIRONMENT, failed["missing"])
    assert shown.rows[0][0].text == "EPIC distance" and "gone" in shown.notes
    true = {row["state"]: row["true"] for row in right["states"]}
    assert [row[0].text for row in states(table, terms, ENVIRONMENT, true, "x").rows] == [*true]
    assert len(figures.maps(maps, terms, ENVIRONMENT).axes) == 2 * 3  # each with its colours
    assert len(figures.reliability(curves, terms, ENVIRONMENT).axes) == 2


def test_the_command_writes_a_page_with_numbers_figures_and_own_states(runs, tmp_path, capsys):
    own = tmp_path / "states.yaml"
    own.write_text(yaml.safe_dump({"states": {"at the end": [2.3, 0, 0, 0]}}))
    out = tmp_path / "out"
    before = sha256(runs["perfect"] / "run.json")
    command = ["inspect", str(runs["perfect"]), "--states", str(own), "--out", str(out)]
    assert main([*command, "--dims", "1,3"]) == 0
    said = capsys.readouterr().out
    assert "at the end" in said and "EPIC distance" in said
    data = json.loads((out / "inspection.json").read_text())
    assert data["map"]["axes"] == ["speed", "angular speed"] and len(data["segments"]) == 3
    page = (out / "index.html").read_text()
    assert page.count("data:image/png;base64,") == 3 and "http" not in page
    assert {path.suffix for path in out.iterdir()} == {".html", ".json", ".png", ".pdf"}
    assert sha256(runs["perfect"] / "run.json") == before


def test_where_the_true_reward_is_not_known_it_says_so():
    """A pendulum's observation tells its state, but nothing here can put it there."""
    data = STUDY | {"environments": ["Pendulum-v1"], "parts": None, "study": "other"}
    data = {key: value for key, value in data.items() if value is not None}
    spec = resolve_run(load_study("study.yaml", data=data), "Pendulum-v1", "random", 1)
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(20, 2, 10, 3)).astype(np.float32)
    behaviour = Behaviour(pairs, pairs[..., :1], rng.normal(size=(20, 2)), "made-up pairs")
    task = made("Pendulum-v1", 1)
    found = look(reward_model(spec, task, rng), scene(spec, behaviour))
    assert np.isnan(found["epic"]) and "there is no distance to it" in found["missing"][0]
    assert [row["state"] for row in found["states"]] == ["at the start"]
    assert found["map"]["kind"] == "means" and found["map"]["true"] is None
    named = {"environment": "Pendulum-v1", "method": "random", "seed": 1}
    assert [table.name for table in of_run(named | found)] == ["states", "agreement", "distance"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{folder}"], "no finished run (it has no run.json)"),
        (["{run}", "--dims", "0,4"], "--dims: observations of CartPoleBalanced-v0 have the dimen"),
        (["{run}", "--dims", "1"], "--dims: must be two different numbers, as in 0,2, not 1"),
        (["{run}", "--states", "{short}"], "states: half: 2 values, but observations of CartPole"),
        (["{run}", "--states", "{words}"], "words.yaml: states.half: must be a list of numbers"),
        (["{run}", "--states", "{none}"], "none.yaml: holds no `states: {name: [observation]}`"),
        (["{run}", "--probe", "{words}"], "words.yaml: holds no pairs of segments"),
    ],
)
def test_bad_input_gets_one_line(arguments, message, runs, tmp_path, capsys):
    for name, content in (("short", [0, 1]), ("words", ["a"])):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"states": {"half": content}}))
    (tmp_path / "none.yaml").write_text("a: 1\n")
    places = {name: tmp_path / f"{name}.yaml" for name in ("short", "words", "none")}
    places |= {"run": runs["perfect"], "folder": tmp_path}
    assert main(["inspect", *(text.format(**places) for text in arguments)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and message in said and said.count("\n") == 1
