"""What a run's reward model learned, looked at from several sides.

A `Scene` is where reward models of an environment are looked at, with what is true there; it costs
some seconds and serves all runs. `look` measures one model in it. Both give plain data, of which
`active_rlhf.analysis.inspection` makes summaries, and figures and tables are made.
"""

import json
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from active_rlhf import parts, tasks
from active_rlhf.analysis.epic import Coverage, canonical, pearson_distance
from active_rlhf.analysis.inspection import plain, reliability
from active_rlhf.behaviour.replays import Replays
from active_rlhf.behaviour.stacks import from_file
from active_rlhf.errors import InputError, line
from active_rlhf.files import environment_of, sha256
from active_rlhf.rewards import RewardModel, measures
from active_rlhf.run.saved import SavedError, load_policy, load_reward_model
from active_rlhf.study.messages import Sources, validated
from active_rlhf.study.settings import Spec
from active_rlhf.tasks.placing import Place, place

SEGMENTS = 100  # whose steps' rewards are looked at one by one
TRANSITIONS, DRAWS = 400, 16  # of the distance, and for each of its expectations
GRID = 41  # states of a map in each direction, where it has states
BINS, FEWEST = 12, 5  # of a map of rewards in each direction; steps in a bin that is shown
SHOWN = 3  # queries that are shown step by step
GAMMA = 0.99  # for an agent without a discount

Policy = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Behaviour:
    """Pairs of segments: raw observations [n, 2, H, ...], actions as sampled [n, 2, H, ...], true
    returns float64 [n, 2]; and what they are."""

    observations: Any
    actions: np.ndarray
    returns: np.ndarray
    name: str


