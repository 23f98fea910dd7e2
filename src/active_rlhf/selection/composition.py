"""A query selector = candidate generator x filter x score x picker, put together by configuration.

candidates: {name: uniform | on_policy | recent, pairing: independent | cross_cluster, ...}
filter: {name: consensual, train_accuracy: 0.8} or null
score: none or one of scores.SCORES
keep: null or the share of best-scored pairs that reach the picker
picker: {name: one of pickers.PICKERS, ...}
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from reprlib import repr as short
from typing import TYPE_CHECKING, Any

import numpy as np

from active_rlhf.errors import InputError
from active_rlhf.selection import candidates as generators
from active_rlhf.selection.filters import consensual, shortlist
from active_rlhf.selection.pickers import PICKERS
from active_rlhf.selection.pool import Pool, Range
from active_rlhf.selection.scores import SCORES
from active_rlhf.study.parts import blamed

if TYPE_CHECKING:  # checking a configuration needs no simulator
    from active_rlhf.behaviour.store import SegmentStore

CANDIDATES: dict[str, Mapping[str, Range]] = {
    "uniform": {},
    "on_policy": {},
    "recent": {"episodes": (10, 1, 1_000_000)},
}
PAIRINGS: dict[str, Mapping[str, Range]] = {
    "independent": {},
    "cross_cluster": {"clusters": (10, 2, 1000)},
}
FILTERS: dict[str, Mapping[str, Range]] = {"consensual": {"train_accuracy": (0.8, 0.0, 1.0)}}
STAGES = ("candidates", "vae", "score", "pick")


@dataclass(frozen=True)
class Context:
    """All that a selector may look at in one session."""

    store: "SegmentStore"
    """Behaviour so far; true rewards are never read."""
    segment_length: int
    pool_size: int
    """M, candidate pairs of this session."""
    log_probabilities: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """Raw observations [n, o], sampled actions [n, a] -> log pi [n] under the current policy."""
    member_rewards: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """Raw observations [N, H, o], actions [N, H, a] -> predicted rewards [E, N, H]."""
    train_accuracy: float | None
    """Of the reward model on its training labels; None before there are any."""
    labelled: np.ndarray
    """int64 [l, 2], the pairs asked so far."""
    latents: Callable[[np.ndarray], np.ndarray]
    """Segment ids int64 [N] -> VAE latent means [N, z]; the first call trains the VAE."""
    candidate_generator: np.random.Generator
    """Used for candidates only, so that equal candidate settings give equal candidates."""
    selector_generator: np.random.Generator


@dataclass(frozen=True)
class Selection:
    """The queries of a session, int64 [B, 2], with what choosing them showed and took."""

    pairs: np.ndarray
    pool_size: int
    score_pool: float
    """Mean score of all candidates; NaN without a score, as is `score_selected`."""
    score_selected: float
    seconds: dict[str, float]
    """Wall seconds by stage (STAGES)."""


def select(composition: Mapping[str, Any], context: Context, batch: int) -> Selection:
    """The `batch` distinct pairs that the composition chooses from a pool of `context.pool_size`.

    Raises InputError if the behaviour so far has fewer than `batch` pairs to offer, and PartError
    naming a part that fails or gives what it must not.
    """
    parts = validate_composition(composition)
    seconds = dict.fromkeys(STAGES, 0.0)
    wanted, picker = parts["candidates"], PICKERS[parts["picker"]["name"]]
    generator = context.candidate_generator

    with _timed(seconds, "candidates"), blamed("candidates", wanted["name"]):
        pairs = generators.independent_pairs(
            *(context.store, context.segment_length, context.pool_size),
            *(_episode_weights(wanted, context), generator),
        )
        ids = np.unique(pairs)
    latents = None
    if needs_latents(parts):
        with _timed(seconds, "vae"):
            latents = _standardised(context.latents(ids).astype(np.float64))
    if wanted["pairing"] == "cross_cluster":
        assert latents is not None
        with _timed(seconds, "candidates"):
            across = generators.pairs_across_clusters(
                ids, latents, wanted["clusters"], len(pairs), generator
            )
            pairs = across if len(across) else pairs
    if len(pairs) < batch:
        raise InputError(
            f"labels: {len(pairs)} pairs of segments seen so far are too few to ask {batch} queries"
        )

    with _timed(seconds, "score"):
        scores, passing, differences = np.zeros(len(pairs)), None, None
        scored = parts["score"] != "none"
        if scored or parts["filter"] or "differences" in picker.needs:
            rewards = _pair_rewards(context, pairs)
            members = rewards.sum(axis=-1)
            members = members[..., 0] - members[..., 1]
            if scored:
                scores = _scores(parts["score"], members)
            accuracy = context.train_accuracy
            gate = parts["filter"]
            if gate and accuracy is not None and accuracy > gate["train_accuracy"]:
                passing = consensual(members)
            if "differences" in picker.needs:
                differences = _mean_differences(rewards)
        stay = shortlist(scores, passing, parts["keep"], batch)

    with _timed(seconds, "pick"):
        pool = Pool(
            scores[stay],
            None if differences is None else differences[stay],
            None if latents is None else latents[np.searchsorted(ids, pairs[stay])],
            *(_segments(context, pairs, stay) if "segments" in picker.needs else (None, None)),
        )
        settings = {key: value for key, value in parts["picker"].items() if key != "name"}
        with blamed("picker", parts["picker"]["name"]):
            chosen = picker.pick(pool, batch, context.selector_generator, **settings)
            chosen = stay[_distinct(np.asarray(chosen), batch, len(stay))]
    return Selection(
        pairs=pairs[chosen],
        pool_size=len(pairs),
        score_pool=float(scores.mean()) if scored else float("nan"),
        score_selected=float(scores[chosen].mean()) if scored else float("nan"),
        seconds=seconds,
    )


def needs_latents(composition: Mapping[str, Any]) -> bool:
    """Whether the selector asks for VAE latents, in which case a run has and trains a VAE."""
    parts = validate_composition(composition)
    picker = parts["picker"]
    return parts["candidates"]["pairing"] == "cross_cluster" or (
        # beta = 1 leaves the reward kernel alone
        "latents" in PICKERS[picker["name"]].needs and picker.get("beta") != 1
    )


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    seconds[stage] += time.perf_counter() - begin


def _scores(name: str, members: np.ndarray) -> np.ndarray:
    """What a score gives for return differences [E, m]: m finite numbers."""
    members.flags.writeable = False
    with blamed("score", name):
        scores = np.asarray(SCORES[name](members))
        if scores.shape != members.shape[1:]:
            raise ValueError(f"gave scores {scores.shape}, not one a pair {members.shape[1:]}")
        if not np.isfinite(scores).all():
            raise ValueError(f"gave {(~np.isfinite(scores)).sum()} scores that are not finite")
    return scores


def _distinct(chosen: np.ndarray, batch: int, count: int) -> np.ndarray:
    """`batch` different indices below `count`, if it is them."""
    whole = chosen.shape == (batch,) and chosen.dtype.kind in "iu"
    if not whole or len(np.unique(chosen)) < batch or chosen.min() < 0 or chosen.max() >= count:
        raise ValueError(f"must give {batch} different indices below {count}, not {chosen!r}")
    return chosen


def _episode_weights(wanted: Mapping[str, Any], context: Context) -> np.ndarray | None:
    store, length = context.store, context.segment_length
    if wanted["name"] == "on_policy":
        return generators.on_policy_weights(store, length, context.log_probabilities)
    if wanted["name"] == "recent":
        return generators.recent_weights(store, length, wanted["episodes"])
    return None


def _standardised(values: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and sd 1; constant ones become 0."""
    sd = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(sd > 0, sd, 1)


