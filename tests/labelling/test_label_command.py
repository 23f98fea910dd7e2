"""The command `active-rlhf label`: what it refuses, and what its server does not load."""

import socket
import subprocess
import sys

import pytest
from asking import queue

from active_rlhf.cli.main import main

REFUSED = {
    "no such study": (["nowhere.yaml"], "nowhere.yaml"),
    "no run": (["{empty}"], "neither a study's file nor the directory of a run"),
    "a guessable token": (["{run}", "--token", "short"], "--token: must be 16 or more letters"),
    "a token for a header": (["{run}", "--token", "a;b " * 9], "--token: must be 16 or more"),
    "a port in use": (["{run}", "--port", "{used}"], "cannot be used"),
    "no port": (["{run}", "--port", "99999"], "--port: must be 0 to 65535, not 99999"),
    "another machine's address": (["{run}", "--host", "192.0.2.1"], "cannot be used"),
    "a command for a run": (["{run}", "--", "true"], "takes a study's file, not a run"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_served_gets_one_line(case, tmp_path, capsys):
    given, said = REFUSED[case]
    queue(tmp_path / "run", 1)
    (tmp_path / "empty").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as used:
        names = {"run": tmp_path / "run", "empty": tmp_path / "empty"}
        names["used"] = used.getsockname()[1]
        arguments = [text.format(**names) for text in given]
        assert main(["label", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and said in error and error.count("\n") == 1


def test_the_server_loads_nothing_that_takes_much_memory():
    code = (
        "import sys, active_rlhf.cli.label, active_rlhf.labelling.server, uvicorn;"
        "import active_rlhf.study.loading;"
        "heavy = {'torch', 'mujoco', 'pandas', 'scipy', 'numba', 'gymnasium', 'snakemake'};"
        "sys.exit(str(heavy & sys.modules.keys()) if heavy & sys.modules.keys() else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
