"""Names of environments as folders, and which runs there are."""

from hypothesis import given
from hypothesis import strategies as st

from active_rlhf.files import environment_of, folder_name
from active_rlhf.study.loading import load_study
from active_rlhf.study.matrix import excluded, excluded_in, methods_trained, study_runs

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
