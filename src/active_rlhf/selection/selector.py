"""A query selector in use: candidates, filter and score, shortlist, pick."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from active_rlhf.errors import InputError
from active_rlhf.parts import Working, part
from active_rlhf.selection.candidates.pairing import pairs_across_clusters
from active_rlhf.selection.composition import (
    NONE,
    ROLES,
    needs_latents,
    settings,
    validate_composition,
)
from active_rlhf.selection.context import Context, Selection
from active_rlhf.selection.pairs import Pairs

STAGES = ("candidates", "vae", "score", "pick")


class Selector:
    """The parts of a composition; they may keep state from one session to the next."""

    def __init__(self, composition: Any):
        """Raises InputError for an invalid composition, PartError if a part cannot be made."""
        self.composition = validate_composition(composition)
        self.needs_latents = needs_latents(self.composition)
        self._parts: dict[str, Working] = {
            role: part(role, choice["name"]).start(settings(choice))
            for role in ROLES
            if (choice := self.composition[role]) not in (None, NONE)
        }

    def select(self, context: Context, batch: int) -> Selection:
        """The `batch` distinct pairs that the composition chooses of `context.pool_size`.

        Raises InputError if the behaviour so far has fewer than `batch` pairs to offer, and
        PartError naming a part that fails or returns something invalid.
        """
        seconds = dict.fromkeys(STAGES, 0.0)
        pairs = self._candidates(context, seconds)
        if len(pairs) < batch:
            raise InputError(
                f"labels: {len(pairs)} pairs of segments seen so far are too few to ask {batch} "
                "queries"
            )
        with _timed(seconds, "score"):
            scores, passing = self._score(pairs), self._filter(pairs)
            stay = shortlist(scores, passing, self.composition["keep"], batch)
        with _timed(seconds, "pick"):
            chosen = stay[self._pick(pairs.among(stay, scores), batch, context)]
        scored = "score" in self._parts
        return Selection(
            pairs=pairs.ids[chosen],
            pool_size=len(pairs),
            shortlist_size=len(stay),
            score_pool=float(scores.mean()) if scored else float("nan"),
            score_selected=float(scores[chosen].mean()) if scored else float("nan"),
            seconds=seconds,
        )

    # --- the stages ---

    def _candidates(self, context: Context, seconds: dict[str, float]) -> Pairs:
        """The pool, with latents if any part needs them."""
        wanted, generate = self.composition["candidates"], self._parts["candidates"]
        generator = context.candidate_generator
        with _timed(seconds, "candidates"), generate.blamed():
            drawn = _distinct_pairs(generate(context, context.pool_size, generator))
        if not self.needs_latents:
            return Pairs(context, drawn)
        with _timed(seconds, "vae"):
            ids = np.unique(drawn)
            latents = standardised(context.embed(ids).astype(np.float64))
        with _timed(seconds, "candidates"):
            pairs = drawn
            if wanted["pairing"] == "cross_cluster":
                clusters, count = wanted["clusters"], len(drawn)
                across = pairs_across_clusters(ids, latents, clusters, count, generator)
                pairs = across if len(across) else drawn
        return Pairs(context, pairs, lambda: latents[np.searchsorted(ids, pairs)])

    def _score(self, pairs: Pairs) -> np.ndarray:
        """A finite number for each pair; zeros without a score."""
        if "score" not in self._parts:
            return pairs.scores
        score = self._parts["score"]
        with score.blamed():
            scores: np.ndarray = np.asarray(score(pairs))
            if scores.shape != (len(pairs),):
                raise ValueError(f"gave scores {scores.shape}, not one per pair {(len(pairs),)}")
            if scores.dtype.kind not in "fiub" or not np.isfinite(scores).all():
                count = (~np.isfinite(scores)).sum() if scores.dtype.kind == "f" else len(scores)
                raise ValueError(f"gave {count} scores that are not finite numbers")
        return scores

    def _filter(self, pairs: Pairs) -> np.ndarray | None:
        """Which pairs pass, or None if all do."""
        if "filter" not in self._parts:
            return None
        gate = self._parts["filter"]
        with gate.blamed():
            given = gate(pairs)
            if given is None:
                return None
            passing: np.ndarray = np.asarray(given)
            if passing.shape != (len(pairs),) or passing.dtype != bool:
                raise ValueError(
                    f"gave {passing.dtype} {passing.shape}, not a bool per pair {(len(pairs),)}"
                )
        return passing

    def _pick(self, pool: Pairs, batch: int, context: Context) -> np.ndarray:
        """`batch` different indices into the pool."""
        pick = self._parts["picker"]
        with pick.blamed():
            chosen: np.ndarray = np.asarray(pick(pool, batch, context.selector_generator))
            whole = chosen.shape == (batch,) and chosen.dtype.kind in "iu"
            inside = whole and chosen.min() >= 0 and chosen.max() < len(pool)
            if not inside or len(np.unique(chosen)) < batch:
                raise ValueError(
                    f"must give {batch} different indices below {len(pool)}, not {chosen!r}"
                )
        return chosen

    # --- state ---

    def state_dict(self) -> dict[str, Any]:
        """The state of its parts, by role; empty for those that keep none."""
        return {role: working.state_dict() for role, working in self._parts.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore this state."""
        for role, working in self._parts.items():
            working.load_state_dict(state[role])


def shortlist(
    scores: np.ndarray, passing: np.ndarray | None, keep: float | None, batch: int
) -> np.ndarray:
    """Indices, ascending, of the pairs that stay: the best `keep` of those `passing` the filter.

    Never fewer than `batch`: if too few pass, the best-scored others are added; a share `keep` that
    leaves too few is increased. Ties go to the lower index.
    """
    order = np.argsort(-scores, kind="stable")
    if passing is not None:
        order = order[np.argsort(~passing[order], kind="stable")]
        order = order[: max(batch, int(passing.sum()))]
    if keep is not None:
        order = order[: max(batch, int(np.ceil(keep * len(order))))]
    return np.sort(order)


def standardised(values: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and sd 1; constant ones become 0."""
    sd = values.std(axis=0)
    return np.asarray((values - values.mean(axis=0)) / np.where(sd > 0, sd, 1))


def _distinct_pairs(pairs: Any) -> np.ndarray:
    """The ids, if they are distinct pairs of distinct segments; else raises ValueError."""
    pairs = np.asarray(pairs)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        raise ValueError(f"gave {pairs.dtype} {pairs.shape}, not pairs of ids, int64 [m, 2]")
    pairs = pairs.astype(np.int64)
    if len(np.unique(np.sort(pairs, axis=1), axis=0)) < len(pairs):
        raise ValueError("gave a pair twice")
    if (pairs[:, 0] == pairs[:, 1]).any():
        raise ValueError("gave a pair of a segment with itself")
    return np.asarray(pairs)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    seconds[stage] += time.perf_counter() - begin
