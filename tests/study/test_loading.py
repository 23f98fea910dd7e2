import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from active_rlhf.agents.ppo.settings import PPOSettings
from active_rlhf.cli import main
from active_rlhf.study import matrix
from active_rlhf.study.endpoints import measures, reward_endpoints
from active_rlhf.study.loading import load_spec, load_study, merge, parse_set, resolve_run
from active_rlhf.study.matrix import study_runs
from active_rlhf.study.measures import REWARD_MODEL, both_forms
from active_rlhf.study.messages import ConfigError
from active_rlhf.study.reading import parse_yaml, read_yaml
from active_rlhf.study.settings import Study

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
SMALL = {
    "study": "small",
    "seeds": [1, 2],
    "environments": ["HalfCheetah-v5"],
    "selectors": ["random", "duo"],
    "total_steps": 20480,
    "labels": {"total": 20, "initial": 4, "sessions": 5},
}


def small(**changes):
    return load_study("small.yaml", overrides=changes, data=SMALL)


def message(study, overrides=None, path="small.yaml"):
    with pytest.raises(ConfigError) as error:
        load_study(path, overrides, study)
    assert "\n" not in str(error.value)
    assert re.match(rf"{re.escape(str(path))}(:\d+)?: ", str(error.value))
    return str(error.value).removeprefix(str(path)).partition(": ")[2]


def test_the_endpoint_evaluation_needs_ten_episodes(tmp_path):
    """Of every run; imported runs have none."""
    few = {"evaluation": {"episodes": 9}}
    assert measures(small()) == ["endpoint", "auc", "evaluation"]
    assert measures(small(**few)) == ["endpoint", "auc"]
    assert measures(small(statistics={"endpoint": "last"}, **few)) == ["endpoint", "auc", "final"]
    assert measures(small(statistics={"endpoint": "evaluation"})) == ["endpoint", "auc", "final"]
    said = "evaluation takes at least 10 episodes, but `evaluation.episodes` is 9 in HalfCheetah-v5"
    for chosen in ({"endpoint": "evaluation"}, {"further": ["evaluation"]}):
        assert said in message(SMALL | few | {"statistics": chosen})
        variants = {"base": {}, "few": few}
        assert said in message(SMALL | {"statistics": chosen, "variants": variants})
    (tmp_path / "x.csv").touch()
    study = {"study": "x", "imported": {"Hopper-v5": str(tmp_path / "x.csv")}}
    chosen = {"statistics": {"endpoint": "evaluation"}}
    said = message(study | chosen)
    assert said == "statistics.endpoint: evaluation: imported runs have no evaluations"


def test_reward_endpoints_need_a_reward_model(tmp_path):
    asked = {"statistics": {"reward_endpoints": ["reward_loss"]}}
    assert reward_endpoints(small(**asked)) == ["reward_loss", "reward_loss_auc"]
    assert reward_endpoints(small()) == both_forms(REWARD_MODEL)
    assert reward_endpoints(small(statistics={"reward_endpoints": []})) == []
    alone = SMALL | {"selectors": ["true_reward"]}
    (tmp_path / "x.csv").touch()
    imported = {"study": "x", "imported": {"Hopper-v5": str(tmp_path / "x.csv")}}
    for study, why in ((alone, "the study's selectors learn"), (imported, "imported runs have")):
        assert reward_endpoints(load_study("small.yaml", None, study)) == []
        said = f"statistics.reward_endpoints: {why} no reward model; remove this key"
        assert message(study | asked) == said


# --- the studies shipped -------------------------------------------------------------------------


# One row an environment: ppo lr, gamma, lambda, clip, entropy, value; H, labels, per session;
# hidden; reward lr, decay, dropout; latent, vae lr, decay, KL, noise, segments, batch; clusters;
# Hybrid's beta, q_min, temperature. The VAE is a smaller network with its own learning rates
# (docs/fidelity.md); everything else is the thesis's.
THESIS = """
HalfCheetah-v5 5e-4 .98 .9  .3 6e-4 .35 50  500 10 256x3 8e-5 1e-5 .1 16 2.8e-3 1e-4 2e-4 .1  4096 256 12 .5 .5 1.5
Hopper-v5      3e-5 .99 .95 .3 3e-4 .55 75  500 10 256x3 8e-5 5e-6 .2 64 2e-3 2e-5 0    0   2048 512 10 .5 .6 .7
Walker2d-v5    5e-4 .99 .95 .1 2e-3 .45 75  500 10 256x3 4e-4 6e-6 .2 64 4e-3 2e-5 1e-5 .05 1024 256 8  .5 .5 1.0
Ant-v5         3e-4 .98 .9  .2 3e-4 .55 25 1000 20 512x2 5e-4 7e-6 .2 64 4e-3 4e-6 0    .1  4096 512 5  .7 .5 1.0
"""  # noqa: E501


