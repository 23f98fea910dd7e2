"""The command `active-rlhf`. Nothing heavy is imported before a command needs it."""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from active_rlhf.cli import explain
from active_rlhf.errors import InputError, explained
from active_rlhf.files import CHECKPOINT, LOCK
from active_rlhf.study.loading import load_spec, load_study, merge, parse_set, resolve_run
from active_rlhf.study.matrix import RANDOM_POLICY, TRUE_REWARD
from active_rlhf.study.messages import ConfigError
from active_rlhf.study.settings import Spec, Study

AGAIN = os.EX_TEMPFAIL  # 75: stopped before its end, the same command goes on
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 2 for bad input, 1 if a run or the machine fails, 130
    for Ctrl-C, 75 for again."""
    argv = sys.argv[1:] if argv is None else list(argv)
    args = _parser(argv).parse_args(argv)
    try:
        return args.command_of(args)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {explained(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser(argv: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="active-rlhf", description="A benchmark of query selection in RLHF."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="train one run")
    _add_run(train)
    train.add_argument("--spec", help="a resolved run (JSON) instead of --study, --env, ...")
    train.add_argument("--out", required=True, type=Path, help="the run's directory")
    train.add_argument("--tracking", choices=("none", "tensorboard", "wandb"))
    train.add_argument(
        "--checkpoint-every",
        type=float,
        metavar="SECONDS",
        help="of work that a kill may cost (0: no checkpoint but on SIGTERM)",
    )
    train.add_argument("--force", action="store_true", help="start afresh, whatever --out holds")
    train.set_defaults(command_of=_train)

    spec = commands.add_parser("spec", help="print the resolved settings of one run")
    _add_run(spec)
    spec.set_defaults(command_of=_spec)

    listing = commands.add_parser("list", help="list environments, selectors and all other parts")
    listing.set_defaults(command_of=_list)

    explaining = commands.add_parser("explain", help="say what a setting or part means")
    explain.add_arguments(explaining)
    explaining.set_defaults(command_of=explain.run)

    results = commands.add_parser("results", help="print the folder of a study's results")
    results.add_argument("study", help="the study's file")
    results.set_defaults(command_of=_results)

    verify = commands.add_parser("verify", help="check that a study's results are whole and sound")
    verify.add_argument("results", type=Path, help="their folder, as in results/demo")
    verify.add_argument("--strict", action="store_true", help="let warnings fail too")
    verify.set_defaults(command_of=_verify)

    provenance = commands.add_parser("provenance", help="print what a file of a study is made from")
    provenance.add_argument("file", type=Path, help="as in results/demo/figures/effects.pdf")
    provenance.set_defaults(command_of=_provenance)

    warm_up = commands.add_parser("warm-up", help="compile everything a run needs, once a machine")
    warm_up.set_defaults(command_of=_warm_up)

    watch = commands.add_parser("watch", help="show how far a study's runs are")
    if argv[:1] == ["watch"]:
        from active_rlhf.cli import watch as progress

        progress.add_arguments(watch)
        watch.set_defaults(command_of=progress.run)
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--study", help="the study's file")
    parser.add_argument("--env", help="one of its environments")
    parser.add_argument("--selector", help="one of its selectors")
    parser.add_argument("--seed", type=int, help="any seed")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="changes",
        help="change a setting, as in total_steps=20480 (repeatable)",
    )


def _load(args: argparse.Namespace) -> tuple[Study, Spec]:
    """The study that --study, --env, --selector, --seed and --set mean, and the run's spec."""
    for name in ("study", "env", "selector", "seed"):
        if getattr(args, name) is None:
            raise ConfigError(f"--{name}: missing; needed with --study, --env, --selector, --seed")
    changes = merge({}, *map(parse_set, args.changes))
    study = load_study(args.study, changes, cells=[(args.env, args.selector)])
    return study, resolve_run(study, args.env, args.selector, args.seed)


def _one_thread() -> None:
    """Keep numerical libraries that are loaded from here on from starting more threads than one.

    A run is one thread by definition (training sees to that); this spares idle ones.
    """
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))


def _train(args: argparse.Namespace) -> int:
    _one_thread()
    tracking, every = args.tracking, args.checkpoint_every
    if args.spec is None:
        study, spec = _load(args)
        tracking = study.tracking if tracking is None else tracking
        every = study.checkpoint_every if every is None else every
    elif args.changes or any((args.study, args.env, args.selector, args.seed is not None)):
        raise ConfigError("--spec: is a whole run; --study, --env, --selector, --seed, --set: drop")
    else:
        spec = load_spec(args.spec)
    name = f"{spec.environment} {spec.selector} seed {spec.seed}"
    every = 60.0 if every is None else every
    options = {"tracking": tracking or "none", "checkpoint_every": every}
    if not every >= 0:
        raise ConfigError(f"--checkpoint-every: must be at least 0, not {args.checkpoint_every}")
    if _is_complete(args.out, spec, args.force) and _is_tidy(args.out):
        print(f"{name}: complete already in {args.out}, nothing to do")
        return 0

    return _train_to_the_end(name, spec, args.out, options | {"force": args.force})


