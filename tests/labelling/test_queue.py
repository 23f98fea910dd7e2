"""The queue under everything that may happen to a run, its server and its people."""

import shutil
import tempfile
from pathlib import Path

import pytest
from asking import TIMES
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from active_rlhf.labelling.combining import first, majority
from active_rlhf.labelling.desk import LEASE, Desk, Given
from active_rlhf.labelling.queue import FILE, Asked, Film, Refused, RunsEnd, table

PEOPLE, EVERY, BATCH = ("Ada", "Bo", "Cy"), 3, 3
MEMORY = Path("/dev/shm")  # commits to a disk take nine tenths of the time
SAID = st.sampled_from(["left", "right", "equal", "skipped"])


def asked(name: str, wanted: int = 1) -> Asked:
    films = (Film(f"{name} a", b"a"), Film(f"{name} b", b"b"))
    return Asked(name, films, (1.0, 2.0), wanted)


class Interleavings(RuleBasedStateMachine):
    """A run asks at every third step and takes what is there; it is killed and goes on from any
    earlier step, with the same behaviour or, after some step, with another."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.now, self.made, self.step = 0.0, 0, 0
        self.label = {}  # of the behaviour from each session's step on
        self.took, self.closed = {}, {}  # by step; by query, as it was taken
        self.given, self.showings = {}, {}
        self.leases = {}  # (query, person) -> until
        self.start()

    def start(self):
        self.run = RunsEnd(self.folder, {"spec": "1"})
        self.desk = Desk(self.folder, lambda: self.now)

    def teardown(self):
        self.run.close()
        self.desk.close()
        shutil.rmtree(self.folder)

    def rows(self, query, *values):
        return table(self.folder / FILE, query, *values)

    # --- the run ---

    @rule(partly=st.booleans())
    def turn(self, partly):
        self.step += 1
        if self.step % EVERY == 1:
            session = self.step // EVERY
            label = self.label.setdefault(session, "as before")
            tickets = range(session * BATCH, (session + 1) * BATCH)
            self.run.ask({t: asked(f"{label} {t}", 1 + t % 2) for t in tickets}, session, self.step)
        else:
            known = self.run.taken_at(self.step)
            if not (self.run.waiting() >= 2 if known is None else known):
                assert self.step not in self.took, "an earlier process took answers here"
                return
        taken = [repr(one) for one in self.run.take(self.step, majority, partly)]
        assert self.took.setdefault(self.step, taken) == taken

    @rule(back=st.integers(0, 12))
    def kill_the_run(self, back):
        self.run.close()
        self.start()
        self.step = max(self.step - back, 0)

    @rule(back=st.integers(0, 12), name=st.sampled_from(["as before", "other", "third"]))
    def kill_the_run_and_change_its_behaviour(self, back, name):
        self.kill_the_run(back)
        changed = self.step // EVERY + (self.step % EVERY > 0)
        if self.label.get(changed, name) == name:
            return
        self.label = {s: label for s, label in self.label.items() if s < changed}
        self.label[changed] = name
        self.took = {s: taken for s, taken in self.took.items() if s <= changed * EVERY}

    # --- people ---

    @rule(person=st.sampled_from(PEOPLE), count=st.integers(1, 3))
    def look(self, person, count):
        standing = self.standing()
        for one in self.desk.next(person, count):
            [row] = self.rows(
                "SELECT q.* FROM queries q JOIN showings s ON s.query = q.id WHERE s.id = ?", one.id
            )
            query, new = row["id"], one.id not in self.showings
            assert row["retired_at"] is None
            if new:
                assert (query, person) not in self.leases, "nobody is asked the same twice"
                others = {
                    other
                    for (q, other), until in self.leases.items()
                    if q == query and (until > self.now or (q, other) in standing)
                }
                assert len(others) < row["wanted"]
            self.showings[one.id] = (person, query)
            self.leases[query, person] = self.now + LEASE

    @precondition(lambda self: self.showings)
    @rule(data=st.data(), answer=st.one_of(SAID, st.just("withdrawn")))
    def say(self, data, answer):
        showing = data.draw(st.sampled_from(list(self.showings)))
        person, query = self.showings[showing]
        self.made += 1
        one = Given(f"{self.made}", showing, answer)
        stands, closed = (query, person) in self.standing(), query in self.taken()
        [said] = self.desk.record(person, [one])
        if closed and (stands or answer == "withdrawn"):
            assert isinstance(said, Refused)
        elif isinstance(said, Refused):
            assert answer == "withdrawn" and not stands
        else:
            self.given[one.id] = (person, one)

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def send_again(self, data):
        person, one = self.given[data.draw(st.sampled_from(list(self.given)))]
        [said] = self.desk.record(person, [one])
        assert not isinstance(said, Refused)

    @rule(seconds=st.floats(0, 2 * LEASE))
    def wait(self, seconds):
        self.now += seconds

    # --- what holds at all times ---

    def standing(self):
        rows = self.rows("SELECT query, annotator FROM current WHERE purpose = 'query'")
        return {(row["query"], row["annotator"]) for row in rows}

    def taken(self):
        return {r["query"]: r for r in self.rows("SELECT * FROM taken JOIN queries ON id = query")}

    @invariant()
    def nothing_is_lost_or_doubled(self):
        kept = self.rows("SELECT id, annotator, showing FROM answers")
        assert sorted(map(str, kept)) == sorted(
            str({"id": key, "annotator": person, "showing": one.showing})
            for key, (person, one) in self.given.items()
        )

    @invariant()
    def what_was_taken_stays_and_nothing_is_live_twice(self):
        now = self.taken()
        for query, row in now.items():
            assert row["retired_at"] is None
            before = self.closed.get(query, row)
            if before["step"] == row["step"] and row["step"] in self.took:
                assert before["preference"] == row["preference"]
        self.closed = now
        live = self.rows(
            "SELECT ticket, digest FROM queries WHERE purpose='query' AND retired_at IS NULL"
        )
        assert len({row["ticket"] for row in live}) == len(live)
        everything = self.rows("SELECT digest FROM queries")
        assert len({row["digest"] for row in everything}) == len(everything)


Interleavings.TestCase.settings = settings(
    max_examples=30 * TIMES,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
test_whatever_happens_no_answer_is_lost_or_changed_once_taken = Interleavings.TestCase


@pytest.fixture
def ends(tmp_path):
    """The run's end, and the desk."""
    run = RunsEnd(tmp_path, {"spec": "1"})
    yield run, Desk(tmp_path, lambda: 0.0)
    run.close()