@pytest.mark.parametrize("row", THESIS.split("\n")[1:5], ids=lambda row: row.split()[0])
def test_the_thesis_study_has_the_published_settings(row):
    environment, *cells = row.split()
    study = load_study(CONFIG / "thesis.yaml")
    spec = {
        name: resolve_run(study, environment, name, 27474278).as_dict() for name in study.selectors
    }
    ppo, labels = spec["hybrid"]["agent"], spec["hybrid"]["labels"]
    reward, vae = spec["hybrid"]["reward_model"], spec["hybrid"]["vae"]
    dpp = spec["hybrid"]["selection"]["picker"]
    found = [
        *(ppo[k] for k in ("learning_rate", "gamma", "gae_lambda", "clip")),
        *(ppo["entropy_coefficient"], ppo["value_coefficient"]),
        *(labels["segment_length"], labels["total"], labels["total"] / labels["sessions"]),
        f"{reward['hidden'][0]}x{len(set(enumerate(reward['hidden'])))}",
        *(reward[k] for k in ("learning_rate", "weight_decay", "dropout")),
        *(vae[k] for k in ("latent", "learning_rate", "weight_decay", "kl_weight", "noise")),
        *(vae["segments"], vae["batch_size"]),
        spec["variquery"]["selection"]["candidates"]["clusters"],
        *(dpp[k] for k in ("beta", "q_min", "temperature")),
    ]
    assert [x if "x" in str(x) else float(x) for x in found] == [
        x if "x" in x else float(x) for x in cells
    ]
    assert len(set(reward["hidden"])) == 1
    assert labels["initial"] == 32
    assert spec["hybrid"]["total_steps"] == 1_000_000
    common = {"rollout_steps": 2048, "epochs": 10, "minibatches": 32}
    assert ppo | common | {"max_grad_norm": 0.5} == ppo
    assert labels | {"oversampling": 10, "validation_fraction": 0.2, "sessions": 50} == labels
    learner = {"members": 3, "epochs": 5, "batch_size": 32, "max_grad_norm": 1.0}
    assert reward | learner == reward


def test_the_thesis_matrix_and_what_it_compares_with():
    study = load_study(CONFIG / "thesis.yaml")
    assert len(study_runs(study)) == 160
    published = study.as_dict()["published"]
    assert set(published) == set(matrix.environments(study))
    names = set(matrix.display_names(study).values())
    assert all(set(row) == names for row in published.values())
    assert published["Ant-v5"]["DUO"] == {"mean": -512, "sd": 220, "n": 10}


def test_the_published_study_says_where_its_files_come_from(tmp_path):
    path = CONFIG / "published.yaml"
    study = read_yaml(path)
    for file in study["imported"].values():
        assert f"`{Path(file).name}`" in (ROOT / "data/published/README.md").read_text()
    missing = {env: f"none/{Path(file).name}" for env, file in study["imported"].items()}
    assert "imported.HalfCheetah-v5: there is no file none/runs_half" in message(
        study | {"imported": missing}, path=str(path)
    )
    for file in study["imported"].values():
        (tmp_path / Path(file).name).touch()
    here = {env: str(tmp_path / Path(file).name) for env, file in study["imported"].items()}
    loaded = load_study(path, data=study | {"imported": here})
    assert study_runs(loaded) == []
    assert matrix.environments(loaded) == list(here)
    order = list(dict.fromkeys(matrix.display_names(loaded).values()))
    assert order == ["Random", "VARIQuery", "DUO", "Hybrid"]


@pytest.mark.parametrize("name", ["halfcheetah", "walker"])
def test_the_published_names_cover_the_published_files(name, published):
    file = published / f"runs_{name}_400.csv"
    methods = read_yaml(CONFIG / "published.yaml")["methods"]
    found = {line.split("__")[1] for line in file.read_text().splitlines()[1:]}
    assert sorted(methods[part] for part in found) == ["DUO", "Hybrid", "Random", "VARIQuery"]
    seeds = {int(line.split(",")[1]) for line in file.read_text().splitlines()[1:]}
    assert seeds == set(load_study(CONFIG / "thesis.yaml").seeds)


# --- what wins -----------------------------------------------------------------------------------


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))


