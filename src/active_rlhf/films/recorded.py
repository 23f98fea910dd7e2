"""What a run's directory holds of its behaviour, while it trains and when it is finished.

A run that trains has all of it in its checkpoint. A finished one keeps the segments that it asked
about, and its policy. Nothing in the directory is changed.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from active_rlhf import agents, parts
from active_rlhf.behaviour.ledger import Ledger
from active_rlhf.behaviour.replays import Replays
from active_rlhf.behaviour.stacks import from_file
from active_rlhf.behaviour.store import SegmentStore, schema
from active_rlhf.errors import InputError, line
from active_rlhf.files import CHECKPOINT
from active_rlhf.films.film import Film
from active_rlhf.films.studio import Studio
from active_rlhf.run.checkpoint import PICTURES, last_saved
from active_rlhf.run.saved import load_policy, load_reward_model
from active_rlhf.run.schedule import Plan, lanes
from active_rlhf.run.session import reward_model
from active_rlhf.study.messages import ConfigError, Sources, validated
from active_rlhf.study.settings import Spec

USUAL_STEPS = 50  # of a segment, where the run asks for none


@dataclass(frozen=True)
class Queries:
    """The queries of a run in the order asked.

    ledger: with pairs, answers and sessions; returns float64 [n, 2] true; probabilities float64 [n]
    that the first is preferred, by the reward model as it is now.
    """

    ledger: Ledger
    returns: np.ndarray
    probabilities: np.ndarray


class Recorded:
    """The behaviour of the run in a directory. Raises InputError if none can be read from it."""

    def __init__(self, directory: str | Path):
        self.directory = Path(directory)
        self.spec, self.finished, self._open = self._read()
        self.studio = Studio.of(self.spec)

    def _read(self) -> tuple[Spec, bool, Any]:
        """The spec, whether the run is finished and, if not, its state and rows."""
        result = self.directory / "run.json"
        if result.exists():
            try:
                given = json.loads(result.read_text(encoding="utf-8"))["spec"]
            except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
                raise InputError(f"{result}: names no run ({line(error)})") from error
            return _spec(given, result), True, None
        saved = last_saved(self.directory / CHECKPOINT)
        if saved is None:
            raise InputError(
                f"{self.directory}: no run, finished or with a checkpoint; a run in training makes "
                "its first one after a minute (--checkpoint-every)"
            )
        state = saved[0]
        if "spec" not in state:
            raise InputError(
                f"{self.directory}: its checkpoint is of an earlier version, which kept no settings"
            )
        return _spec(state["spec"], self.directory / CHECKPOINT), False, saved

    @property
    def name(self) -> str:
        """Environment, method and seed."""
        return f"{self.spec.environment} {self.spec.method} seed {self.spec.seed}"

    @property
    def segment_length(self) -> int:
        """Steps of the segments that the run asks about."""
        return self.spec.labels.segment_length if self.spec.labels else USUAL_STEPS

    def policy(self) -> Callable[[np.ndarray], np.ndarray]:
        """Actions [n, ...] without exploration for raw observations [n, ...]: of the policy that
        the run ended with, or of the one that it has now."""
        if self.finished and self.spec.agent.name != "uniform":
            return load_policy(self.directory).mean_action
        agent = agents.build(self.spec, self.studio.task, np.random.default_rng(self.spec.seed))
        if not self.finished:
            with self._fitting():
                agent.load_state_dict(self._open[0]["parts"]["agent"])
        return agent.greedy

    def policy_film(self, seed: int, steps: int | None = None) -> tuple[Film, float]:
        """An episode of this policy without exploration, or its first steps, and its true return;
        seed: of the environment, which no episode of the run has."""
        studio = Studio(self.spec.environment, self.spec.options, seed)
        return studio.acted(self.policy(), steps or studio.task.horizon)

    def episodes(self) -> list[tuple[int, int]]:
        """First row and length of each episode in time order; the last may be unfinished, or as
        many as there are environments in step."""
        if not self.finished:
            begin, known, _ = self._store.episodes()
            return list(zip(begin.tolist(), known.tolist(), strict=True))
        import pandas as pd

        path = self.directory / "episodes.csv"
        try:
            table = pd.read_csv(path)
            length = table["length"].to_numpy(int)
            starts = self._empty_store().row_of(table["step"].to_numpy(int) - 1) + 1 - length
        except (OSError, ValueError, LookupError) as error:
            raise InputError(f"{path}: lists no episodes ({line(error)})") from error
        return list(zip(starts.tolist(), length.tolist(), strict=True))

    def queries(self) -> Queries:
        """What was asked so far. Raises InputError if the run asks nothing."""
        if self.spec.labels is None:
            raise InputError(f"{self.directory}: {self.spec.selector} asks nothing")
        if self.finished:
            shown, model = self._labels, load_reward_model(self.directory)
            ledger = Ledger.load(self.directory / "labels.npz")
            behaviour, returns = (shown["observations"], shown["actions"]), shown["returns"]
        else:
            learner = self._open[0]["parts"].get("learner") or {}
            ledger = Ledger(self.spec.labels.total)
            ledger.load_state_dict(learner.get("ledger", {}))
            if not ledger.asked:
                raise InputError(f"{self.directory}: the run has asked nothing yet")
            pairs, store = ledger.column("pairs"), self._store
            behaviour = store.gather(pairs, self.segment_length)
            returns = store.returns(pairs, self.segment_length)
            model = self._model(learner["model"])
        return Queries(ledger, returns, model.preferences(*behaviour).mean(0))

    def _model(self, state: Mapping[str, Any]) -> Any:
        model = reward_model(self.spec, self.studio.task, np.random.default_rng(0))
        with self._fitting():
            model.load_state_dict(state)
        return model

    @contextmanager
    def _fitting(self) -> Iterator[None]:
        """Say in one line that a checkpoint cannot be read."""
        try:
            yield
        except FileNotFoundError as error:
            raise InputError(f"{self.directory}: finished meanwhile; do that again") from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise InputError(
                f"{self.directory}: its checkpoint is of another version ({line(error)})"
            ) from error

    def films(self, ids: Sequence[int], steps: int | None = None) -> list[Film]:
        """The films of segments, named by their first steps.

        Raises InputError for what is not there: steps beyond the end of an episode or, of a
        finished run, a segment that it never asked about.
        """
        length = steps or self.segment_length
        return self._kept(ids, length) if self.finished else self._replayed(ids, length)

    def _replayed(self, ids: Sequence[int], length: int) -> list[Film]:
        """From the checkpoint, episode by episode."""
        store = self._store
        for number, (first, known) in enumerate(self.episodes()):
            for i in ids:
                if first <= i < first + known < i + length:
                    raise InputError(
                        f"{self.directory}: episode {number} ends at step {first + known}, so no "
                        f"{length} steps begin at {i}"
                    )
        if missing := [i for i in ids if not any(a <= i < a + k for a, k in self.episodes())]:
            raise InputError(
                f"{self.directory}: its {store.steps} steps so far have no step {missing[0]}"
            )
        films = self.studio.of_store(store, ids, length)
        return [films[i] for i in ids]

    def _kept(self, ids: Sequence[int], length: int) -> list[Film]:
        """From the segments that were asked about."""
        if self.spec.labels is None:
            raise InputError(
                f"{self.directory}: a finished run keeps the segments that it asked about, and "
                f"{self.spec.selector} asks nothing; without --segment its policy is shown"
            )
        if length > self.segment_length:
            raise InputError(
                f"{self.directory}: a finished run keeps segments of {self.segment_length} steps"
            )
        labels = self._labels
        kept = {int(i): at for at, i in np.ndenumerate(labels["pairs"])}
        if missing := [i for i in ids if i not in kept]:
            near = sorted(kept, key=lambda i: abs(i - missing[0]))[:3]
            raise InputError(
                f"{self.directory}: a finished run keeps the segments that it asked about, and "
                f"{missing[0]} is none; near it are {', '.join(map(str, near))}"
            )
        if self.studio.reconstructs:
            films = {}
            for i in set(ids):
                observed, actions = labels["observations"][kept[i]], labels["actions"][kept[i]]
                films[i] = self.studio.observed(observed[:length], actions[:length])
        else:
            films = self._repeated({i: kept[i] for i in ids}, length)
        return [films[i] for i in ids]

    def _repeated(self, places: Mapping[int, tuple[int, ...]], length: int) -> dict[int, Film]:
        """By repeating their episodes; places: of segments in the arrays of the labels."""
        replays = Replays.read(self._labels)
        if replays is None:
            raise InputError(
                f"{self.directory}: labels.npz does not hold how to repeat its segments, as it is "
                f"of an earlier version; {self.spec.environment} cannot be shown without"
            )
        films: dict[int, Film] = {}
        for k in {int(replays.episodes[at]) for at in places.values()}:
            origin, actions = replays.episode(k)
            mine = [i for i, at in places.items() if replays.episodes[at] == k]
            first = int(replays.starts[k])
            shown = [slice(i - first, i - first + length) for i in mine]
            seen = [self._labels["observations"][places[i]][:length] for i in mine]
            films |= zip(mine, self.studio.segments(origin, actions, shown, seen), strict=True)
        return films

    def _empty_store(self) -> SegmentStore:
        """A store like the run's."""
        steps = Plan.of(self.spec).steps
        return SegmentStore(steps, schema(self.studio.task), lanes(self.spec.agent))

    @property
    def _labels(self) -> dict[str, Any]:
        if not hasattr(self, "_loaded"):
            path = self.directory / "labels.npz"
            try:
                with np.load(path, allow_pickle=False) as file:
                    self._loaded = from_file(file)
                    self._loaded["pairs"], self._loaded["observations"]
            except (OSError, ValueError, LookupError, BadZipFile) as error:
                raise InputError(f"{path}: not the labels of a run ({line(error)})") from error
        return self._loaded

    @property
    def _store(self) -> SegmentStore:
        """All behaviour up to the checkpoint."""
        if not hasattr(self, "_behaviour"):
            state, rows = self._open
            store = self._empty_store()
            with self._fitting():
                for piece in rows(store.row):
                    store.extend(piece)
                if store.pictures is not None:
                    store.pictures.extend(rows(name=PICTURES))
                store.load_state_dict(state["parts"]["behaviour"])
            self._behaviour = store
        return self._behaviour


def _spec(given: Any, label: Path) -> Spec:
    """A spec in a run's own files, whose parts are loaded. Raises ConfigError."""
    if not isinstance(given, dict):
        raise ConfigError(f"{label}: names no run")
    spec = validated(Spec, given, Sources(str(label), []))
    parts.load_used(spec.parts or {})
    return spec
