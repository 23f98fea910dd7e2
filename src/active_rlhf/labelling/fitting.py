"""Reward models trained and compared offline, on labels that are there already."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, nan
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.agents.normalise import Moments
from active_rlhf.analysis.intervals import percentile_interval, resample_counts
from active_rlhf.behaviour.stacks import Pictures, joined
from active_rlhf.errors import InputError
from active_rlhf.labelling.combining import JUDGED, PREFERENCE
from active_rlhf.labelling.data import Labels
from active_rlhf.parts import part
from active_rlhf.rewards import RewardModel, build
from active_rlhf.rewards.measures import cross_entropy
from active_rlhf.selection.context import Context
from active_rlhf.selection.pairs import Pairs
from active_rlhf.study.settings import Choice

RESAMPLES = 1000
ROUNDS = 5  # in which a score chooses its labels, the first of them at random
NOBODY = ""  # the person of an answer that is the run's own
COLUMNS = (
    *("reward_model", "score", "held_out", "labels", "accuracy", "accuracy_low", "accuracy_high"),
    *("cross_entropy", "cross_entropy_low", "cross_entropy_high", "n"),
)


@dataclass(frozen=True)
class Answers:
    """n answers about q pairs of segments, none of them skipped.

    observations, actions: [q, 2, H, ...]; query int64 [n], its pair; person [n], NOBODY where
    nothing is known of people; preference [n]: 1 first, 0 second, 0.5 equal.
    """

    observations: Any
    actions: np.ndarray
    query: np.ndarray
    person: np.ndarray
    preference: np.ndarray

    @property
    def pairs(self) -> int:
        return len(self.observations)


@dataclass(frozen=True)
class Split:
    """Which answers are learned from and which are held out, as indices, and of whom those are."""

    held_out: str
    training: np.ndarray
    test: np.ndarray


def answers_of(labels: Sequence[Labels]) -> Answers:
    """What each person said of each pair, or what the runs used where no people are known.

    Raises InputError if segments are missing or differ in shape between runs.
    """
    shapes = set()
    for own in labels:
        if not own.has_segments:
            raise InputError(f"{own.name}: labels without segments; export with --segments")
        shapes.add(tuple(own.columns[n].shape[1:] for n in ("observations", "actions")))
    if len(shapes) > 1:
        raise InputError(f"runs whose segments differ in shape, {sorted(shapes)}; fit them apart")
    rows: list[tuple[int, str, float]] = []
    by_people = any(people for own in labels for people in own.people)
    begin = 0
    for own in labels:
        for i, people in enumerate(own.people):
            last = {said["showing"]: said for said in people if said["purpose"] == "query"}
            given = [(said["annotator"], said["answer"]) for said in last.values()]
            rows += [(begin + i, who, PREFERENCE[a]) for who, a in given if a in JUDGED]
        if not by_people:
            preferences = own.columns["preferences"]
            there = np.flatnonzero(np.isfinite(preferences))
            rows += [(begin + int(i), NOBODY, float(preferences[i])) for i in there]
        begin += len(own)
    query, person, preference = zip(*rows, strict=True) if rows else ((), (), ())
    return Answers(
        observations=_joined([own.columns["observations"] for own in labels]),
        actions=np.concatenate([own.columns["actions"] for own in labels]),
        query=np.array(query, np.int64),
        person=np.array(person, str),
        preference=np.array(preference, float),
    )


def _joined(parts: list[Any]) -> Any:
    return joined(parts) if isinstance(parts[0], Pictures) else np.concatenate(parts)


def splits(answers: Answers, folds: int) -> list[Split]:
    """Each person held out, or `folds` parts of the pairs where there is only one.

    No pair of a test was seen in training: of the pairs that the person answered, others' answers
    are left out too. Where that would leave less than half of the pairs, these are held out in
    `folds` parts, one after the other. Raises InputError for too few answers.
    """
    fold = np.random.default_rng(0).permutation(answers.pairs) % folds
    found = []
    people = list(dict.fromkeys(answers.person.tolist()))
    for person in people:
        own = answers.person == person
        pairs = np.unique(answers.query[own])
        apart = len(people) > 1 and len(np.unique(answers.query)) >= 2 * len(pairs)
        for part_ in [slice(None)] if apart else range(folds):
            tested = pairs if apart else pairs[fold[pairs] == part_]
            inside = np.isin(answers.query, tested)
            others = ~inside & ~own if len(people) > 1 else ~inside
            test, training = np.flatnonzero(inside & own), np.flatnonzero(others)
            if len(test) and len(training):
                found.append(Split(person, training, test))
    if not found:
        raise InputError(f"{len(answers.query)} answers are too few to hold any out")
    return found


def compare(
    answers: Answers,
    models: Mapping[str, Choice],
    scores: Sequence[str] = (),
    share: float = 0.5,
    passes: int = 100,
    folds: int = 5,
    seeds: int = 3,
) -> pd.DataFrame:
    """How well reward models predict answers that they did not see: rows of COLUMNS.

    models: name -> part and settings. Each is trained on all labels of a split, for as many fits of
    its `epochs` as make `passes`; and, with `scores`, on the `share` of them that each score
    chooses, in ROUNDS, the first at random (`none`: all at random). held_out: a person, or `all`;
    labels: mean number that were learned from. Accuracy is over answers for a segment,
    cross-entropy over all n, both means over seeds; intervals (95%) are by bootstrap over pairs.
    """
    found = splits(answers, folds)
    rows = []
    for name, choice in models.items():
        for score in ("", *scores):
            predicted, counts = [], []
            for seed in range(seeds):
                for i, split in enumerate(found):
                    generator = np.random.default_rng([seed, i])
                    chosen, model = _trained(
                        answers, split, choice, score, share, passes, generator
                    )
                    counts.append(len(chosen))
                    tested = answers.query[split.test]
                    p = model.preferences(answers.observations[tested], answers.actions[tested])
                    predicted.append((split, p.mean(0)))
            what = {"reward_model": name, "score": score or "all labels", "labels": np.mean(counts)}
            people = dict.fromkeys(split.held_out for split in found)
            for person in ("all", *(people if len(people) > 1 else ())):
                of = [(s, p) for s, p in predicted if person in ("all", s.held_out)]
                rows.append(what | {"held_out": person} | _measured(answers, of))
    return pd.DataFrame(rows, columns=list(COLUMNS))


# --- training ------------------------------------------------------------------------------------


def _trained(
    answers: Answers,
    split: Split,
    choice: Choice,
    score: str,
    share: float,
    passes: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, RewardModel]:
    """The answers that were learned from, and the model that did."""
    model = _model(answers, split.training, choice, generator)
    fits = ceil(passes / int(choice.settings.get("epochs", passes)))
    if not score:
        _fit(model, answers, split.training, fits)
        return split.training, model
    drawn = generator.permutation(split.training)
    wanted = max(1, round(share * len(drawn)))
    chosen, rest = drawn[: ceil(wanted / ROUNDS)], drawn[ceil(wanted / ROUNDS) :]
    while True:
        _fit(model, answers, chosen, ceil(fits / ROUNDS))
        more = min(ceil(wanted / ROUNDS), wanted - len(chosen))
        if not more:
            return chosen, model
        best = np.argsort(-_scores(score, model, answers, answers.query[rest]), kind="stable")
        chosen, rest = np.append(chosen, rest[best[:more]]), np.delete(rest, best[:more])


def _model(
    answers: Answers, training: np.ndarray, choice: Choice, generator: np.random.Generator
) -> RewardModel:
    """A new model, which normalises observations by those it will be trained on."""
    settings: dict[str, Any] = dict(choice.settings)
    if settings.get("precision") == "auto":
        settings["precision"] = "float32"
    actions = answers.actions
    width = int(actions.max()) + 1 if actions.dtype.kind in "iu" else actions.shape[-1]
    shape = answers.observations.shape[3:]
    pictures, takes = len(shape) > 1, part("reward_model", choice.name).has("pictures", {})
    if pictures != takes:
        kind = "pictures" if pictures else "flat observations"
        raise InputError(f"reward model {choice.name}: these labels are about {kind}")
    size = shape if pictures else shape[0]
    model = build(choice.name, settings, size, width, generator)
    if pictures:
        return model
    seen = answers.observations[np.unique(answers.query[training])]
    seen = seen.reshape(-1, seen.shape[-1]).astype(np.float64)
    model.observe(Moments(seen.mean(0), seen.var(0), np.full(1, float(len(seen)))))
    return model


def _fit(model: RewardModel, answers: Answers, chosen: np.ndarray, fits: int) -> None:
    pairs = answers.query[chosen]
    for _ in range(fits):
        model.fit(answers.observations[pairs], answers.actions[pairs], answers.preference[chosen])


def _scores(name: str, model: RewardModel, answers: Answers, queries: np.ndarray) -> np.ndarray:
    """A score of each query; the segments of pair i are 2 i and 2 i + 1."""
    if name == "none":
        return np.zeros(len(queries))
    chosen = part("score", name)
    if chosen.has("latents", {}):
        raise InputError(f"score {name}: needs latents, which a run learns from its behaviour")
    shown = [
        array.reshape(-1, *array.shape[2:]) for array in (answers.observations, answers.actions)
    ]

    def segments(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return shown[0][ids], shown[1][ids]

    def nothing(*_: Any) -> np.ndarray:
        raise InputError(f"score {name}: needs the run's policy or latents, which labels lack")

    unused = np.random.default_rng(0)
    context = Context(
        store=None,  # type: ignore[arg-type]
        segment_length=answers.observations.shape[2],
        pool_size=len(queries),
        segments=segments,
        member_rewards=lambda ids: model.member_rewards(*segments(ids)),
        features=lambda ids: model.features(*segments(ids)),
        embed=nothing,
        log_probabilities=nothing,
        train_accuracy=None,
        labelled=np.empty((0, 2), np.int64),
        answers=np.empty(0),
        session=0,
        step=0,
        candidate_generator=unused,
        selector_generator=unused,
    )
    score = chosen.start({})
    with score.blamed():
        ids = np.stack([2 * queries, 2 * queries + 1], 1)
        return np.asarray(score(Pairs(context, ids)), np.float64)


# --- measuring -----------------------------------------------------------------------------------


def _measured(
    answers: Answers, predicted: Sequence[tuple[Split, np.ndarray]]
) -> dict[str, float | int]:
    """Accuracy and cross-entropy of predictions [n] of tests, with intervals, over all seeds."""
    parts = list(_of_each(answers, predicted))
    pair, loss, right, untied = map(np.concatenate, zip(*parts, strict=True))
    _, place = np.unique(pair, return_inverse=True)
    sums = np.stack(
        [np.bincount(place, each) for each in (loss, np.ones(len(loss)), right, untied)], 1
    )
    drawn = resample_counts(len(sums), RESAMPLES, np.random.default_rng(0)) @ sums
    made: dict[str, float | int] = {}
    for name, of, over in (("accuracy", 2, 3), ("cross_entropy", 0, 1)):
        with np.errstate(invalid="ignore"):
            draws = drawn[:, of] / drawn[:, over]
        draws = draws[np.isfinite(draws)]
        low, high = percentile_interval(draws) if len(draws) and len(sums) > 1 else (nan, nan)
        total = sums[:, over].sum()
        made[name] = float(sums[:, of].sum() / total) if total else nan
        made |= {f"{name}_low": float(low), f"{name}_high": float(high)}
    tests = {int(i) for split, _ in predicted for i in split.test}
    return made | {"n": len(tests)}


def _of_each(
    answers: Answers, predicted: Sequence[tuple[Split, np.ndarray]]
) -> Iterator[tuple[np.ndarray, ...]]:
    """Pair, loss, whether right, and whether untied, of each tested answer."""
    for split, p in predicted:
        said = answers.preference[split.test]
        loss = np.array([cross_entropy(p[[i]], said[[i]]) for i in range(len(said))])
        untied = said != 0.5
        yield answers.query[split.test], loss, ((p > 0.5) == (said > 0.5)) & untied, untied
