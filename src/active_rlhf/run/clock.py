"""Where a run's time goes, and what it costs."""

import platform
import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Clock:
    """Wall seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - begin)

    def add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def state_dict(self) -> dict[str, float]:
        return self.seconds

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        for stage, seconds in state.items():
            self.add(stage, seconds)


class Cost:
    """The cost of a run, in this process and in earlier ones that were stopped or killed.

    Work that a killed process did after its last checkpoint is not included.
    """

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self._former = {"resumed": 0, "wall_s": 0.0, "cpu_s": 0.0, "peak_rss_mb": 0.0}
        self._started = time.time()

    def state_dict(self) -> dict[str, Any]:
        """started, finished (Unix seconds), resumed (times), wall_s, cpu_s, gpu_s, peak_rss_mb."""
        usage, former = resource.getrusage(resource.RUSAGE_SELF), self._former
        unit = 1024 if platform.system() == "Linux" else 1024**2  # kilobytes, but bytes on macOS
        return {
            "started": self._started,
            "finished": time.time(),
            "resumed": former["resumed"],
            "wall_s": former["wall_s"] + time.perf_counter() - self._begun,
            "cpu_s": former["cpu_s"] + usage.ru_utime + usage.ru_stime,
            "gpu_s": 0.0,  # nothing here runs on a GPU
            "peak_rss_mb": max(former["peak_rss_mb"], usage.ru_maxrss / unit),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Add to the costs of an earlier process."""
        self._started = state["started"]
        self._former = {name: state[name] for name in self._former}
        self._former["resumed"] += 1
