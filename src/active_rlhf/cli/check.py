"""`active-rlhf check my_parts.py[:NAME]`: whether parts of one's own do what a run expects."""

import argparse
from typing import Any

from active_rlhf.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "parts", help="a file or package, or one part of it, as in my_parts.py:my_score"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SETTING=VALUE",
        dest="changes",
        help="a setting of the part, as in power=2 (repeatable)",
    )


def run(args: argparse.Namespace) -> int:
    """Print one line a check; returns 1 if any failed."""
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
