"""After a power cut, a file is either the old one or the new one, and whole."""

import os

import pytest

from active_rlhf.files import atomic


@pytest.fixture
def events(monkeypatch) -> list[str]:
    """What is done to the disk, in order: names flushed and renamed to."""
    found: list[str] = []
    flush, rename = os.fsync, os.replace

    def fsync(handle: int) -> None:
        found.append("flush " + os.path.basename(os.readlink(f"/proc/self/fd/{handle}")))
        flush(handle)

    def replace(old, new) -> None:
        found.append(f"rename {os.path.basename(old)} to {os.path.basename(new)}")
        rename(old, new)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    return found


def test_content_is_on_the_disk_before_its_name(tmp_path, events):
    with atomic(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
        name = temporary.name
    assert events == [f"flush {name}", f"rename {name} to a.txt", f"flush {tmp_path.name}"]
    assert (tmp_path / "a.txt").read_text() == "new"


def test_what_is_written_again_soon_waits_for_no_disk(tmp_path, events):
    with atomic(tmp_path / "a.txt", lasting=False) as temporary:
        temporary.write_text("new")
    assert [event.split()[0] for event in events] == ["rename"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, events):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError), atomic(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "a.txt").read_text() == "old" and events == []
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