def answer(desk, person, said="left"):
    [showing] = desk.next(person, 1, practised=True)
    [recorded] = desk.record(person, [Given(f"{person} {showing.id}", showing.id, said)])
    return recorded


def test_a_run_of_another_spec_takes_anew_what_people_said_before(ends, tmp_path):
    run, desk = ends
    run.ask({0: asked("a", 2), 1: asked("b")}, 0, 10)
    for person in ("Ada", "Bo"):
        answer(desk, person, "equal")
    assert [one.ticket for one in run.take(10, first)] == [0]
    other = RunsEnd(tmp_path, {"spec": "2"})
    assert other.taken_at(10) is None and other.waiting() == 0
    assert desk.progress() == {"asked": 0, "answered": 0, "taken": 0}
    other.ask({0: asked("c"), 1: asked("a", 2)}, 0, 10)
    assert [one.ticket for one in other.take(10, majority)] == [1]
    assert desk.progress()["asked"] == 2
    other.close()


def test_an_earlier_process_that_got_further_took_nothing_on_its_way(ends):
    run, desk = ends
    run.ask({0: asked("a")}, 0, 10)
    run.take(10, first)
    run.ask({1: asked("b")}, 1, 30)  # killed here
    answer(desk, "Ada")
    assert run.taken_at(20) is False and run.taken_at(30) is None


def test_who_changes_their_mind_keeps_their_turn(ends):
    run, desk = ends
    run.ask({0: asked("a", 2)}, 0, 10)
    [ada] = desk.next("Ada", 1)
    desk.record("Ada", [Given("1", ada.id, "skipped")])
    answer(desk, "Bo", "equal")
    desk.record("Ada", [Given("2", ada.id, "left")])
    [one] = run.take(10, first)
    assert one.preference in (0.0, 1.0)


def test_what_is_held_is_leased_for_longer_until_nobody_holds_it(ends, tmp_path):
    run, _ = ends
    run.ask({0: asked("a"), 1: asked("b")}, 0, 10)
    now = [1000.0]
    desk = Desk(tmp_path, clock=lambda: now[0])
    shown = desk.next("Ada", 2)
    for _ in range(5):
        now[0] += 0.8 * LEASE
        assert desk.held("Ada") == shown and desk.next("Bob", 2) == []
    now[0] += 1.1 * LEASE
    assert len(desk.next("Bob", 2)) == 2
    assert desk.held("Ada") == shown  # and may still answer
