"""Print the resolved settings of one run, with every default filled in, as JSON.

`active-rlhf train --spec FILE` trains what this prints.

Example:
  active-rlhf spec --study config/demo.yaml --env Hopper-v5 --selector duo --seed 1
"""

import json
from argparse import Namespace

from active_rlhf.cli.one_run import add_arguments, load

__all__ = ["add_arguments", "run"]


def run(args: Namespace) -> int:
    print(json.dumps(load(args)[1].as_dict(), indent=1))
    return 0