def test_precedence_from_defaults_to_the_command_line(tmp_path):
    layers = ["environment file", "study", "study's environment", "--set"]
    for strongest in range(5):
        values = dict(zip(layers, [0.91, 0.92, 0.93, 0.94], strict=True))
        used = {name: {"agent": {"gamma": values[name]}} for name in layers[:strongest]}
        write(
            tmp_path / "environments/HalfCheetah-v5.yaml",
            used.get("environment file", {"agent": {"clip": 0.1}}),
        )
        study = SMALL | {"environments": {"HalfCheetah-v5": used.get("study's environment")}}
        study |= used.get("study", {})
        write(tmp_path / "study.yaml", study)
        spec = resolve_run(
            load_study(tmp_path / "study.yaml", used.get("--set")), "HalfCheetah-v5", "duo", 1
        )
        expected = [PPOSettings().gamma, *values.values()][strongest]
        assert spec.agent.settings["gamma"] == expected
        assert spec.total_steps == 20480


def test_selectors_from_preset_to_command_line(tmp_path):
    from active_rlhf.selection.presets import PRESETS

    def keep(study, name="duo", overrides=None):
        write(tmp_path / "study.yaml", study)
        loaded = load_study(tmp_path / "study.yaml", overrides)
        return resolve_run(loaded, "HalfCheetah-v5", name, 1).selection.keep

    assert keep(SMALL) == PRESETS["duo"]["keep"]
    write(tmp_path / "environments/HalfCheetah-v5.yaml", {"selectors": {"duo": {"keep": 0.1}}})
    assert keep(SMALL) == 0.1
    study = SMALL | {"selectors": {"duo": None, "other": {"base": "duo"}}}
    assert keep(study, "other") == 0.1
    study["selectors"] = {"duo": {"keep": 0.2}, "other": {"base": "duo", "keep": 0.3}}
    assert (keep(study), keep(study, "other")) == (0.2, 0.3)
    study["environments"] = {"HalfCheetah-v5": {"selectors": {"duo": {"keep": 0.4}}}}
    assert keep(study) == 0.4
    assert keep(study, overrides=parse_set("selectors.duo.keep=.6")) == 0.6


def test_a_part_with_another_name_brings_its_own_settings():
    base = {"picker": {"name": "dpp", "beta": 0.5}, "score": "range"}
    paired = {"name": "uniform", "pairing": "cross_cluster", "clusters": 9}
    assert merge(base, {"picker": {"beta": 0.7}})["picker"] == {"name": "dpp", "beta": 0.7}
    assert merge(base, {"picker": {"name": "top"}})["picker"] == {"name": "top"}
    assert base["picker"]["beta"] == 0.5
    assert merge(paired, {"name": "on_policy"}) == paired | {"name": "on_policy"}
    independent = {"pairing": "independent"}
    assert merge(paired, independent) == {"name": "uniform"} | independent


def test_lists_on_the_command_line_replace_the_studys():
    study = small(**parse_set("selectors=[hybrid, duo]"), environments=["Hopper-v5"])
    assert list(study.selectors) == ["hybrid", "duo"]
    assert matrix.environments(study) == ["Hopper-v5"]
    assert list(small(selectors={"hybrid": {}}).selectors) == ["random", "duo", "hybrid"]


def test_methods_name_the_selectors_of_the_study_in_table_order():
    assert list(matrix.display_names(small())) == ["random", "duo"]
    study = small(methods={"hybrid": "Hybrid", "duo": "DUO"})
    assert list(matrix.display_names(study).items()) == [("random", "random"), ("duo", "DUO")]


def test_loading_a_loaded_study_changes_nothing():
    for name in ("demo", "thesis"):
        study = load_study(CONFIG / f"{name}.yaml")
        as_json = json.loads(json.dumps(study.as_dict()))
        assert load_study(CONFIG / f"{name}.yaml", data=as_json) == study
        assert Study(**as_json) == study


# --- the spec of a run ---------------------------------------------------------------------------


def test_a_spec_holds_what_its_run_uses_and_nothing_else():
    study = small(selectors=["random", "hybrid", "true_reward"])
    keys = {
        name: set(resolve_run(study, "HalfCheetah-v5", name, 1).as_dict())
        for name in study.selectors
    }
    agent = {"environment", "selector", "seed", "total_steps", "agent", "evaluation"}
    assert keys["true_reward"] == agent
    assert keys["random"] == agent | {"labels", "teacher", "reward_model", "selection"}
    assert keys["hybrid"] == keys["random"] | {"vae"}


