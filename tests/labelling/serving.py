"""Servers as people start them."""

import os
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        return int(found.getsockname()[1])


def listens(port: int) -> bool:
    with closing(socket.socket()) as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def begin_server(served: Path, port: int, *options: str) -> subprocess.Popen[str]:
    """`active-rlhf label`, once it listens."""
    command = [sys.executable, "-m", "active_rlhf.cli", "label", str(served), "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--no-open", *options],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    for _ in range(600):
        if listens(port):
            return process
        assert process.poll() is None, process.stdout and process.stdout.read()
        time.sleep(0.05)
    raise AssertionError("the server does not listen")
