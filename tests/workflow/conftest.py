"""One tiny real study, trained once; every test gets its own copy of the results."""

import fcntl
import os
import pickle
import shutil
import subprocess
import sys

import pytest
from studies import REPOSITORY, Study


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> subprocess.CompletedProcess[str]:
    """The tiny study, trained and analysed while `active-rlhf watch` looks on.

    Once for all processes that share the tests: whoever is first has the others wait.
    """
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    record, study = place / "trained.pickle", Study(place / "o ü 研究 dir")
    with (place / "trained.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not record.exists():
            study.folder.mkdir(exist_ok=True)
            study.configure()
            watch = [sys.executable, "-m", "active_rlhf.cli", "watch", "study.yaml", "--"]
            record.write_bytes(pickle.dumps(study.run(*watch, *study.command())))
    result = pickle.loads(record.read_bytes())
    assert result.returncode == 0, result.stdout + result.stderr
    result.folder = study.folder
    return result


@pytest.fixture
def study(trained, tmp_path) -> Study:
    shutil.copytree(trained.folder, tmp_path / "study")
    return Study(tmp_path / "study")


@pytest.fixture
def editable(study, tmp_path) -> Study:
    """A study made by a copy of the repository that may be edited."""
    copy = tmp_path / "repository"
    for folder in ("workflow", "profiles", "src"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(
            REPOSITORY / folder, copy / folder, ignore=ignored, copy_function=shutil.copy
        )
    shutil.copy(REPOSITORY / "Snakefile", copy)
    return Study(study.folder, copy)