def test_what_is_no_part_of_a_run_changes_no_spec():
    def specs(**changes):
        study = small(**changes)
        return [resolve_run(study, *run) for run in study_runs(study)]

    unchanged = specs()
    for key, value in {
        "tracking": "tensorboard",
        "checkpoint_every": 5,
        "resources": {"mem_mb": 9000, "runtime": 5, "partition": "long", "gres": "gpu:1"},
        "statistics": {"alpha": 0.01, "endpoint": "best"},
        "figures": {"interval": "sd"},
        "methods": {"duo": "D", "random": "R"},
        "published": {"HalfCheetah-v5": {"DUO": {"mean": 1, "sd": 1, "n": 3}}},
        "study": "other",
    }.items():
        assert specs(**{key: value}) == unchanged
    assert specs(seeds=[1, 2, 3])[:2] == unchanged[:2]
    only_duo = specs(selectors={"duo": {"keep": 0.9}})
    assert [a == b for a, b in zip(only_duo, unchanged, strict=True)] == [True, False, True, False]


def test_numbers_have_one_spelling():
    spec = resolve_run(small(), "HalfCheetah-v5", "duo", 1)
    changes = {"total_steps": 20480.0, "agent": {"max_grad_norm": 0.5}, "seeds": [1.0, 2.0]}
    same = resolve_run(small(**changes), "HalfCheetah-v5", "duo", 1)
    assert json.dumps(same.as_dict()) == json.dumps(spec.as_dict())
    whole = resolve_run(
        small(agent={"clip": 1}, evaluation={"every": 1e4}), "HalfCheetah-v5", "duo", 1
    )
    assert json.dumps([whole.agent.clip, whole.evaluation.every]) == "[1.0, 10000]"


NEUTRAL = {"beta": 0.0, "gamma": 1.0, "eps_skip": 0.0, "eps_equal": 0.0, "eps_mistake": 0.0}
BPREF = {"name": "bpref"} | NEUTRAL
HUMAN = {
    "name": "human_simulated",
    "weights": {"return": 1.0, "length": 0.5, "smoothness": 0.2},
    "noise": 0.25,
    "bias": 0.05,
}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"name": "oracle"}),
        ({"tie_threshold": 3}, {"name": "oracle", "tie_threshold": 3.0}),
        ("mistake", BPREF | {"eps_mistake": 0.1}),
        ({"name": "mistake", "gamma": 0.5}, BPREF | {"eps_mistake": 0.1, "gamma": 0.5}),
        (
            {"name": "human_simulated", "weights": {"return": 2}},
            HUMAN | {"weights": {"return": 2.0, "length": 0.5, "smoothness": 0.2}},
        ),
    ],
)
def test_teachers_are_complete_in_a_spec(given, expected):
    study = small(teacher=given)
    spec = resolve_run(study, "HalfCheetah-v5", "duo", 1)
    assert spec.as_dict()["teacher"] == expected
    assert load_study("small.yaml", data=study.as_dict()) == study


def test_specs_survive_a_file_and_are_checked_again(tmp_path):
    path = tmp_path / "spec.json"
    study = small(selectors=["random", "hybrid", "true_reward"])
    for run in study_runs(study):
        spec = resolve_run(study, *run)
        path.write_text(json.dumps(spec.as_dict()))
        assert load_spec(path) == spec

    hybrid = resolve_run(study, "HalfCheetah-v5", "hybrid", 1).as_dict()
    for change, expected in (
        ({"vae": None}, "vae: missing"),
        ({"seed": -1}, "seed: must be at least 0, not -1"),
        ({"total_steps": None}, "total_steps: missing"),
        ({"agent": {"name": "ppo", "clip": 0.2}}, "agent.network: missing"),
        ({"agent": hybrid["agent"] | {"clop": 1}}, "agent: unknown setting of ppo 'clop', did you"),
        ({"extra": 1}, "unknown key 'extra'; known: environment, "),
        ({"selector": "true_reward"}, "labels: unknown key"),
        ({"teacher": {"name": "orakel"}}, "unknown teacher 'orakel', did you mean 'oracle'?"),
        ({"environment": "../x"}, "environment: '../x' must be made of letters"),
    ):
        path.write_text(json.dumps({k: v for k, v in (hybrid | change).items() if v is not None}))
        with pytest.raises(ConfigError, match=re.escape(expected)):
            load_spec(path)
    nobody = json.dumps(hybrid | {"teacher": None})
    for text in ("", "[1]", '{"a": NaN}', "[" * 100_000, nobody):
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"spec\.json: "):
            load_spec(path)


