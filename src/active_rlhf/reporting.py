"""What a run tells the world while it works: `progress.json` for watchers, lines for logs."""

import json
import time
from pathlib import Path
from typing import Any

from active_rlhf.files import atomic

FILE_EVERY, LINE_EVERY = 1.0, 10.0  # seconds


class Reporter:
    """Called with a run's status after every rollout; writes as often as a reader could want."""

    def __init__(self, name: str, out: Path):
        self.name, self.path = name, out / "progress.json"
        self.started = time.time()
        self._written = self._said = 0.0

    def __call__(self, status: dict[str, Any]) -> None:
        """status: step, total_steps, labels, labels_total, last_return (None before the first)."""
        now = time.time()
        rate = status["step"] / max(now - self.started, 1e-9)
        last = status["step"] == status["total_steps"]
        if last or now - self._written >= FILE_EVERY:
            self._written = now
            content = {
                "status": "complete" if last else "running",
                **status,
                "steps_per_second": rate,
                "started": self.started,
                "updated": now,
            }
            with atomic(self.path) as temporary:
                temporary.write_text(json.dumps(content) + "\n")
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