def _pair_rewards(context: Context, pairs: np.ndarray) -> np.ndarray:
    """Each member's predicted rewards, float64 [E, m, 2, H]."""
    ids, index = np.unique(pairs, return_inverse=True)
    rewards = context.member_rewards(*context.store.gather(ids, context.segment_length))
    return rewards.astype(np.float64)[:, index]


def _mean_differences(rewards: np.ndarray) -> np.ndarray:
    """Pool.differences from the members' rewards [E, m, 2, H]."""
    sd = rewards.std(axis=(1, 2, 3), keepdims=True)
    mean = (rewards / np.where(sd > 0, sd, 1)).mean(axis=0)
    return mean[:, 0] - mean[:, 1]


def _segments(
    context: Context, pairs: np.ndarray, stay: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pool.segments and Pool.asked."""
    gather, length = context.store.gather, context.segment_length
    pool = np.concatenate(gather(pairs, length), axis=-1)
    asked = np.concatenate(gather(context.labelled, length), axis=-1)
    mean, sd = pool.mean(axis=(0, 1, 2)), pool.std(axis=(0, 1, 2))
    sd = np.where(sd > 0, sd, 1)
    width = length * mean.size
    pool, asked = (((x - mean) / sd).reshape(len(x), 2, width) for x in (pool[stay], asked))
    return pool, asked


def validate_composition(composition: Any) -> dict[str, Any]:
    """The composition with every setting explicit; what it leaves out is as in `random`.

    A part without settings may be given by its name alone (`picker: top`). Raises ValueError with
    one line that starts with the key at fault.
    """
    if not isinstance(composition, Mapping):
        found = short(composition)
        raise ValueError(f"must be a mapping of candidates, score, picker, not {found}")
    _known("", composition, ("candidates", "filter", "score", "keep", "picker"))

    given = _part("candidates", composition.get("candidates", "uniform"))
    name = _choice("candidates.name", given.get("name", "uniform"), CANDIDATES)
    pairing = _choice("candidates.pairing", given.get("pairing", "independent"), PAIRINGS)
    ranges = {**CANDIDATES[name], **PAIRINGS[pairing]}
    candidates = _settings("candidates", given, ranges, {"name": name, "pairing": pairing})

    gate = composition.get("filter")
    if gate is not None:
        given = _part("filter", gate)
        name = _choice("filter.name", given.get("name"), FILTERS)
        gate = _settings("filter", given, FILTERS[name], {"name": name})

    keep = composition.get("keep")
    if keep is not None:
        keep = _number("keep", keep, (0.5, 0.0, 1.0))
        if keep == 0:
            raise ValueError("keep: must be more than 0, the share of pairs that stay, or null")

    given = _part("picker", composition.get("picker", "random"))
    name = _choice("picker.name", given.get("name", "random"), PICKERS)
    picker = _settings("picker", given, PICKERS[name].settings, {"name": name})
    score = composition.get("score")
    if score is not None:
        given = _part("score", score)
        _known("score", given, ("name",))
        score = given.get("name")
    return {
        "candidates": candidates,
        "filter": gate,
        "score": _choice("score", "none" if score is None else score, ("none", *SCORES)),
        "keep": keep,
        "picker": picker,
    }


def _part(key: str, value: Any) -> Mapping[str, Any]:
    part = {"name": value} if isinstance(value, str) else value
    if not isinstance(part, Mapping):
        raise ValueError(f"{key}: must be a name or a mapping with a name, not {short(value)}")
    return part


def _choice(key: str, value: Any, known: Iterable[str]) -> str:
    known = list(known)
    if value not in known:
        close = get_close_matches(str(value), known, n=1)
        hint = f", did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{key}: unknown {short(value)}{hint}; known: {', '.join(known)}")
    return value


def _known(key: str, given: Mapping[str, Any], known: Iterable[str]) -> None:
    prefix = f"{key}." if key else ""
    known = list(known)
    for name in given:
        if name not in known:
            raise ValueError(f"{prefix}{name}: unknown here; known: {', '.join(known)}")


def _settings(
    key: str, given: Mapping[str, Any], ranges: Mapping[str, Range], part: dict[str, Any]
) -> dict[str, Any]:
    """`part` (its name and the like) with each setting of `ranges`, given or by default."""
    _known(key, given, [*part, *ranges])
    values = {
        name: _number(f"{key}.{name}", given.get(name, bounds[0]), bounds)
        for name, bounds in ranges.items()
    }
    return {**part, **values}


def _number(key: str, value: Any, bounds: Range) -> float:
    default, lowest, highest = bounds
    whole = isinstance(default, int)
    fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not fits or not lowest <= value <= highest:
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"{key}: must be {kind} from {lowest} to {highest}, not {short(value)}")
    return value if whole else float(value)