def test_asking_for_what_a_study_does_not_have():
    with pytest.raises(ConfigError, match="unknown environment 'Ant-v5'; known: HalfCheetah-v5"):
        resolve_run(small(), "Ant-v5", "duo", 1)
    with pytest.raises(ConfigError, match="unknown selector 'dou', did you mean 'duo'"):
        resolve_run(small(), "HalfCheetah-v5", "dou", 1)
    assert resolve_run(small(), "HalfCheetah-v5", "duo", 77).seed == 77


# --- mistakes ------------------------------------------------------------------------------------

MISTAKES = {
    "totl_steps=3": "unknown key 'totl_steps', did you mean 'total_steps'?",
    "agent.clop=3": "agent: unknown setting of ppo 'clop', did you mean 'clip'?",
    "ppo.clip=0.1": "ppo: is called `agent` now, and total_steps is a separate key",
    "environments={Hopper-v5: {ppo: {clip: 1}}}": "environments.Hopper-v5.ppo: is called `agent`",
    "selectors=[duo, duoo]": "selectors[1]: unknown selector 'duoo', did you mean 'duo'?",
    "selectors=[duo, duo]": "selectors[1]: duo is listed twice",
    "selectors={a__b: {base: duo}}": "selectors: 'a__b' must be made of letters",
    "selectors={true_reward: {keep: 1}}": "selectors.true_reward: true_reward asks nothing",
    "selectors.duo.scores=range": "selectors.duo: unknown key 'scores', did you mean 'score'?",
    "environments=[HalfCheeta-v5]": "environments[0]: unknown environment 'HalfCheeta-v5', did",
    "environments=[Hopper-v5, Hopper-v5]": "environments[1]: Hopper-v5 is listed twice",
    "environments=[FrozenLake-v1]": "environments[0]: environment 'FrozenLake-v1' needs a Box",
    "environments=[../../etc]": "environments[0]: '../../etc' must be made of letters",
    "environments={Hopper-v5: {selectors: {dou: {}}}}": "Hopper-v5.selectors: unknown selector",
    "seeds=[1, 2, 1]": "seeds[2]: 1 is listed twice",
    "seeds=[a]": "seeds[0]: must be a whole number, not 'a'",
    "seeds=[1.5]": "seeds[0]: must be a whole number, not 1.5",
    "seeds=[]": "seeds: must not be empty",
    "study=../escape": "study: '../escape' must be made of letters",
    'study="a\\n"': "study: 'a\\n' must be made of letters",
    "agent.clip=-0.1": "agent.clip: must be more than 0, not -0.1",
    "agent.gamma=1.01": "agent.gamma: must be at most 1, not 1.01",
    "agent.clip=.nan": "agent.clip: nan is not a usable number",
    "total_steps=1e30": "total_steps: 1e+30 is not a usable number",
    "agent.anneal=1": "agent.anneal: must be true or false, not 1",
    "agent=fast": "agent.name: unknown agent 'fast'; known: ppo, a2c",
    "agent=3": "agent: must be a name or a mapping with a name, not 3",
    "total_steps=2000": "total_steps: 2000 is less than one rollout of 2048",
    "agent={name: a2c, network: cnn}": "agent.network: cnn needs pictures, not numbers; use mlp",
    "agent.environments=3": "agent.environments: 3 does not divide rollout_steps = 2048",
    "agent.minibatches=30": "agent.minibatches: 30 does not divide rollout_steps = 2048",
    "labels.initial=21": "labels.initial: 21 is more than labels.total = 20",
    "labels.sessions=21": "labels.sessions: 21 sessions cannot share labels.total = 20",
    "labels.initial=18": "labels.sessions: 2 queries are left after the first session",
    "labels.first_after=0.7": "labels.sessions: 5 is more than the 4 rollouts, as labels.first",
    "labels.first_after=1": "labels.first_after: ",
    "labels.before_labels=none": "labels.before_labels: nothing comes before the labels, as",
    "labels.sessions=1": "labels.initial: one session asks all 20 queries at once, not 4",
    "labels.validation_fraction=0.01": "labels.validation_fraction: 0.01 of 20 queries leaves none",
    "labels={initial: 1, validation_fraction: .9}": "leaves the first session none to train on",
    "labels.validation_fraction=1": "labels.validation_fraction: must be less than 1, not 1",
    "labels.segment_length=1000": "labels.segment_length: 1000 must be less than an episode (1000",
    "reward_model.hidden=[]": "reward_model.hidden: must not be empty",
    "reward_model.hidden=[64, 0]": "reward_model.hidden[1]: must be at least 1, not 0",
    "teacher.name=orcale": "teacher.name: unknown teacher 'orcale', did you mean",
    "teacher.eps_skip=.1": "unknown setting of oracle 'eps_skip'; known: tie_quantile",
    "teacher={tie_quantile: .1, tie_threshold: 1}": "give tie_quantile or tie_threshold, not both",
    "tracking=tensorbord": "tracking: must be one of none, tensorboard, wandb, not 'tensorbord'",
    "resources.gres=gpu 1": "resources.gres: 'gpu 1' must be a name, perhaps a type, and a number",
    "resources.account=123": "resources.account: must be text, not 123",
    "resources.partition=a b": "resources.partition: 'a b' must be a partition, or several between",
    "methods={dou: DUO}": "methods: unknown selector 'dou', did you mean 'duo'?",
    "agent={rollout_steps: 64, minibatches: 64}": "agent.minibatches: 64 leaves one step each",
    "methods={duo: ' '}": "methods.duo: ' ' must be more than blanks",
    "methods={duo: random}": "methods.duo: random is called 'random' too",
    "environments=[all]": "environments[0]: results use this name for something else",
    "exclude=[{env: Ant-v5, method: duo, seed: 1, reason: x}]": "exclude[0].env: unknown",
    "exclude=[{env: HalfCheetah-v5, method: dou, seed: 1, reason: x}]": "exclude[0].method: unkn",
    "exclude=[{env: HalfCheetah-v5, method: duo, seed: 9, reason: x}]": "exclude[0].seed: 9 is not",
    "exclude=[{env: HalfCheetah-v5, method: duo, seed: 1}]": "exclude[0].reason: missing",
    "imported={Hopper-v5: x.csv}": "environments: a study of imported runs trains nothing",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_with_file_and_key(mistake):
    assert MISTAKES[mistake] in message(SMALL, parse_set(mistake))


def test_what_is_excluded_must_leave_something():
    study = SMALL | {"selectors": ["duo", "true_reward"], "seeds": [1], "baselines": True}
    out = [{"env": "HalfCheetah-v5", "seed": 1, "reason": "x", "method": "true_reward"}]
    said = "exclude: leaves no run of true_reward in HalfCheetah-v5, which `baselines` need"
    assert said in message(study | {"exclude": out}, {})
    out.append(out[0] | {"method": "duo"})
    said = "exclude: leaves no run of HalfCheetah-v5; remove the environment"
    assert said in message(study | {"exclude": out}, {})


def test_mistakes_of_whole_files(tmp_path):
    for missing in ("study", "seeds", "environments", "selectors"):
        assert f"{missing}: missing" in message({k: v for k, v in SMALL.items() if k != missing})
    assert message({**SMALL, 5: 1}) == "top: key 5 is not a name"
    path = tmp_path / "a study ü.yaml"
    for text, expected in (
        ("", "a mapping of keys is expected, not nothing"),
        ("- 1", "a mapping of keys is expected, not a list"),
        ("study: a\nstudy: b", ":2: key 'study' is given twice"),
        ("study: [a", ":1: expected ',' or ']'"),
        ("a: &x 1\nb: *x", ":2: aliases are not supported"),
        ("study: !!python/object/apply:os.system [echo]", "os.system is not supported"),
        ("study: !!int x", "not valid YAML"),
        ("x: " + "[" * 5000, "not valid YAML"),
        ("x: " + "[" * 30 + "]" * 30, "x: nested too deeply"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=re.escape(expected)) as error:
            load_study(path)
        assert str(error.value).startswith(f"{path}:")
        assert "\n" not in str(error.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_study(tmp_path)
    path.write_bytes(b"study: \xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_study(path)


@pytest.mark.parametrize("text", ["", "agent", "=3", "agent..clip=3", ".=1"])
def test_malformed_settings(text):
    with pytest.raises(ConfigError, match="not of the form key=value"):
        parse_set(text)


# --- reading -------------------------------------------------------------------------------------


SCALARS = {"5e-4": 5e-4, "1e6": 1e6, ".5": 0.5, "-3.": -3.0, "1_000_000": 1_000_000, "010": 10}
SCALARS |= {"true": True, "null": None, "": None}
SCALARS |= {text: text for text in ("1:30", "yes", "2020-01-01", "1e", "<<")}


@pytest.mark.parametrize(("text", "value"), SCALARS.items())
def test_scalars_are_what_they_look_like(text, value):
    found = parse_yaml(text, "here")
    assert found == value
    assert type(found) is type(value)


def test_numbers_that_another_parser_left_as_text():
    read_elsewhere = yaml.safe_load("{learning_rate: 5e-4}")
    assert read_elsewhere == {"learning_rate": "5e-4"}
    study = load_study("small.yaml", data=SMALL | {"agent": read_elsewhere})
    assert study.environments["HalfCheetah-v5"].agent.settings["learning_rate"] == 5e-4


def test_loading_is_light():
    """A bad study is refused before anything slow is imported."""
    code = (
        "import sys; from active_rlhf.study.loading import load_study\n"
        "load_study('config/thesis.yaml')\n"
        "print(sorted({'torch','numba','mujoco','gymnasium','scipy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


# --- where a mistake stands ----------------------------------------------------------------------

STUDY_FILE = """\
study: small
seeds: [1]
environments:
  HalfCheetah-v5:
    agent:
      gamma: 0.9
      clip: {clip}
selectors:
  - random
  - {selector}
total_steps: 20480
labels: {{total: 20, initial: 4,
         sessions: {sessions}}}
"""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"clip": -1}, "7: environments.HalfCheetah-v5.agent.clip: must be more than 0, not -1"),
        ({"selector": "duoo"}, "10: selectors[1]: unknown selector 'duoo', did you mean 'duo'?"),
        ({"sessions": 30}, "13: labels.sessions: 30 sessions cannot share labels.total = 20"),
    ],
)
def test_a_mistake_is_told_with_its_line(change, expected, tmp_path):
    path = tmp_path / "study.yaml"
    given = {"clip": 0.1, "selector": "duo", "sessions": 5}
    path.write_text(STUDY_FILE.format(**given))
    load_study(path)
    path.write_text(STUDY_FILE.format(**given | change))
    with pytest.raises(ConfigError, match=re.escape(f"{path}:{expected}")):
        load_study(path)
    # Also where another parser read the file, as in a workflow.
    with pytest.raises(ConfigError, match=re.escape(f"{path}:{expected}")):
        load_study(path, data=yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"agent": {"clp": 1}}, "2: agent: unknown setting of ppo 'clp', did you mean 'clip'?"),
        ({"selectors": {"doo": {}}}, "2: selectors: unknown selector 'doo'"),
        ({"seeds": [1]}, "1: unknown key 'seeds'"),
        ({"labels": {"segment_length": 1000}}, "2: labels.segment_length: 1000"),
        ({"ppo": {"clip": 0.1}}, "1: ppo: is called `agent` now"),
    ],
)
def test_a_setting_is_blamed_on_the_file_that_it_is_from(content, expected, tmp_path):
    tuned = tmp_path / "environments/HalfCheetah-v5.yaml"
    write(tuned, content)
    write(tmp_path / "study.yaml", SMALL)
    with pytest.raises(ConfigError, match=re.escape(f"{tuned}:{expected}")):
        load_study(tmp_path / "study.yaml")


