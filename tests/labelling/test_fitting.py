"""Reward models compared on labels of people who see the same, and of one who does not look."""

import numpy as np
import pandas as pd
import pytest
import yaml

from active_rlhf.behaviour.ledger import Ledger
from active_rlhf.cli import main
from active_rlhf.errors import InputError
from active_rlhf.labelling.data import PERSON, Labels, read, write
from active_rlhf.labelling.fitting import answers_of, compare, splits
from active_rlhf.study.settings import Choice
from active_rlhf.teachers import Answers

SMALL = {"hidden": [16], "epochs": 5, "learning_rate": 3e-3, "precision": "float32"}
SEEN = ("Ada", "Bo")


def labels(n=90, people=(*SEEN, "Cy"), shared=0, action=None):
    """The reward is the first observation less the second; Cy answers by chance."""
    rng = np.random.default_rng(1)
    observations = rng.normal(size=(n, 2, 6, 3)).astype(np.float32)
    actions = rng.normal(size=(n, 2, 6, 1)).astype(np.float32) if action is None else action
    returns = (observations[..., 0] - observations[..., 1]).sum(-1).astype(float)
    right = np.where(returns[:, 0] > returns[:, 1], "first", "second")
    ledger = Ledger(n)
    ledger.ask(np.arange(2 * n).reshape(n, 2), 0, np.zeros(n, bool))
    ledger.answer(np.arange(n), Answers((right == "first") * 1.0, np.ones(n)), 5)
    columns = {"budget": np.int64(n), **ledger.state_dict()}
    columns |= {"observations": observations, "actions": actions, "returns": returns}
    said = []
    for i in range(n):
        asked = people if i < shared else people[i % len(people) :][:1] if people else ()
        said.append([])
        for who in asked:
            answer = str(rng.choice(["first", "second"])) if who == "Cy" else right[i]
            for this in ("equal", str(answer)):  # everybody changes their mind once
                row = dict.fromkeys(PERSON) | {"annotator": who, "answer": this}
                said[-1].append(row | {"purpose": "query", "showing": f"{i} {who}"})
    steps = np.zeros(n, np.int64)
    return Labels(("E", "m", 1), columns, steps, [""] * n, said)


def model(**changes):
    return Choice(name="mlp", **SMALL | changes)


def test_what_can_be_learned_is_and_chance_is_seen_as_chance():
    found = compare(
        answers_of([labels(180)]),
        {"good": model(), "none": model(learning_rate=1e-9)},
        passes=40,
        seeds=2,
    )
    of = found.set_index(["reward_model", "held_out"])
    for person in SEEN:
        assert of.loc[("good", person), "accuracy"] > 0.7
    assert of.loc[("good", "Cy"), "accuracy"] < 0.7 and of.loc[("good", "all"), "n"] == 180
    assert of.loc[("none", "all"), "accuracy"] < of.loc[("good", "all"), "accuracy_low"]
    assert (found["accuracy_low"] < found["accuracy"]).all()
    assert (found["accuracy"] < found["accuracy_high"]).all()
    assert found["labels"].eq(120).all()


@pytest.mark.parametrize(("people", "shared"), [((), 0), (("Ada", "Bo"), 90), ((*SEEN, "Cy"), 9)])
def test_no_pair_of_a_test_was_learned_from_and_nobody_is_on_both_sides(people, shared):
    answers = answers_of([labels(people=people, shared=shared), labels(people=people)])
    assert (answers.preference != 0.5).all()  # what was said first does not count
    tested = []
    for split in splits(answers, 5):
        learned = answers.query[split.training], answers.person[split.training]
        assert not set(learned[0]) & set(answers.query[split.test])
        assert set(answers.person[split.test]) == {split.held_out}
        assert not people or split.held_out not in learned[1]
        tested += split.test.tolist()
    assert sorted(tested) == list(range(len(answers.query)))


def test_scores_choose_as_many_labels_as_they_may():
    found = compare(
        answers_of([labels(60, people=())]),
        {"mlp": model()},
        ("range", "none"),
        share=0.25,
        passes=25,
        folds=2,
        seeds=1,
    )
    assert found["score"].tolist() == ["all labels", "range", "none"]
    assert found["labels"].round().tolist() == [30, 8, 8]


def test_discrete_actions_and_what_cannot_be_fitted():
    choices = np.random.default_rng(2).integers(0, 4, size=(20, 2, 6))
    answers = answers_of([labels(20, people=(), action=choices)])
    assert compare(answers, {"m": model()}, passes=5, folds=2, seeds=1)["n"].tolist() == [20]
    with pytest.raises(InputError, match="too few to hold any out"):
        splits(answers_of([labels(1, people=())]), 2)
    bare = labels(3)
    kept = {k: v for k, v in bare.columns.items() if k != "actions"}
    with pytest.raises(InputError, match="E m seed 1: labels without segments"):
        answers_of([Labels(bare.run, kept, bare.steps, bare.digests, bare.people)])
    with pytest.raises(InputError, match="differ in shape"):
        answers_of([labels(3), labels(20, action=choices)])


def test_the_command_prints_a_table_and_writes_a_csv(tmp_path, capsys):
    write([labels(30)], tmp_path / "people.jsonl", segments=True)
    assert read(tmp_path / "people.jsonl")[0].has_segments
    (tmp_path / "study.yaml").write_text(
        yaml.safe_dump(
            {"study": "s", "seeds": [1], "environments": ["Hopper-v5"], "selectors": ["random"]}
            | {"reward_model": {"name": "mlp", **SMALL}}
        )
    )
    command = ["reward-fit", str(tmp_path / "people.jsonl"), "--passes", "5", "--seeds", "1"]
    of_study = ["--study", str(tmp_path / "study.yaml"), "--env", "Hopper-v5"]
    more = ["--reward-model", "mlp", "{name: torch_mlp, hidden: [4]}", "--score", "entropy"]
    assert main([*command, *of_study, *more, "--out", str(tmp_path / "fits.csv")]) == 0
    printed = capsys.readouterr().out
    assert "| Reward model |" in printed and "[4]" in printed
    made = pd.read_csv(tmp_path / "fits.csv")
    assert len(made) == 2 * 2 * 4 and made["cross_entropy"].notna().all()
    for wrong, why in (
        (["--reward-model", "nothing"], "unknown reward model 'nothing'"),
        (["--score", "nothing"], "unknown score 'nothing'"),
        (["--folds", "1"], "--folds: must be at least 2"),
        (["--share", "0"], "--share: must be above 0"),
        (["--study", str(tmp_path / "study.yaml")], "--env: missing"),
    ):
        assert main([*command, *wrong]) == 2
        assert why in capsys.readouterr().err
