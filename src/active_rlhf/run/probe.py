"""Making a probe set: from a random policy, and from the agent as it learns from the true reward.

That agent is trained like any run on the true reward, with checkpoints, so a set that was half made
is continued.
"""

import json
import math
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from active_rlhf import agents, tasks
from active_rlhf.behaviour.stacks import Pictures, for_file, joined
from active_rlhf.behaviour.store import SegmentStore, schema
from active_rlhf.compute.threads import single_threaded
from active_rlhf.errors import InputError
from active_rlhf.files import CHECKPOINT, atomic, sha256
from active_rlhf.run import directory, machine
from active_rlhf.run.identity import probe_fingerprint
from active_rlhf.run.loop import Run
from active_rlhf.run.schedule import rollout_steps
from active_rlhf.run.training import to_the_end
from active_rlhf.study.probes import ProbeSpec
from active_rlhf.study.settings import Choice

STAGES = {"a tenth": 0.1, "a third": 1 / 3, "all": 1.0}  # shares of training
WINDOW = 0.05  # the share of training, up to each of these, whose behaviour counts
RANDOM_EPISODES, EPISODE_STEPS = 10, 1000  # as many, of up to so many steps on average


def record_of(path: Path) -> Path:
    """Where it is kept what a probe set was made from."""
    return path.with_name(f"{path.name.removesuffix('.npz')}.json")


def workplace(path: Path) -> Path:
    """The folder of a probe set in the making."""
    return path.with_name(path.name.removesuffix(".npz"))


def make(
    spec: ProbeSpec,
    path: str | Path,
    checkpoint_every: float = 60.0,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Write the probe set `path` (.npz) and its record (.json) beside it, the record last.

    One that is there already, of this spec, code and library versions, is left alone. Otherwise as
    `training.train`. Raises InputError if no behaviour is long enough for a segment.
    """
    path = Path(path)
    name, work = f"{spec.environment} probe set", workplace(path)
    with single_threaded(), directory.locked(work):
        code = probe_fingerprint(spec)
        if complete(spec, path, code):
            print(f"{name}: complete already in {path}, nothing to do")
        else:
            seeds = np.random.SeedSequence([spec.seed, *b"probe"])
            seed = int(seeds.generate_state(1)[0])  # so that it is no run's
            run, checkpoints = to_the_end(
                spec.training(seed),
                work,
                code,
                name,
                say=lambda line: print(f"{name}: {line}", file=sys.stderr, flush=True),
                replace=True,
                checkpoint_every=checkpoint_every,
                stopping=stopping,
            )
            drawn = draw(spec, run, *seeds.spawn(2))
            _write(spec, path, code, drawn, run.cost.state_dict())
            checkpoints.remove()
        shutil.rmtree(work / CHECKPOINT, ignore_errors=True)
        (work / "progress.json").unlink(missing_ok=True)
    with suppress(OSError):  # not empty after a failure
        work.rmdir()


def complete(spec: ProbeSpec, path: Path, code: str) -> bool:
    """Whether exactly this probe set is there, unchanged."""
    try:
        record = json.loads(record_of(path).read_text(encoding="utf-8"))
        made = record["spec"], record["code"], record["sha256"]
        return made == (spec.as_dict(), code, sha256(path)) and not machine.other_versions(
            record["versions"]
        )
    except (OSError, ValueError, LookupError, TypeError):
        return False


def draw(
    spec: ProbeSpec, run: Run, acting: np.random.SeedSequence, drawing: np.random.SeedSequence
) -> dict[str, Any]:
    """Pairs of segments of a finished run on the true reward, and of a random policy.

    Each behaviour gives as many segments as the others, drawn uniformly; those without an episode
    as long as a segment give none. All segments are then paired at random. `source` int8 [n, 2] is
    0 for the random policy and 1, 2, 3 for STAGES.
    """
    size, rollouts = run.plan.size, run.plan.rollouts
    window = math.ceil(WINDOW * rollouts)
    behaviours = {0: _random(spec, run, acting)}
    for source, share in enumerate(STAGES.values(), 1):
        end = max(1, round(share * rollouts))
        begin = max(0, end - window)
        behaviours[source] = _part(run.behaviour, begin * size, end * size)
    length = spec.segment_length
    usable = {
        source: store
        for source, store in behaviours.items()
        if max(store.episodes()[1], default=0) >= length
    }
    if not usable:
        raise InputError(
            f"labels.segment_length: no episode of a random or a learning policy in "
            f"{spec.environment} is as long as {length} steps, so there is nothing to probe with"
        )
    generator = np.random.default_rng(drawing)
    found: dict[str, list[Any]] = {}
    counts = [len(part) for part in np.array_split(np.arange(2 * spec.pairs), len(usable))]
    for (source, store), count in zip(usable.items(), counts, strict=True):
        ids = store.draw(generator, count, length)
        observations, actions = store.gather(ids, length)
        for name, values in {
            "observations": observations,
            "actions": actions,
            "returns": store.returns(ids, length),
            "source": np.full(count, source, np.int8),
        }.items():
            found.setdefault(name, []).append(values)
    order = generator.permutation(2 * spec.pairs)
    whole = {name: _together(parts)[order] for name, parts in found.items()}
    return {name: a.reshape(spec.pairs, 2, *a.shape[1:]) for name, a in whole.items()}


def _together(parts: list[Any]) -> Any:
    return joined(parts) if isinstance(parts[0], Pictures) else np.concatenate(parts)


def _random(spec: ProbeSpec, run: Run, acting: np.random.SeedSequence) -> SegmentStore:
    """Behaviour of a random policy in the run's task, as of the baseline `random_policy`."""
    starting, exploring = (np.random.default_rng(seeds) for seeds in acting.spawn(2))
    task = tasks.build(run.spec, starting)
    choice = Choice.model_validate({"name": "uniform", "rollout_steps": rollout_steps(spec.agent)})
    agent = agents.build(run.spec.model_copy(update={"agent": choice}), task, starting)
    piece = min(task.horizon, EPISODE_STEPS)
    store = SegmentStore(RANDOM_EPISODES * piece, schema(task))
    for _ in range(RANDOM_EPISODES):
        store.append(agent.act(task, piece, exploring))
    return store


def _part(store: SegmentStore, begin: int, end: int) -> SegmentStore:
    """The steps of a store from `begin` to `end`, in a store of their own."""
    part = SegmentStore(end - begin, store.schema, store.lanes)
    if part.pictures is not None and store.pictures is not None:
        part.pictures.share(store.pictures)
    for rows in store.rows(begin):
        part.extend(rows[: end - begin - part.steps])
        if part.steps == end - begin:
            break
    return part


def _write(
    spec: ProbeSpec,
    path: Path,
    code: str,
    drawn: Mapping[str, Any],
    cost: Mapping[str, Any],
) -> None:
    record_of(path).unlink(missing_ok=True)
    columns: dict[str, Any] = for_file(drawn)
    with atomic(path) as temporary:
        np.savez(temporary, **columns)
    record = {
        "spec": spec.as_dict(),
        "code": code,
        "sha256": sha256(path),
        **cost,
        **machine.description(),
    }
    with atomic(record_of(path)) as temporary:
        temporary.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
