"""The label page under load: time to the next pair, answers a second, memory, cost to a policy.

    python benchmarks/labelling.py [--out benchmarks/labelling.json]

Ten people answer a pair every two seconds: one in a real browser (Debian's chromium, without a
graphics card), in whose page the time from the key to the next pair's first frame is measured, and
nine that send what a browser sends. Answers a second are those of 40 connections that do nothing
else. What people cost a policy is measured by training runs alone and beside them, in turns.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import psutil

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/labelling")]

from asking import queue  # noqa: E402
from at_the_page import person  # noqa: E402
from browsing import browser  # noqa: E402
from serving import begin_server, free_port  # noqa: E402

PEOPLE, PAUSE = 10, 2.0  # seconds between a person's answers
QUERIES = 3000
SECONDS = 60.0
TRAINED = ["--study", "config/demo.yaml", "--env", "HalfCheetah-v5", "--selector", "true_reward"]


class Connection:
    """What a browser sends, in one person's name."""

    def __init__(self, port: int, name: str):
        here = f"http://127.0.0.1:{port}"
        self.name = name
        self.client = httpx.Client(base_url=here, headers={"Origin": here}, timeout=60)

    def look(self) -> list[dict]:
        wish = {"annotator": self.name, "count": 5}
        return self.client.post("/api/next", json=wish).json()["showings"]

    def answer(self, showing: dict, side: str = "left") -> None:
        body = {"annotator": self.name, "run": showing["run"], "showing": showing["id"]}
        body |= {"id": str(uuid.uuid4()), "answer": side, "seconds": PAUSE}
        self.client.post("/api/answer", json=body).raise_for_status()


@contextmanager
def people(port: int, count: int) -> Iterator[None]:
    """So many people answer at their pace, meanwhile."""
    stop = threading.Event()

    def work(number: int) -> None:
        at, seen = Connection(port, f"person {number}"), set()
        stop.wait(PAUSE * number / count)
        while not stop.is_set():
            showings = at.look()
            for digest in {d for one in showings for d in one["films"]} - seen:
                at.client.get(f"/api/film/{showings[0]['run']}/{digest}").raise_for_status()
                seen.add(digest)
            if showings:
                at.answer(showings[0])
            stop.wait(PAUSE)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def next_pair(port: int) -> dict[str, float]:
    """Milliseconds from a key to the next pair, painted, in a browser beside other people."""
    moving = {"reduced_motion": "no-preference"}
    with (
        browser() as chromium,
        person(chromium, port, "measured", **moving) as at,
        people(port, PEOPLE - 1),
    ):
        begun = time.monotonic()
        while time.monotonic() - begun < SECONDS:
            at.press("1")
            at.page.wait_for_timeout(500)
        code = "performance.getEntriesByName('next pair').map((entry) => entry.duration)"
        took = at.page.evaluate(code)
    return {
        "answers": len(took),
        "median_ms": float(np.median(took)),
        "p95_ms": float(np.quantile(took, 0.95)),
    }


def throughput(
    port: int, server: psutil.Process, connections: int = 40, seconds: float = 10.0
) -> dict[str, float]:
    """Answers that are on disk, changes of mind, as fast as they go."""
    given, until = [], time.monotonic() + seconds

    def work(number: int) -> None:
        at = Connection(port, f"fast {number}")
        [showing, *_] = at.look()
        while time.monotonic() < until:
            at.answer(showing, ("left", "right")[len(given) % 2])
            given.append(number)

    begun, used = time.monotonic(), sum(server.cpu_times()[:2])
    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(work, range(connections)))
    spent = sum(server.cpu_times()[:2]) - used
    rate = len(given) / (time.monotonic() - begun)
    return {"answers_a_second": rate, "server_cpu_ms_an_answer": 1000 * spent / len(given)}


def policy(folder: Path) -> tuple[float, float]:
    """Seconds, and CPU seconds, that a policy takes to train on the true reward."""
    command = [sys.executable, "-m", "active_rlhf.cli", "train", *TRAINED, "--seed", "1"]
    changes = ["--set", "total_steps=102400", "--out", str(folder), "--force"]
    used = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    subprocess.run([*command, *changes], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    wall = float(json.loads((folder / "run.json").read_text())["wall_s"])
    return wall, sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - used


def beside_people(
    port: int, server: psutil.Process, folder: Path, rounds: int = 5
) -> dict[str, float]:
    """How much longer a policy takes beside ten people, and the server's share of a core then.

    cpu_ratio counts only the time that the policy's process computes, which says what people cost
    it where other work keeps the machine busy.
    """
    policy(folder)  # compiles what is not compiled yet
    ratios, shares = [], []
    for _ in range(rounds):
        alone = policy(folder)
        with people(port, PEOPLE):
            before, begun = sum(server.cpu_times()[:2]), time.monotonic()
            beside = policy(folder)
            spent = sum(server.cpu_times()[:2]) - before
            shares.append(spent / (time.monotonic() - begun))
        ratios.append([b / a for a, b in zip(alone, beside, strict=True)])
    wall, cpu = np.median(ratios, axis=0).tolist()
    share = statistics.median(shares)
    return {"wall_ratio": wall, "cpu_ratio": cpu, "server_share_of_a_core": share}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        queue(folder / "run", QUERIES, budget=QUERIES)
        port = free_port()
        process = begin_server(folder / "run", port)
        server = psutil.Process(process.pid)
        try:
            found = {"load_before": psutil.getloadavg()[0], "next_pair": next_pair(port)}
            found["throughput"] = throughput(port, server)
            found["server_mb"] = server.memory_info().rss / 1e6
            print(json.dumps(found), flush=True)
            found["policy"] = beside_people(port, server, folder / "policy")
        finally:
            process.terminate()
            process.communicate()
    print(json.dumps(found, indent=1))
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
