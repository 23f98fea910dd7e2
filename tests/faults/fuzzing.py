"""Trying many cases; ten times as many with ACTIVE_RLHF_FUZZ=10."""

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
