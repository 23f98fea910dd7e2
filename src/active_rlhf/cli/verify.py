"""Check that a study's results are complete and consistent.

Whatever follows from something else is computed again and compared; everything else is checked
against its recorded hash. Prints a line for each problem; the exit code is 1 if there is any.

Example:
  active-rlhf verify results/demo
"""

from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from active_rlhf.results.verify import Finding


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("results", type=Path, help="the folder of the results")
    parser.add_argument("--strict", action="store_true", help="fail on warnings too")


def run(args: Namespace) -> int:
    from active_rlhf.results.verify import PROBLEM, WARNING, verify

    found = verify(args.results)
    for line in lines(args.results, found):
        print(line)
    failing = (PROBLEM, WARNING) if args.strict else (PROBLEM,)
    return int(any(finding.level in failing for finding in found))


def lines(root: Path, found: list["Finding"]) -> Iterator[str]:
    """A line per problem, a line per kind of warning and note, and last a summary."""
    from active_rlhf.results.verify import NOTE, PROBLEM, WARNING

    for level in (PROBLEM, WARNING, NOTE):
        alike: dict[Any, list[Finding]] = {}
        for finding in found:
            if finding.level == level:
                key = finding if level == PROBLEM else finding.message
                alike.setdefault(key, []).append(finding)
        for first, *others in alike.values():
            label = "" if level == PROBLEM else f"{level}: "
            more = f" (and {len(others)} more)" if others else ""
            yield _printable(f"{root / first.path}{more}: {label}{first.message}")
    yield f"{root}: {_counted(found)}"


def _counted(found: list["Finding"]) -> str:
    """'2 problems (runs 1, statistics 1), 1 note', or 'sound' and the rest."""
    from active_rlhf.results.verify import PROBLEM

    levels = Counter(finding.level for finding in found)
    counts = [f"{levels[level]} {level}{'s' * (levels[level] > 1)}" for level in levels]
    places = Counter(f.path.split("/")[0] or "folder" for f in found if f.level == PROBLEM)
    if not places:
        return ", ".join(["sound", *counts])
    where = ", ".join(f"{place} {count}" for place, count in places.most_common())
    rest = [count for count, level in zip(counts, levels, strict=True) if level != PROBLEM]
    problems = next(count for count in counts if PROBLEM in count)
    return ", ".join([f"{problems} ({where})", *rest])


def _printable(text: str) -> str:
    """The text with unprintable characters escaped, such as line breaks in names."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
