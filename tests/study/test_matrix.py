"""Names of environments as folders, and the runs of a study."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from active_rlhf.files import environment_of, folder_name, split
from active_rlhf.study import matrix
from active_rlhf.study.loading import load_spec, load_study, resolve_run
from active_rlhf.study.matrix import excluded, excluded_in, methods_trained, study_runs
from active_rlhf.study.messages import ConfigError
from active_rlhf.study.probes import probes
from active_rlhf.study.reading import parse_yaml

CONFIG = Path(__file__).parents[2] / "config"

SMALL = {
    "study": "small",
    "seeds": [1, 2],
    "environments": ["HalfCheetah-v5"],
    "selectors": ["duo", "true_reward", "random"],
}


def test_ids_that_are_folders_already_stay_as_they_are():
    for name in ("HalfCheetah-v5", "Point_Mass-v0", "a.b-v1"):
        assert folder_name(name) == name
    assert folder_name("ALE/Pong-v5") == "ALE%2FPong-v5"
    assert folder_name("my_package:PointMass-v0") == "my_package%3APointMass-v0"


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.text(alphabet="_/:%a", max_size=12),
)
def test_a_folder_tells_its_environment_and_is_one_part_of_an_exported_name(one, other):
    for name in (one, other):
        folder = folder_name(name)
        assert environment_of(folder) == name
        assert "/" not in folder and "__" not in folder
    assert (one == other) == (folder_name(one) == folder_name(other))


def test_baselines_come_after_the_selectors_and_only_once():
    study = load_study("small.yaml", data=SMALL | {"baselines": True})
    assert methods_trained(study) == ["duo", "true_reward", "random", "random_policy"]
    assert len(study_runs(study)) == len(set(study_runs(study))) == 8


def test_runs_come_seed_by_seed_without_those_excluded_by_either_name():
    environments = ["HalfCheetah-v5", "Hopper-v5"]
    exclude = [
        {"env": "Hopper-v5", "method": "DUO", "seed": 2, "reason": "a power cut"},
        {"env": "Hopper-v5", "method": "random", "seed": 1, "reason": "another"},
    ]
    given = {"environments": environments, "methods": {"duo": "DUO"}, "exclude": exclude}
    study = load_study("small.yaml", data=SMALL | given)
    assert excluded(study) == {
        ("Hopper-v5", "duo", 2): "a power cut",
        ("Hopper-v5", "random", 1): "another",
    }
    assert excluded_in(study, "Hopper-v5") == [("duo", 2), ("random", 1)]
    order = [(e, m, seed) for seed in (1, 2) for e in environments for m in SMALL["selectors"]]
    assert study_runs(study) == [run for run in order if run not in excluded(study)]


# --- variants ------------------------------------------------------------------------------------

VARIANTS = {
    "base": {},
    "mistake": {"teacher": "mistake"},
    "few": {"labels": {"total": 50}, "selectors": ["duo"]},
    "uniform": {"selectors": ["duo"], "selection": {"candidates": {"name": "uniform"}}},
    "tuned": {"environments": {"Hopper-v5": {"labels": {"segment_length": 30}}}},
}
CROSSED = {
    "study": "crossed",
    "seeds": [1, 2],
    "environments": ["Hopper-v5", "Ant-v5"],
    "total_steps": 40_960,
    "labels": {"total": 100, "initial": 20, "sessions": 5},
    "selectors": ["random", "duo", "true_reward"],
    "variants": VARIANTS,
}


def crossed(**changes):
    return load_study("study.yaml", data=CROSSED | changes)


def test_variants_are_crossed_with_every_selector_or_with_those_they_list():
    study = crossed()
    assert matrix.methods(study) == [
        *("random", "duo", "true_reward", "random@mistake", "duo@mistake"),
        *("duo@few", "duo@uniform", "random@tuned", "duo@tuned"),
    ]
    assert matrix.methods_of(study, "few") == {"duo@few": "duo"}
    # A baseline asks nothing, and so is itself in every variant.
    assert matrix.methods_of(study, "mistake")["true_reward"] == "true_reward"
    assert len(matrix.study_runs(study)) == 2 * 2 * 9
    assert load_study("stored.yaml", data=study.as_dict()) == study


def test_a_variant_changes_what_it_says_and_nothing_else(tmp_path):
    study, plain = crossed(), load_study("study.yaml", data={**CROSSED, "variants": None})
    for method, changed in {
        "random@mistake": {"teacher"},
        "duo@few": {"labels"},
        "duo@uniform": {"selection"},
        "duo@tuned": {"labels"},
        "duo": set(),
    }.items():
        selector, variant = split(method)
        resolved = resolve_run(study, "Hopper-v5", method, 1)
        assert resolved.method == method
        (tmp_path / "spec.json").write_text(json.dumps(resolved.as_dict()))
        assert load_spec(tmp_path / "spec.json") == resolved
        spec = resolved.as_dict()
        before = resolve_run(plain, "Hopper-v5", selector, 1).as_dict()
        assert spec.pop("variant", "") == variant and spec.keys() == before.keys()
        assert {key for key in spec if spec[key] != before[key]} == changed
    assert (
        resolve_run(study, "Ant-v5", "duo@tuned", 1).labels == study.environments["Ant-v5"].labels
    )
    uniform = resolve_run(study, "Ant-v5", "duo@uniform", 1).selection
    assert uniform.candidates.name == "uniform" and uniform.picker.name == "kmeans"


def alone(**changes):
    return {"a": {"by_selector": changes}}


SHORTER = {"agent": {"clip": 0.1}, "labels": {"segment_length": 20}}


def test_a_variant_may_change_selectors_by_themselves():
    changes = {
        "duo": {"selection": {"keep": 0.3}, "environments": {"Ant-v5": SHORTER}},
        "random": {"reward_model": {"learning_rate": 0.002}},
        "true_reward": {"agent": {"clip": 0.4}},
    }
    study = crossed(variants={"base": {}} | alone(**changes))
    assert matrix.methods(study)[3:] == ["random@a", "duo@a", "true_reward@a"]
    duo, random, reward = (resolve_run(study, "Ant-v5", f"{name}@a", 1) for name in changes)
    assert (duo.selection.keep, random.selection.keep) == (0.3, None)
    clips = [spec.agent.settings["clip"] for spec in (duo, random, reward)]
    assert clips == [0.1, 0.2, 0.4]
    rates = [spec.reward_model.settings["learning_rate"] for spec in (random, duo)]
    assert rates[0] == 0.002 != rates[1]
    assert resolve_run(study, "Hopper-v5", "duo@a", 1).agent.settings["clip"] == 0.2
    assert list(probes(study)) == ["Hopper-v5", "Ant-v5", "Ant-v5@a.duo"]
    assert load_study("stored.yaml", data=study.as_dict()) == study


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ({"a": {}, "b": {}}, "variants.b: changes nothing, as a does"),
        ({"a": {"labels": {"total": 100}}}, "variants.a: changes nothing; "),
        ({"a": {"vae": {"latent": 3}}}, "variants.a: changes nothing; "),
        (
            {"a": {"selectors": {"random": {}, "duo": {"keep": 0.3}}}},
            "variants.a: changes nothing for random; limit it: selectors: ['duo']",
        ),
        ({"a": {"teacher": "skip"}, "b": {"teacher": "skip"}}, "variants.b: is the same as a"),
        ({"a": {"total_steps": 81_920}}, "variants.a.total_steps: makes runs of Hopper-v5 81920 "),
        ({"a": {"agent": {"rollout_steps": 4000, "minibatches": 4}}}, "Hopper-v5 40000 steps long"),
        ({"a": {"labelz": {}}}, "variants.a: unknown key 'labelz', did you mean 'labels'?"),
        ({"a": {"labels": {"totl": 1}}}, "variants.a.labels: unknown key 'totl'"),
        ({"a": {"selectors": ["dua"]}}, "variants.a.selectors: unknown selector 'dua'"),
        ({"a": {"selectors": ["duo", "duo"]}}, "variants.a.selectors[1]: duo is listed twice"),
        ({"a": {"environments": {"Hop": {}}}}, "variants.a.environments: unknown environment"),
        ({"a": {"labels": {"total": 9}}}, "is more than labels.total = 9 (Hopper-v5) (variant a)"),
        ({"a@b": {"teacher": "skip"}}, "variants: 'a@b' must be made of letters, "),
        ({"a": 3}, "variants.a: must be a mapping of changes, not 3"),
        (alone(dua={}), "variants.a.by_selector: unknown selector of the variant 'dua'"),
        (alone(duo={}), "variants.a.by_selector.duo: must be a mapping of changes, not {}"),
        (alone(duo={"clip": 1}), "variants.a.by_selector.duo: unknown key 'clip'"),
        (alone(duo={"agent": {"clip": -1}}), "by_selector.duo.agent.clip: must be more than 0"),
        (alone(duo={"teacher": "skip"}), "by_selector.duo.teacher: a variant gives all its select"),
        (alone(duo={"labels": {"total": 50}}), "by_selector.duo.labels.total: a variant gives all"),
        (alone(duo={"agent": {"clip": 0.1}}), "variants.a: changes nothing for random; limit it"),
        ([], "variants: must be a mapping of names to changes, not []"),
    ],
)
def test_variants_that_cannot_be_compared_are_refused(variants, message):
    with pytest.raises(ConfigError) as error:
        crossed(variants=variants)
    assert message in str(error.value) and str(error.value).startswith("study.yaml: ")


def test_an_unknown_variant_of_a_run_is_named():
    with pytest.raises(ConfigError, match="unknown variant 'fwe', did you mean 'few'"):
        resolve_run(crossed(), "Hopper-v5", "duo@fwe", 1)


@pytest.mark.parametrize(
    ("name", "runs", "methods"),
    [("robustness", 1200, 28), ("budgets", 1040, 24), ("controls", 560, 12), ("ablation", 720, 34)],
)
def test_the_studies_that_come_with_the_package_load(name, runs, methods):
    study = load_study(CONFIG / f"{name}.yaml")
    assert len(study_runs(study)) == runs and len(matrix.methods(study)) == methods


def test_the_documented_variants_load():
    text = (CONFIG / "README.md").read_text()
    block = text.split("## Variants")[1].split("```yaml\n")[1].split("```")[0]
    labels = CROSSED["labels"] | {"total": 200}
    study = crossed(**parse_yaml(block, "README.md"), labels=labels)
    assert list(study.variants) == ["base", "mistake", "few", "uniform", "long"]