# --- what matters where --------------------------------------------------------------------------


def test_checks_apply_to_the_runs_in_question():
    """Sessions that do not fit are no matter of a run that asks nothing."""
    data = SMALL | {"selectors": ["hybrid"], "labels": {"sessions": 100}}
    for cells in ({}, {"cells": [("HalfCheetah-v5", "duo")]}):
        with pytest.raises(ConfigError, match=r"labels\.sessions"):
            load_study("small.yaml", data=data, **cells)
    for baseline in ("true_reward", "random_policy"):
        study = load_study("small.yaml", data=data, cells=[("HalfCheetah-v5", baseline)])
        assert resolve_run(study, "HalfCheetah-v5", baseline, 1).labels is None
    vae = SMALL | {"vae": {"segments": 10, "batch_size": 11}}
    assert resolve_run(load_study("small.yaml", data=vae), "HalfCheetah-v5", "duo", 1).vae is None
    with pytest.raises(ConfigError, match=r"vae\.batch_size: more than vae\.segments = 10"):
        load_study("small.yaml", data=vae, cells=[("HalfCheetah-v5", "hybrid")])


@pytest.mark.parametrize("name", ["random", "true_reward", "random_policy"])
def test_a_spec_that_is_read_is_the_one_that_was_written(name, tmp_path):
    """Also where the agent acts in several environments, in which random policies do not count."""
    agent = {"name": "a2c", "environments": 4, "rollout_steps": 64}
    study = load_study("small.yaml", data=SMALL | {"agent": agent, "total_steps": 100_000})
    spec = resolve_run(study, "HalfCheetah-v5", name, 1)
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec.as_dict()))
    assert load_spec(path) == spec


