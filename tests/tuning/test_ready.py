"""Files of tuned settings: a study that has one in its environments/ runs the tuned settings."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_study import TINY

from active_rlhf.analysis.wording import Terms
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.tuning import tuned_study
from active_rlhf.tuning.choice import Choice, variants
from active_rlhf.tuning.outcome import objective_in_words
from active_rlhf.tuning.ready import comments, overridden, ready

SPACE = {
    "reward_model.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True},
    "labels.weights": {"choices": ["equal", "recent"]},
    "agent.hidden": {"choices": [[64, 64], [32, 32]]},
    "selection.picker.beta": {"low": 0.1, "high": 0.9, "selectors": ["hybrid"]},
}
VALUES: dict[str, Any] = {
    "reward_model.learning_rate": 3.5381452647748404e-05,
    "labels.weights": "equal",
    "agent.hidden": [32, 32],
    "selection.picker.beta": 0.25498081068428013,
}
EXISTING = """\
# Tuned before.
labels: {segment_length: 20}
reward_model: {dropout: 0.2, learning_rate: 1e-3}
selectors:
  duo: {keep: 0.5}
  hybrid: {picker: {q_min: 0.6}}
"""


def study_in(folder: Path, existing: str = "", **changes: Any) -> Any:
    (folder / "environments").mkdir(parents=True, exist_ok=True)
    if existing:
        (folder / "environments/Hopper-v5.yaml").write_text(existing, encoding="utf-8")
    labels = {key: value for key, value in TINY["labels"].items() if key != "segment_length"}
    given = TINY | {"labels": labels, "evaluation": {"every": 4096, "episodes": 10}} | changes
    (folder / "study.yaml").write_text(yaml.safe_dump(given))
    return load_study(folder / "study.yaml")


SWEEP = {"seeds": [101, 102], "trials": 4, "space": SPACE}


@pytest.mark.parametrize("existing", ["", EXISTING], ids=["alone", "merged"])
def test_a_study_with_the_file_runs_the_tuned_settings(existing, tmp_path):
    space = {k: v for k, v in SPACE.items() if k != "labels.weights"}
    study = study_in(tmp_path / "before", existing, sweep=SWEEP | {"space": space})
    values = {key: VALUES[key] for key in space}
    choice = Choice(4, 2, 7.5, [2], None, {"best": values, "typical": values})
    tested = tuned_study(study, {"best": variants({"hybrid": choice})["best"]})
    wanted = resolve_run(tested, "Hopper-v5", "hybrid@best", 1)
    assert wanted.as_dict()["selection"]["picker"]["beta"] == values["selection.picker.beta"]
    file = tmp_path / "before/environments/Hopper-v5.yaml"
    text = ready("hybrid", True, values, file if existing else None, ["where from"])
    after = study_in(tmp_path / "after", text)
    found = resolve_run(after, "Hopper-v5", "hybrid", 1)
    assert found.as_dict() | {"variant": "best"} == wanted.as_dict()
    if existing:
        assert text.startswith("# Tuned before.\n# where from\n")
        assert yaml.safe_load(text)["selectors"]["duo"] == {"keep": 0.5}


def test_settings_of_a_study_s_own_selector_are_for_the_study():
    text = ready("mine", False, VALUES, None, [])
    assert yaml.safe_load(text).keys() == {"reward_model", "labels", "agent"}
    (line,) = (line for line in text.splitlines() if line.startswith("# mine is the study's own"))
    assert yaml.safe_load(line.partition("put its settings there: ")[2].partition(": ")[2]) == {
        "mine": {"picker": {"beta": VALUES["selection.picker.beta"]}}
    }


def test_what_the_study_itself_gives_is_named():
    given = {
        "reward_model": {"learning_rate": 1e-3},
        "environments": {"Hopper-v5": {"agent": {"hidden": [8]}, "labels": "x"}, "Ant-v5": None},
        "selectors": {"hybrid": {"picker": {"beta": 0.1}}},
    }
    everywhere = ["reward_model.learning_rate", "selectors.hybrid.picker.beta"]
    assert overridden(given, "Ant-v5", "hybrid", list(VALUES)) == everywhere
    here = overridden(given, "Hopper-v5", "hybrid", list(VALUES))
    assert sorted(here) == sorted([*everywhere, "agent.hidden"])
    listed = {"environments": ["Hopper-v5"], "selectors": ["hybrid"]}
    assert overridden(listed, "Hopper-v5", "hybrid", list(VALUES)) == []
    assert "take these out of the study: agent.hidden" in ready(
        "duo", True, {}, None, [], ["agent.hidden"]
    )


def test_the_file_says_where_its_values_come_from(tmp_path):
    study = study_in(
        tmp_path, sweep=SWEEP | {"space": {"agent.hidden": SPACE["agent.hidden"]}, "trials": 2}
    )
    choice = Choice(2, 1, 151.1, [1], None, {"best": VALUES, "typical": VALUES})
    words = objective_in_words(study.sweep, Terms.of(study.as_dict()), 1)
    made_by = {"commit": "abc", "modified": True, "optuna": "5.0.0"}
    where = "tiny", study.sweep, "hybrid", "Hopper-v5"
    best = " ".join(comments(*where, "best", choice, "c0de", made_by, words))
    for said in ("tiny", "hybrid on Hopper-v5", "number 1", "151 (mean of the evaluation return",
                 "largest of 2 and so optimistic", "101, 102", "tpe (Optuna 5.0.0)",
                 "abc, edited since", "c0de"):  # fmt: skip
        assert said in best
    typical = comments(*where, "typical", choice, "c0de", {"optuna": "5"}, words)
    assert "typical of the best 1 of 2 trials: 1" in typical[0] and "not in git" in typical[2]