@dataclass(frozen=True)
class Scene:
    """Where the reward models of an environment are looked at.

    place: the simulator, if an observation tells its state; dimensions: the two of an observation
    that maps of rewards have, if it is flat; states: observations with a name.
    """

    spec: Spec
    task: Any
    place: Place | None
    behaviour: Behaviour
    states: Mapping[str, np.ndarray]
    dimensions: tuple[int, int] | None

    @cached_property
    def segments(self) -> tuple[np.ndarray, np.ndarray]:
        """Some segments of the behaviour: observations [k, H, ...] and actions [k, H, ...]."""
        of = self.behaviour
        flat = [a.reshape(-1, *a.shape[2:]) for a in (of.observations, of.actions)]
        chosen = np.unique(np.linspace(0, len(flat[0]) - 1, SEGMENTS).astype(int))
        return flat[0][chosen], flat[1][chosen]

    def true(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray | None:
        """True rewards float64 [...] of steps from raw observations [..., o] with actions; None
        where they cannot be known."""
        if self.place is None:
            return None
        shape = observations.shape[:-1]
        rows = observations.reshape(-1, observations.shape[-1])
        taken = actions.reshape(len(rows), *self.task.action_space.shape)
        pays = self.place.reward
        return np.array([pays(o, a) for o, a in zip(rows, taken, strict=True)]).reshape(shape)

    @cached_property
    def true_steps(self) -> np.ndarray | None:
        """The true rewards [k, H] of the segments' steps."""
        return self.true(*self.segments)

    @cached_property
    def coverage(self) -> Coverage:
        """Transitions of the segments, and actions drawn from all of theirs."""
        seen, acted = self.segments
        rng = np.random.default_rng(0)
        here = [a[:, :-1].reshape(-1, *a.shape[2:]) for a in (seen, acted)]
        there = seen[:, 1:].reshape(here[0].shape)
        chosen = rng.permutation(len(there))[:TRANSITIONS]
        drawn = rng.integers(len(there), size=DRAWS)
        return Coverage(
            here[0][chosen], here[1][chosen], there[chosen], here[1][drawn], there[drawn]
        )

    @property
    def gamma(self) -> float:
        return float(self.spec.agent.settings.get("gamma", GAMMA))

    @cached_property
    def true_canonical(self) -> np.ndarray | None:
        if self.place is None:
            return None
        return canonical(lambda s, a, _: np.asarray(self.true(s, a)), self.coverage, self.gamma)

    @cached_property
    def usual_actions(self) -> tuple[str, np.ndarray]:
        """An action that needs no policy, as the mean over these [k, ...], and its name."""
        space = self.task.action_space
        if hasattr(space, "n"):
            return "every action", np.arange(space.n)
        return "no force", np.zeros((1, *space.shape), np.float32)

    @property
    def axes(self) -> list[str]:
        """What the dimensions of a map are called."""
        names = self.place.names if self.place else {}
        return [names.get(d, f"observation {d}") for d in self.dimensions or ()]

    @cached_property
    def map_points(self) -> dict[str, Any] | None:
        """Where a map of rewards is drawn: x [n], y [m] and either observations [m, n, o] of a grid
        or, for each step of the segments, its bin; and what is true there [m, n]."""
        if self.dimensions is None:
            return None
        seen = self.segments[0].reshape(-1, self.segments[0].shape[-1])
        i, j = self.dimensions
        low, high = np.quantile(seen, [0.01, 0.99], axis=0)
        if self.place is not None and self.place.grid is not None:
            known = dict(zip(self.place.dimensions, self.place.grid, strict=True))
            x, y = (known.get(d, np.linspace(low[d], high[d], GRID)) for d in (i, j))
            grid = np.zeros((len(y), len(x), seen.shape[1]), np.float32)
            grid[..., i], grid[..., j] = np.meshgrid(x, y)
            points: dict[str, Any] = {"x": x, "y": y, "grid": grid}
            return points | {"true": self._at(grid, self.true)}
        x, y = (np.linspace(low[d], high[d], BINS + 1) for d in (i, j))
        column, row = (np.digitize(seen[:, d], edges) - 1 for d, edges in ((i, x), (j, y)))
        inside = (column >= 0) & (column < BINS) & (row >= 0) & (row < BINS)
        points = {"x": (x[1:] + x[:-1]) / 2, "y": (y[1:] + y[:-1]) / 2}
        points |= {"bin": np.where(inside, row * BINS + column, -1)}
        true = self.true_steps
        return points | {"true": None if true is None else binned(true.ravel(), points["bin"])}

    def _at(
        self, states: np.ndarray, reward: Callable[[np.ndarray, np.ndarray], Any]
    ) -> np.ndarray | None:
        """The mean reward [...] of states [..., o] over the usual actions."""
        found = [
            reward(states, np.broadcast_to(action, (*states.shape[:-1], *np.shape(action))))
            for action in self.usual_actions[1]
        ]
        return None if found[0] is None else np.mean(found, axis=0)


def binned(values: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Means [BINS, BINS] of values [n] by bin [n], -1 for none; NaN for fewer than FEWEST."""
    used = bins >= 0
    counts = np.bincount(bins[used], minlength=BINS**2)
    sums = np.bincount(bins[used], values[used], BINS**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(counts >= FEWEST, sums / counts, np.nan).reshape(BINS, BINS)


# --- making a scene ------------------------------------------------------------------------------


def scene(
    spec: Spec,
    behaviour: Behaviour,
    states: Mapping[str, Sequence[float]] | None = None,
    dimensions: tuple[int, int] | None = None,
) -> Scene:
    """The scene of runs like this one.

    states: further observations, by name; dimensions: of maps, those that tell most by default.
    Raises InputError for a state or a dimension that observations do not have.
    """
    task = tasks.made(spec.environment, 0, spec.options)
    shape = task.observation_space.shape
    own = place(task)
    named = own.states() if own else {}
    if len(shape) == 1 and not own:
        named = {"at the start": np.array(task.observation)}
    for name, values in (states or {}).items():
        found = np.asarray(values, np.float64)
        if found.shape != shape or not np.isfinite(found).all():
            size = " x ".join(map(str, shape))
            raise InputError(
                f"states: {name}: {found.size} values, but observations of {spec.environment} have "
                f"{size} finite ones"
            )
        named[name] = found
    if dimensions and (len(shape) != 1 or not all(0 <= d < shape[0] for d in dimensions)):
        raise InputError(
            f"--dims: observations of {spec.environment} have the dimensions 0 to {shape[0] - 1}, "
            f"not {dimensions[0]} and {dimensions[1]}"
        )
    if dimensions is None and len(shape) == 1:
        dimensions = own.dimensions if own else (0, 1) if shape[0] > 1 else None
    named = {name: np.asarray(seen, np.float32) for name, seen in named.items()}
    return Scene(spec, task, own, behaviour, named, dimensions)


def read_behaviour(path: Path, name: str) -> Behaviour:
    """The pairs in a probe set, or in a run's labels. Raises InputError."""
    try:
        with np.load(path, allow_pickle=False) as file:
            kept = from_file(file)
        return Behaviour(kept["observations"], kept["actions"], kept["returns"], name)
    except (OSError, ValueError, LookupError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: holds no pairs of segments ({line(error)})") from error


def probe_file(run: Path, record: Mapping[str, Any]) -> Path | None:
    """The probe set on which a run was measured: its own, or its study's; None if neither is
    there."""
    study = run.absolute().joinpath("../../../..").resolve()  # of <study>/runs/*/*/*
    places = [run / "probe.npz", *sorted(study.glob("probes/*.npz"))]
    return next((p for p in places if p.is_file() and sha256(p) == record.get("probe")), None)


# --- looking at one model ------------------------------------------------------------------------


@dataclass(frozen=True)
class Labels:
    """What the teacher answered: pairs with preferences (1, 0 or .5; NaN for none), and which of
    them were held out; and, for each segment, how to repeat it, if it is kept."""

    behaviour: Behaviour
    preferences: np.ndarray
    held_out: np.ndarray
    pairs: np.ndarray
    replays: Replays | None = None


def read_labels(run: Path) -> Labels:
    """The labels.npz of a run. Raises InputError."""
    path = run / "labels.npz"
    behaviour = read_behaviour(path, "the pairs it asked about")
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    preferences, held_out, pairs = (arrays[k] for k in ("preferences", "held_out", "pairs"))
    return Labels(behaviour, preferences, held_out, pairs, Replays.read(arrays))


def look(
    model: RewardModel,
    scene: Scene,
    labels: Labels | None = None,
    policy: Policy | None = None,
) -> dict[str, Any]:
    """What a reward model has learned, as plain data; NaN is what cannot be told.

    states: its reward beside the true one in each, by action; agreement: with the teacher's answers
    and with the order of true returns, by kind of pair, each with n, accuracy, loss, calibration
    error and reliability curve; epic, step_correlation, within_segments: how far it is from the
    true reward; map: rewards over two dimensions; missing: sentences on what cannot be told.
    """
    seen, acted = scene.segments
    predicted = model.rewards(seen, acted)
    true = scene.true_steps
    missing = []
    if true is None:
        missing.append(
            f"An observation of {scene.spec.environment} does not tell the simulator's state, so "
            "the true reward is known only of steps that were taken: there is no distance to it."
        )
    elif np.ptp(true) == 0:
        missing.append(
            "The true reward is the same at all steps that were looked at, so there is no "
            "correlation with it, and no distance."
        )
    if labels is not None and not labels.held_out.any():
        missing.append("No answers were held out, so agreement is only known on what it learned.")
    epic = float("nan")
    if scene.true_canonical is not None:
        learned = canonical(lambda s, a, _: model.rewards(s, a), scene.coverage, scene.gamma)
        epic = pearson_distance(learned, scene.true_canonical)
    return {
        "on": scene.behaviour.name,
        "states": _at_states(model, scene, policy),
        "agreement": _agreement(model, scene, labels),
        "epic": epic,
        "step_correlation": float("nan") if true is None else _correlation(predicted, true),
        "within_segments": float("nan") if true is None else _within(predicted, true),
        "map": _map(model, scene, predicted),
        "missing": missing,
    }


def _at_states(model: RewardModel, scene: Scene, policy: Policy | None) -> list[dict[str, Any]]:
    name, usual = scene.usual_actions
    rows = []
    for state, seen in scene.states.items():
        choices = {name: usual} | ({"the policy's": policy(seen[None])} if policy else {})
        for action, taken in choices.items():
            states = np.broadcast_to(seen, (len(taken), *seen.shape))
            true = scene.true(states, taken)
            rows.append(
                {
                    "state": state,
                    "action": action,
                    "learned": float(model.rewards(states, taken).mean()),
                    "true": float("nan") if true is None else float(true.mean()),
                }
            )
    return rows


def _agreement(model: RewardModel, scene: Scene, labels: Labels | None) -> dict[str, Any]:
    """By what it agrees with: the teacher on training and held-out labels, true returns on the
    scene's pairs."""
    of = scene.behaviour
    order = 0.5 + 0.5 * np.sign(of.returns[:, 0] - of.returns[:, 1])
    found = {"true returns": _compared(model, of.observations, of.actions, order)}
    if labels is not None:
        pairs, answered = labels.behaviour, np.isfinite(labels.preferences)
        for name, chosen in (
            ("the teacher, learned from", answered & ~labels.held_out),
            ("the teacher, held out", answered & labels.held_out),
        ):
            if chosen.any():
                shown = pairs.observations[chosen], pairs.actions[chosen]
                found[name] = _compared(model, *shown, labels.preferences[chosen])
    return found


def _compared(
    model: RewardModel, observations: np.ndarray, actions: np.ndarray, preferences: np.ndarray
) -> dict[str, Any]:
    p = model.preferences(observations, actions).mean(0)
    return {
        "n": int((preferences != 0.5).sum()),
        "ties": int((preferences == 0.5).sum()),
        "accuracy": measures.accuracy(p, preferences),
        "loss": measures.cross_entropy(p, preferences),
        "calibration": measures.calibration_error(p, preferences),
        "reliability": reliability(p, preferences),
    }


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's, of rewards [...]; NaN where one of them is constant."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def _within(predicted: np.ndarray, true: np.ndarray) -> float:
    """The correlation of rewards [k, H] within segments: of differences from a segment's mean."""
    return _correlation(*(r - r.mean(1, keepdims=True) for r in (predicted, true)))


def _map(model: RewardModel, scene: Scene, predicted: np.ndarray) -> dict[str, Any] | None:
    points = scene.map_points
    if points is None:
        return None
    if "grid" in points:
        learned = scene._at(points["grid"], model.rewards)
    else:
        learned = binned(predicted.ravel(), points["bin"])
    return {
        "kind": "grid" if "grid" in points else "means",
        "action": scene.usual_actions[0],
        "axes": scene.axes,
        "x": points["x"],
        "y": points["y"],
        "learned": learned,
        "true": points["true"],
    }


# --- a run's directory ---------------------------------------------------------------------------


def record_of(run: Path) -> tuple[dict[str, Any], Spec]:
    """The run.json of a finished run that asked, and its spec, whose parts are loaded.

    Raises InputError.
    """
    path = run / "run.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        given = record["spec"]
    except FileNotFoundError:
        raise InputError(f"{run}: no finished run (it has no run.json)") from None
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: names no run ({line(error)})") from error
    spec = validated(Spec, given, Sources(str(path), []))
    if spec.labels is None:
        raise InputError(f"{run}: {spec.selector} asks nothing, so it has no reward model")
    parts.load_used(spec.parts or {})
    return record, spec


def scene_of(
    run: Path,
    probe: Path | None = None,
    states: Mapping[str, Sequence[float]] | None = None,
    dimensions: tuple[int, int] | None = None,
) -> Scene:
    """The scene of a run: its probe set or, without one, the pairs that it asked about."""
    record, spec = record_of(run)
    probe = probe or probe_file(run, record)
    if probe is None:
        return scene(spec, read_labels(run).behaviour, states, dimensions)
    return scene(spec, read_behaviour(probe, "the probe set"), states, dimensions)


def inspect_run(run: Path, scene: Scene) -> dict[str, Any]:
    """`look` at a finished run, with what is needed to say which it is. Raises InputError."""
    spec = record_of(run)[1]
    labels = read_labels(run)
    try:
        policy = load_policy(run).mean_action
    except SavedError:  # of an agent whose policy only it can use
        policy = None
    if (scene.spec.environment, scene.spec.options) != (spec.environment, spec.options):
        raise InputError(f"{run}: is a run of {spec.environment}, not of {scene.spec.environment}")
    found = look(load_reward_model(run), scene, labels, policy)
    about = {"environment": spec.environment, "method": spec.method, "seed": spec.seed}
    if policy is None:
        found["missing"].append("Its policy cannot be used without its agent.")
    return about | found


def shown_segments(run: Path, scene: Scene) -> list[dict[str, Any]]:
    """Some queries of a run step by step: the largest difference in true return, the median, and
    the smallest. Each: answer, returns [2], and rewards [2, H], learned and true (None where they
    cannot be known)."""
    model, labels = load_reward_model(run), read_labels(run)
    of = labels.behaviour
    gaps = np.abs(of.returns[:, 0] - of.returns[:, 1])
    order = np.argsort(-gaps, kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, SHOWN).round().astype(int))
    found = []
    for query in order[places]:
        shown = of.observations[query], of.actions[query]
        true = scene.true(*shown)
        if true is None and labels.replays is not None:
            true = _replayed(record_of(run)[1], labels, int(query))
        found.append(
            {
                "query": int(query),
                "answer": float(labels.preferences[query]),
                "returns": of.returns[query],
                "learned": model.rewards(*shown),
                "true": true,
            }
        )
    return found


def _replayed(spec: Spec, labels: Labels, query: int) -> np.ndarray:
    """The true rewards [2, H] of a query's segments, by repeating their episodes."""
    from active_rlhf.run.streams import streams

    assert labels.replays is not None
    seed = int(streams(spec.seed)["environment"].integers(2**31))  # as `tasks.build`
    length = labels.behaviour.actions.shape[2]
    found = np.empty((2, length))
    for which in range(2):
        episode = int(labels.replays.episodes[query, which])
        origin, actions = labels.replays.episode(episode)
        offset = int(labels.pairs[query, which] - labels.replays.starts[episode])
        task = tasks.made(spec.environment, seed, spec.options)
        if origin is not None:
            task.stream.bit_generator.state = origin
            task.reset()
        rewards = [task.step(action)[0] for action in actions[: offset + length]]
        found[which] = rewards[offset:]
    return found


# --- the runs of a study -------------------------------------------------------------------------


def inspect_runs(
    runs: Path,
    methods: Sequence[str],
    seeds: Sequence[int],
    excluded: Collection[tuple[str, int]] = (),
    probes: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Every finished run of an environment that has a reward model, as plain data.

    runs: the environment's folder of `<method>/<seed>/`; excluded, as (method, seed), are left out;
    probes: the probe set of each method. `states`: the true reward of each named state, with the
    action that needs no policy, `action`; `runs`: what `inspect_run` finds or, of a run that lacks
    something, a sentence under `missing`.
    """
    scenes: dict[Any, Scene] = {}
    found: dict[str, Any] = {"environment": environment_of(runs.name), "states": {}, "action": ""}
    found["runs"] = []
    for method, seed in product(methods, seeds):
        if (method, seed) in excluded:
            continue
        folder, probe = runs / method / str(seed), (probes or {}).get(method)
        try:
            if probe not in scenes:
                scenes[probe] = scene_of(folder, Path(probe) if probe else None)
            scene = scenes[probe]
            run = inspect_run(folder, scene)
        except InputError as error:
            said = f"{method} seed {seed} is not in these numbers: {line(error)}."
            about = {"environment": found["environment"], "method": method, "seed": seed}
            found["runs"].append(about | {"missing": [said]})
            continue
        found["action"] = scene.usual_actions[0]
        found["states"] |= {
            row["state"]: row["true"] for row in run["states"] if row["action"] == found["action"]
        }
        if run["map"]:
            run["map"]["learned"] = np.round(run["map"]["learned"], 5)
        found["runs"].append(run)
    data: dict[str, Any] = plain(found)
    return data