def test_any_preset_can_be_trained_with_what_is_tuned_for_it(tmp_path):
    tuned = {"selectors": {"hybrid": {"picker": {"beta": 0.25}}}}
    write(tmp_path / "environments/HalfCheetah-v5.yaml", tuned)
    write(tmp_path / "study.yaml", SMALL)
    study = load_study(tmp_path / "study.yaml")
    assert list(study.selectors) == ["random", "duo"]
    hybrid = resolve_run(study, "HalfCheetah-v5", "hybrid", 1)
    assert hybrid.selection.picker.settings["beta"] == 0.25 and hybrid.vae is not None
    assert resolve_run(study, "HalfCheetah-v5", "entropy", 1).selection.score.name == "entropy"
    again = load_study("elsewhere.yaml", data=study.as_dict())
    assert resolve_run(again, "HalfCheetah-v5", "hybrid", 1) == hybrid


def test_options_of_an_environment_are_part_of_its_runs():
    options = {"max_episode_steps": 300, "forward_reward_weight": 2.0}
    study = small(environments={"HalfCheetah-v5": {"options": options}})
    spec = resolve_run(study, "HalfCheetah-v5", "duo", 1)
    assert spec.options == options
    assert spec.as_dict()["options"] == options
    assert "options" not in resolve_run(small(), "HalfCheetah-v5", "duo", 1).as_dict()
    options = {"max_episode_steps": 40}
    with pytest.raises(ConfigError, match=r"labels\.segment_length: 50 must be less than an ep"):
        small(environments={"HalfCheetah-v5": {"options": options}})
    with pytest.raises(ConfigError, match=r"environments\.HalfCheetah-v5: .*no_such_option"):
        small(environments={"HalfCheetah-v5": {"options": {"no_such_option": 1}}})


