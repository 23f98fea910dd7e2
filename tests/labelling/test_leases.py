"""A page that is looked at keeps its pairs; one that was left gives them to others."""

from asking import queue

from active_rlhf.labelling.desk import LEASE, Desk


def test_what_is_held_is_leased_for_longer_until_nobody_holds_it(tmp_path):
    queue(tmp_path, 2)
    now = [1000.0]
    desk = Desk(tmp_path, clock=lambda: now[0])
    shown = desk.next("Ada", 2)
    for _ in range(5):
        now[0] += 0.8 * LEASE
        assert desk.held("Ada") == shown and desk.next("Bob", 2) == []
    now[0] += 1.1 * LEASE
    assert len(desk.next("Bob", 2)) == 2
    assert desk.held("Ada") == shown  # and may still answer
