"""Serve the page on which people answer a study's runs, or one run.

Runs ask if their teacher is `human`; those of a study appear as they begin. People open the page by
the address that is printed. From other machines that takes a token, which is part of it: without
--token, a new one each time.

A command after `--`, which trains the study, is started, with its output in
results/<study>/logs/label.log; when it ends, so does this.

Example:
  active-rlhf label config/label_demo.yaml
"""

import os
import secrets
import signal
import socket
import sys
import threading
import webbrowser
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Callable, Iterable
from pathlib import Path

from active_rlhf.cli.launch import exit_code, failure, has_ended, launched
from active_rlhf.cli.serving import serving
from active_rlhf.errors import InputError
from active_rlhf.files import results_folder
from active_rlhf.labelling.queue import FILE
from active_rlhf.labelling.runs import Runs, in_study

PORT = 8420
LOCAL = ("127.0.0.1", "localhost", "::1")
LEAST_TOKEN = 16  # characters


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "served", type=Path, metavar="STUDY|RUN", help="a study's file, or a run's directory"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen at; 0.0.0.0: all of this machine's",
    )
    parser.add_argument("--port", type=int, default=PORT, help=f"default: {PORT}")
    parser.add_argument(
        "--token", help="what people from elsewhere must know, of 16 or more characters"
    )
    parser.add_argument(
        "--open",
        action=BooleanOptionalAction,
        help="open the page in a browser; default: where there is one",
    )
    parser.set_defaults(command=[])
    parser.usage = "%(prog)s [options] STUDY|RUN [-- COMMAND ...]"


def run(args: Namespace) -> int:
    folders, results = _served(args.served)
    if args.command and args.served.is_dir():
        raise InputError(f"{args.served}: a command after -- takes a study's file, not a run")
    token = _token(args)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # after what the blocks below have to end
    from active_rlhf.labelling.server import application, own_names

    app = application(Runs(folders), token, (args.host.lower(), *own_names()))
    with serving(app, args.host, args.port) as port:
        address = _address(args.host, port, token)
        print(f"People answer at {address}", flush=True)
        if args.open or (args.open is None and _has_browser()):
            webbrowser.open(address)
        if not args.command:
            threading.Event().wait()  # for SIGTERM or Ctrl-C
        log = results / "logs" / "label.log"
        with launched(args.command, log) as (process, received):
            while not has_ended(process, 1.0):
                pass
    if received:
        print(f"stopped; the same command goes on. Answers are kept in {results}", file=sys.stderr)
        return 130 if signal.SIGINT in received else exit_code(process)
    if process.returncode:
        sys.stderr.write(failure(log))
        return exit_code(process)
    print(f"Finished. Everything is in {results}, the answers of each run in its answers.csv")
    return 0


def _served(path: Path) -> tuple[Callable[[], Iterable[Path]], Path]:
    """Where to look for runs, and the folder that holds them. Raises InputError."""
    if path.is_dir():
        if not (path / FILE).is_file() and not (path / "progress.json").is_file():
            raise InputError(
                f"{path}: neither a study's file nor the directory of a run that asks people"
            )
        return lambda: [path], path
    from active_rlhf.study.loading import load_study

    results = results_folder(load_study(path, cells=()).study)
    return in_study(results), results


def _token(args: Namespace) -> str | None:
    if args.token is None:
        return None if args.host in LOCAL else secrets.token_urlsafe(24)
    if (
        len(args.token) < LEAST_TOKEN
        or not args.token.replace("-", "").replace("_", "").isalnum()
        or not args.token.isascii()
    ):
        raise InputError(f"--token: must be {LEAST_TOKEN} or more letters, digits, - and _")
    return str(args.token)


def _address(host: str, port: int, token: str | None) -> str:
    name = (
        socket.gethostname() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    )
    return f"http://{name}:{port}/" + (f"#token={token}" if token else "")


def _has_browser() -> bool:
    screen = sys.platform == "darwin" or any(
        os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    return sys.stdout.isatty() and screen
