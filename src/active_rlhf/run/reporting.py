"""What a run reports as it trains: `progress.json` for watchers, lines for logs."""

import json
import math
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from active_rlhf.files import atomic

if TYPE_CHECKING:
    from active_rlhf.run.loop import Run

FILE_EVERY, LINE_EVERY, WAITING_EVERY = 1.0, 10.0, 60.0  # seconds


def status_of(run: "Run") -> dict[str, Any]:
    """step, total_steps, labels, labels_total, last_return (None before the first)."""
    return {
        "step": run.behaviour.steps,
        "total_steps": run.plan.steps,
        "labels": run.labels,
        "labels_total": run.spec.labels.total if run.spec.labels else 0,
        "last_return": run.episodes[-1]["return"] if run.episodes else None,
    }


class Reporter:
    """Call it with the run after each rollout; it writes as often as readers need.

    `begun` is the step at which this process started.
    """

    def __init__(self, name: str, out: Path, begun: int = 0):
        self.name, self.path, self.begun = name, out / "progress.json", begun
        self.started, self._began = time.time(), time.monotonic()
        self._written = self._said = -math.inf
        self._rate = 0.0

    def waiting(self, run: "Run", what: str) -> None:
        """Report that the run waits for its teacher, and for what."""
        now = time.monotonic()
        if now - self._written >= FILE_EVERY:
            self._written = now
            self._write({"status": "running", "waiting": what, **status_of(run)})
        if now - self._said >= WAITING_EVERY:
            self._said = now
            print(f"{self.name}: waiting for {what}", flush=True)

    def __call__(self, run: "Run") -> None:
        """Report the run's progress."""
        status = status_of(run)
        now = time.monotonic()  # which nobody sets back
        rate = (status["step"] - self.begun) / max(now - self._began, 1e-9)
        last = status["step"] == status["total_steps"]
        if last or now - self._written >= FILE_EVERY:
            self._written = now
            self._rate = rate
            self._write({"status": "complete" if last else "running", **status})
        if last or now - self._said >= LINE_EVERY:
            self._said = now
            labels = f"{status['labels']}/{status['labels_total']} labels, "
            returned = status["last_return"]
            print(
                f"{self.name}: {status['step']:,}/{status['total_steps']:,} steps, "
                f"{rate:,.0f} steps/s, {labels if status['labels_total'] else ''}"
                f"last return {'none yet' if returned is None else f'{returned:.1f}'}",
                flush=True,
            )

    def _write(self, content: dict[str, Any]) -> None:
        times = {
            "steps_per_second": self._rate,
            "started": self.started,
            "updated": time.time(),
        }
        # A full disk may have room again by the time results are written.
        with suppress(OSError), atomic(self.path, lasting=False) as temporary:
            temporary.write_text(json.dumps(content | times) + "\n")
