"""The command `active-rlhf`: finds a subcommand's module, and imports no other."""

import os
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from active_rlhf.errors import InputError, explained

COMMANDS = {
    "train": "train one run",
    "probe": "make the pairs that reward models are measured on",
    "spec": "print the resolved settings of one run",
    "list": "list environments, selectors and all other parts",
    "explain": "explain a setting or a part",
    "new": "write a template for a part of your own",
    "check": "check that your own parts work",
    "inspect": "print what a run's reward model has learned",
    "labels": "copy the labels of runs to JSONL, CSV or labels.npz",
    "quality": "print how good people's answers are",
    "reward-fit": "compare reward models on labels that are there already",
    "import": "look at files of runs made elsewhere, and write a study of them",
    "results": "print the folder of a study's results",
    "verify": "check that a study's results are complete and consistent",
    "provenance": "print what a study's file was made from",
    "label": "serve the page on which people answer",
    "warm-up": "compile everything a run needs, once per machine",
    "watch": "show the progress of a study's runs",
    "page": "make a study's pages of the runs that are finished",
    "figure": "draw one figure of a study, in a size of its own",
    "film": "show what a run's policy does, or segments of its behaviour",
    "queries": "show the pairs that a run asked about, and the answers",
}
USAGE = """usage: active-rlhf COMMAND ...

A benchmark of query selection in RLHF.

commands:
{}

`active-rlhf COMMAND --help` says more, with an example. `active-rlhf --version` prints the version.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 2 for bad input, 1 if a run or the machine fails, 130
    for Ctrl-C, 75 for `start me again`."""
    if "_ARGCOMPLETE" in os.environ:  # a shell asks for completions
        from active_rlhf.cli.completion import complete

        complete()
    name, *rest = (sys.argv[1:] if argv is None else list(argv)) or [""]
    if name in ("-h", "--help"):
        print(_usage(), end="")
        return 0
    if name == "--version":
        from importlib.metadata import version

        print(f"active-rlhf {version('active-rlhf')}")
        return 0
    try:
        parser = parser_of(name)
        if parser.get_default("command") is not None and "--" in rest:
            at = rest.index("--")
            parser.set_defaults(command=rest[at + 1 :])
            rest = rest[:at]
        return _module(name).run(parser.parse_args(rest))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {explained(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def parser_of(name: str) -> ArgumentParser:
    """The parser of a command, whose help is its module's docstring with the example at its end."""
    command = _module(name)
    description, _, example = (command.__doc__ or "").partition("\n\nExample")
    parser = ArgumentParser(
        prog=f"active-rlhf {name}",
        description=description.strip(),
        epilog=f"example{example.rstrip()}",
        formatter_class=RawDescriptionHelpFormatter,
    )
    add_arguments(parser, name)
    return parser


def add_arguments(parser: ArgumentParser, name: str) -> None:
    """Give a parser the arguments of a command.

    One with the default `command=[]` gets there what stands after `--`, wherever its options are.
    """
    _module(name).add_arguments(parser)


def _module(name: str) -> ModuleType:
    if name not in COMMANDS:
        raise InputError(_unknown(name))
    return import_module(f"active_rlhf.cli.{name.replace('-', '_')}")


def _usage() -> str:
    return USAGE.format("\n".join(f"  {name:<12}{text}" for name, text in COMMANDS.items()))


def _unknown(name: str) -> str:
    if not name:
        return "no command is given; see active-rlhf --help"
    from difflib import get_close_matches

    close = "".join(f", did you mean {found!r}?" for found in get_close_matches(name, COMMANDS, 1))
    return f"unknown command {name!r}{close}; known: {', '.join(COMMANDS)}"


if __name__ == "__main__":
    sys.exit(main())
