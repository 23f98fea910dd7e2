"""What a real bash offers on Tab."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OFFERED = """
eval "$(register-python-argcomplete active-rlhf)"
COMP_LINE="$1" COMP_POINT=${#1} COMP_TYPE=9
_python_argcomplete active-rlhf && printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(line: str) -> set[str]:
    done = subprocess.run(
        ["bash", "--norc", "-c", OFFERED, "bash", line],
        cwd=ROOT,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return {found.strip() for found in done.stdout.splitlines()}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("active-rlhf tr", {"train"}),
        ("active-rlhf train --sel", {"--selector"}),
        ("active-rlhf label config/label", {"config/label_demo.yaml"}),
        ("active-rlhf verify src/active_rlhf/stu", {"src/active_rlhf/study/"}),
        ("active-rlhf train --study config/demo.yaml --env H", {"HalfCheetah-v5", "Hopper-v5"}),
        ("active-rlhf train --selector true", {"true_reward"}),
        ("active-rlhf train --set labels.to", {"labels.total="}),
        ("active-rlhf train --seed ", {""}),
        ("active-rlhf explain ppo.ga", {"ppo.gae_lambda", "ppo.gamma"}),
    ],
)
def test_bash_completes(line, expected):
    assert offered(line) == expected
