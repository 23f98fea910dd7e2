"""What a shell offers on Tab: commands, options, files, and the names that a study knows."""

import os
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import argcomplete
from argcomplete.completers import FilesCompleter, SuppressCompleter

from active_rlhf.cli.main import COMMANDS, add_arguments
from active_rlhf.study.loading import load_study
from active_rlhf.study.matrix import BASELINES
from active_rlhf.study.settings import Study

FILES = ("config", "parts", "spec", "study")  # arguments that name files as text


def complete() -> None:
    """Answer the shell, which asks through the environment (argcomplete), and end the process."""
    line = os.environ.get("COMP_LINE", "").split()
    parser = ArgumentParser(prog="active-rlhf")
    parser.add_argument("--version", action="store_true")
    commands = parser.add_subparsers()
    for name in COMMANDS:
        command = commands.add_parser(name)
        if name in line[1:2]:  # the others are not needed
            add_arguments(command, name)
            for action in command._actions:
                if action.choices is None:  # the choices complete themselves
                    vars(action)["completer"] = _completer(action)
    argcomplete.autocomplete(parser)


def _completer(action: Action) -> Callable[..., Iterable[str]]:
    if action.dest in NAMES:
        return NAMES[action.dest]
    takes_file = action.type is Path or action.dest in FILES
    completer: Callable[..., Iterable[str]] = (
        FilesCompleter() if takes_file else SuppressCompleter()
    )
    return completer


def _study(parsed: Namespace) -> Study | None:
    file = getattr(parsed, "study", None)
    return load_study(file, cells=()) if file else None


def _environments(parsed_args: Namespace, **_: Any) -> Iterable[str]:
    from active_rlhf.tasks.gym import ENVIRONMENTS

    study = _study(parsed_args)
    return study.environments if study else ENVIRONMENTS


def _selectors(parsed_args: Namespace, **_: Any) -> Iterable[str]:
    from active_rlhf.selection.presets import PRESETS

    study = _study(parsed_args)
    return dict.fromkeys([*(study.selectors if study else ()), *PRESETS, *BASELINES])


def _keys(**_: Any) -> Iterable[str]:
    from active_rlhf.study.reference import keys

    return keys()


def _changes(**_: Any) -> Iterable[str]:
    from active_rlhf.study.loading import SECTIONS

    return [f"{key}=" for key in _keys() if key.partition(".")[0] in SECTIONS]


NAMES: dict[str, Callable[..., Iterable[str]]] = {
    "env": _environments,
    "selector": _selectors,
    "key": _keys,
    "changes": _changes,
}
