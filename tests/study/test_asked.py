import pytest

from active_rlhf.study.asked import asked
from active_rlhf.study.loading import load_study

STUDY = {
    "study": "s",
    "seeds": [1],
    "environments": {"Hopper-v5": {}, "Ant-v5": {"labels": {"total": 1000}, "teacher": "mistake"}},
    "selectors": ["random", "true_reward"],
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"Hopper-v5": ("oracle", 500), "Ant-v5": ("bpref (eps_mistake 0.1)", 1000)}),
        ({"selectors": ["true_reward"]}, {}),
    ],
)
def test_teacher_and_budget_are_those_of_each_environment(changes, expected):
    assert asked(load_study("study.yaml", data=STUDY | changes)) == expected


def test_nothing_is_claimed_about_imported_runs(tmp_path):
    (tmp_path / "runs.csv").touch()
    study = {"study": "s", "imported": {"Hopper-v5": "runs.csv"}}
    assert asked(load_study(tmp_path / "study.yaml", data=study)) == {}
