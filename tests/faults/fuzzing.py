"""Trying many cases; ten times as many with ACTIVE_RLHF_FUZZ=10."""

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Cuts = list[tuple[int, int, bytes]]  # place in thousandths, bytes lost, bytes in their place
TIMES = int(os.environ.get("ACTIVE_RLHF_FUZZ", "1"))


def accepted(check: Callable[[Any], Any], cases: int, strategy: st.SearchStrategy) -> float:
    """Run `check` on `cases` drawn cases (times TIMES); the share of which it says true."""
    tried = true = 0

    @settings(max_examples=cases * TIMES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def case(drawn: Any) -> None:
        nonlocal tried, true
        tried += 1
        true += bool(check(drawn))

    case()
    assert tried >= cases
    return true / tried


def cuts(*texts: bytes) -> st.SearchStrategy[Cuts]:
    """One or two places where a file is damaged, by junk, these texts among it, or nothing."""
    known = [b"", b",", b"\n", b'"', b"\r", b"9", b"e", b"-", b".", b"nan", b"\0", *texts]
    junk = st.binary(max_size=6) | st.sampled_from(known)
    lost = st.sampled_from([0, 1, 3, 40, 400, 10**6])
    return st.lists(st.tuples(st.integers(0, 1000), lost, junk), min_size=1, max_size=2)


def damaged(content: bytes, damage: Cuts) -> bytes:
    for place, lost, junk in damage:
        at = len(content) * place // 1000
        content = content[:at] + junk + content[at + lost :]
    return content
