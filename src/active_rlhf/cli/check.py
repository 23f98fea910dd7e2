"""Check that your own parts do what a run expects; exit code 1 if one does not.

Example:
  active-rlhf check my_parts.py:my_score --set power=2
"""

from argparse import ArgumentParser, Namespace
from typing import Any

from active_rlhf.cli.threads import one_thread
from active_rlhf.errors import InputError


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "parts",
        help="a file or package, or one part in it, as in my_parts.py:my_score; or one of the "
        "package's own, as in score:bald",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SETTING=VALUE",
        dest="changes",
        help="a setting of the part, as in power=2 (repeatable)",
    )


def run(args: Namespace) -> int:
    """Print one line per check; returns 1 if any failed."""
    one_thread()
    from active_rlhf.parts.conformance import outcomes, subjects
    from active_rlhf.study.loading import merge, parse_set

    source, _, name = args.parts.partition(":")
    changes: list[dict[str, Any]] = [parse_set(text) for text in args.changes]
    settings = merge({}, *changes)
    found = [subject for subject in subjects(source) if name in ("", subject.name)]
    if not found:
        names = ", ".join(subject.name for subject in subjects(source))
        raise InputError(f"{source}: declares no {name}; known: {names}")
    failed = 0
    for subject in found:
        for check, fault in outcomes(subject, settings):
            failed += fault is not None
            said = f": {fault}" if fault else ""
            print(f"{'FAIL' if fault else 'ok  '} {subject}: {check}{said}", flush=True)
    return int(failed > 0)