OWN = '''
from typing import Annotated

from pydantic import Field

from active_rlhf.parts import score


@score
def spread(pairs, *, power: Annotated[float, Field(gt=0, description="of it")] = 2.0):
    """Spread to a power."""
    return pairs.scores
'''


def test_a_studys_own_parts_bring_their_settings(tmp_path, capsys):
    (tmp_path / "own_score_of_this_test.py").write_text(OWN)
    path = tmp_path / "study.yaml"
    mine = {"score": {"name": "spread"}, "picker": "top"}
    write(path, SMALL | {"parts": ["own_score_of_this_test.py"], "selectors": {"mine": mine}})
    study = load_study(path)
    spec = resolve_run(study, "HalfCheetah-v5", "mine", 1)
    assert spec.selection.score.settings == {"power": 2.0}
    file = str(tmp_path / "own_score_of_this_test.py")
    assert list(spec.parts) == ["score spread"]
    assert Path(spec.parts["score spread"]).resolve() == Path(file)
    (tmp_path / "spec.json").write_text(json.dumps(spec.as_dict()))
    assert load_spec(tmp_path / "spec.json") == spec
    wrong = parse_set("selectors.mine.score.power=0")
    with pytest.raises(ConfigError, match=r"selectors\.mine\.score\.power: must be .* not 0"):
        load_study(path, wrong)
    with pytest.raises(ConfigError, match=r"study\.yaml:\d+: parts: there is no file .*none\.py"):
        load_study(path, data=read_yaml(path) | {"parts": ["none.py"]})
    assert main(["explain", "spread.power", "--study", str(path)]) == 0
    said = capsys.readouterr().out
    assert said == "score.power of spread\n  of it\n  unit: number; default: 2.0; more than 0\n"
    assert main(["list", "--study", str(path)]) == 0
    assert "Spread to a power" in capsys.readouterr().out
    load_study(CONFIG / "demo.yaml")  # which has none
    with pytest.raises(ConfigError, match="unknown score 'spread'"):
        load_study("small.yaml", data=SMALL | {"selectors": {"mine": mine}})


def test_a_part_given_by_its_name_alone_may_be_changed():
    mistaken = SMALL | {"teacher": "mistake"}
    changed = load_study("small.yaml", {"teacher": {"eps_mistake": 0.3}}, mistaken)
    for chosen in changed.environments.values():
        assert chosen.teacher.name == "bpref" and chosen.teacher.settings["eps_mistake"] == 0.3


def test_episodes_shorter_than_a_segment_are_found_before_anything_trains():
    """Falling over takes some ten steps, and gymnasium ends the episode there."""
    study = SMALL | {"environments": ["InvertedPendulum-v5"]}
    said = message(study, {})
    assert "labels.segment_length: under random actions episodes last" in said
    fits = int(re.search(r"none holds two segments of 50; set at most (\d+)", said)[1])
    assert 2 <= fits <= 12
    load_study("small.yaml", {"labels": {"segment_length": fits}}, study)
