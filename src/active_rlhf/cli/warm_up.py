"""Compile everything a run needs, once per machine, so that no run has to.

Example:
  active-rlhf warm-up
"""

from argparse import ArgumentParser, Namespace

from active_rlhf.cli.threads import one_thread


def add_arguments(parser: ArgumentParser) -> None:
    """It takes no arguments."""


def run(args: Namespace) -> int:
    one_thread()
    from active_rlhf.compute import compilation, products

    if not compilation.compiles():
        return 1
    speeds = products.measured()
    print(f"Kernels are compiled. precision: auto takes {speeds.faster} here: {speeds}")
    return 0