def _train_to_the_end(name: str, spec: Spec, out: Path, options: dict[str, Any]) -> int:
    """Train, unless told to stop, or wait for the process that does; returns the exit code."""
    received: list[int] = []

    def leave(number: int, _: Any) -> None:
        received.append(number)  # for an import that swallows the exit
        sys.exit(AGAIN)

    with _on_signal(leave, signal.SIGTERM, signal.SIGUSR1):
        from active_rlhf.run.directory import RunLocked
        from active_rlhf.run.training import Stopped, train

    def note(number: int, _: Any) -> None:
        if number == signal.SIGINT:
            if number in received:
                raise KeyboardInterrupt
            os.write(2, b"stopping after this rollout; once more to stop at once\n")
        received.append(number)

    waiting = False
    with _on_signal(note, signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        while True:
            try:
                train(spec, out, stopping=lambda: bool(received), **options)
                return 0
            except RunLocked as locked:  # such as by a job that outlived its workflow
                if not waiting:
                    print(f"{name}: {locked}; waiting for its end", file=sys.stderr, flush=True)
                waiting = True
                time.sleep(1)
                if not received:
                    continue
            except Stopped as stopped:
                print(f"{name}: {stopped}", file=sys.stderr)
            except ConfigError:  # such as a tracker that is not installed
                raise
            except (FloatingPointError, InputError, MemoryError, OSError) as error:
                where = f"{out}: " if isinstance(error, OSError) else ""
                print(f"error: {name}: {where}{explained(error)}", file=sys.stderr)
                return 1
            return 130 if signal.SIGINT in received else AGAIN


@contextmanager
def _on_signal(handler: Callable[[int, Any], None], *numbers: int) -> Iterator[None]:
    """Handle signals meanwhile, but for those that whoever started the process had ignored."""
    heeded = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def _is_tidy(out: Path) -> bool:
    """Whether nothing is left in `out` of a process that was killed."""
    return not any((out / name).exists() for name in (CHECKPOINT, LOCK))


def _is_complete(out: Path, spec: Spec, force: bool) -> bool:
    """Whether `out` holds just this run; another one there is an error. With `force` neither."""
    from active_rlhf.run.identity import code_fingerprint

    file = out / "run.json"
    if force or not file.exists():
        return False
    advice = "give another --out, or --force to replace it"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        old, code = found["spec"], found["code"]
        differing = _differences(old, spec.as_dict())
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(f"{file}: damaged; {advice}") from error
    if not differing and code != code_fingerprint(spec):
        differing = ["the package's code"]
    if not differing:
        return True
    shown = ", ".join(differing[:3]) + (", ..." if len(differing) > 3 else "")
    raise ConfigError(
        f"{out}: holds a run of {old.get('environment')} {old.get('selector')} "
        f"seed {old.get('seed')} that differs in {shown}; {advice}"
    )


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted names of the settings in which two specs differ."""
    found: list[str] = []
    for key in [*new, *(key for key in old if key not in new)]:
        a, b = old.get(key), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append(f"{prefix}{key}")
    return found


def _spec(args: argparse.Namespace) -> int:
    print(json.dumps(_load(args)[1].as_dict(), indent=1))
    return 0


def _list(args: argparse.Namespace) -> int:
    from active_rlhf.selection.presets import DESCRIPTIONS
    from active_rlhf.study import known
    from active_rlhf.study.reference import KINDS
    from active_rlhf.tasks.gym import ENVIRONMENTS

    environments = {name: entry.description for name, entry in ENVIRONMENTS.items()}
    baselines = {
        TRUE_REWARD: "baseline: PPO on the environment's own reward, no labels",
        RANDOM_POLICY: "baseline: uniformly random actions",
    }
    for title, entries in (
        ("environments (any other gymnasium id with Box spaces works too)", environments),
        ("selectors", DESCRIPTIONS | baselines),
        *(
            (f"{title} (`{kind}`)", {name: known.description(kind, name) for name in names})
            for kind, title in KINDS.items()
            if (names := known.names(kind))
        ),
    ):
        print(f"{title}:")
        for name, description in entries.items():
            print(f"  {name:<22} {description}")
    return 0


def _results(args: argparse.Namespace) -> int:
    print(f"results/{load_study(args.study, cells=()).study}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    from active_rlhf.results import verify

    found = verify.verify(args.results)
    for line in verify.lines(args.results, found):
        print(line)
    failing = (verify.PROBLEM, verify.WARNING) if args.strict else (verify.PROBLEM,)
    return int(any(finding.level in failing for finding in found))


def _provenance(args: argparse.Namespace) -> int:
    from active_rlhf.results.provenance import trace

    print(json.dumps(trace(args.file), indent=1))
    return 0


def _warm_up(args: argparse.Namespace) -> int:
    _one_thread()
    from active_rlhf.compute import compilation

    return 0 if compilation.compiles() else 1


if __name__ == "__main__":
    sys.exit(main())
