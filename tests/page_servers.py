"""A command that serves a page while a test looks at it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def served(study: Any, *arguments: str) -> Iterator[str]:
    """The address that `active-rlhf <arguments>` prints first, in the study's folder."""
    command = [sys.executable, "-m", "active_rlhf.cli", *arguments]
    environment = os.environ | {"PYTHONPATH": str(study.repository / "src")}
    with subprocess.Popen(
        command, cwd=study.folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        first = process.stdout.readline()
        found = re.search(r"http://\S+", first)
        assert found, first
        try:
            yield found[0]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
