import pytest

from active_rlhf.study.ending import failure, own_words, reason, stopped


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("noise\nerror: first\nerror: a.csv: damaged; delete it\nmore noise\n", "a.csv: damaged"),
        ("Traceback\n  File x\nValueError: boom\n\n", "ValueError: boom (an unexpected error; "),
        ("", "ended without a word"),
        (None, "ended without a word"),
    ],
)
def test_the_reason_in_a_log_is_its_last_clear_line(log, said, tmp_path):
    if log is not None:
        (tmp_path / "log").write_text(log)
    assert reason(tmp_path / "log").startswith(said)


def test_reasons_stand_last_and_equal_ones_once(tmp_path):
    jobs = []
    for i, why in enumerate(["full", "full", *"abcdef"]):
        (tmp_path / str(i)).write_text(f"error: {why}\n")
        jobs.append((f"train {i}", tmp_path / str(i)))
    todo, *reasons = failure(jobs, 3, 12).splitlines()
    assert reasons == ["error: full (in 2 jobs)", *(f"error: {why}" for why in "abcd")]
    assert todo.startswith("8 jobs failed; 2 further reasons are in the logs. 3 of 12 runs are")
    assert failure(jobs[:1], 0, 0).splitlines()[-1] == "error: full"
    assert failure([], 0, 0).startswith("error: ")


def test_own_words_are_the_last_paragraph_of_an_output(tmp_path):
    for last in (stopped(1, 2), failure([("train", tmp_path / "none")], 1, 2)):
        assert own_words(f"Error in rule\n\n{last}\n") == f"{last}\n"
    assert own_words("\nError: the disk\nis gone\n") == ""
