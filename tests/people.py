"""A small run whose teacher is people, who are threads at its desk."""

import threading
import time
from contextlib import contextmanager

from tiny_study import small

from active_rlhf.labelling.desk import Desk, Given
from active_rlhf.labelling.queue import FILE, QueueError, table
from active_rlhf.study.loading import load_study, resolve_run

SMALL = small(
    environments=["Reacher-v5"],
    selectors=["random"],
    total_steps=24 * 64,
    agent={"epochs": 1},
    labels={"total": 30, "initial": 6, "sessions": 6, "segment_length": 5},
    evaluation={"every": 1536},
)


def spec(name="human", seed=1, **teacher):
    data = SMALL | {"teacher": {"name": name, **teacher}}
    return resolve_run(load_study("small.yaml", data=data), "Reacher-v5", "random", seed)


@contextmanager
def person(folder, name="Ada", answer=lambda left, right: "left" if left > right else "right"):
    """Answers what is on the desk, at once, until the end of the block."""
    stop, given = threading.Event(), []

    def work():
        desk = None
        while not stop.is_set():
            try:
                desk = desk or Desk(folder)
            except QueueError:
                time.sleep(0.02)
                continue
            shown = desk.next(name, 3)
            for showing in shown:
                returns = _returns(folder, showing)
                one = Given(f"{name}-{len(given)}", showing.id, answer(*returns), 1.5)
                given.append(one)
                desk.record(name, [one])
            if not shown:
                time.sleep(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield given
    finally:
        stop.set()
        thread.join()


def _returns(folder, showing):
    """The true returns of what is on the left and on the right."""
    [row] = table(
        folder / FILE,
        "SELECT q.first_return, q.second_return, s.mirrored FROM showings s "
        "JOIN queries q ON q.id = s.query WHERE s.id = ?",
        showing.id,
    )
    both = row["first_return"], row["second_return"]
    return both[::-1] if row["mirrored"] else both
