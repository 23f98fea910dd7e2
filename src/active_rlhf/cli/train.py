"""Train one run: an environment and selector of a study with any seed, or a resolved run.

A run that was killed goes on from its last checkpoint; a complete one is left alone. The run's
directory receives tables of episodes, evaluations and query sessions, the answers, the policy, the
reward model and, last, run.json. The reward model is measured on a probe set: that of --probe, or
one that is made in the run's directory first, which takes as long as training on the true reward.
SIGTERM, SIGUSR1 and Ctrl-C stop the run after its current rollout; the exit code is then 75 (130
for Ctrl-C), and the same command continues the run.

Example:
  active-rlhf train --study config/demo.yaml --env Hopper-v5 --selector duo --seed 1 \\
      --set labels.total=200 --out runs/duo
"""

import hashlib
import json
import os
import signal
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from active_rlhf.cli import one_run
from active_rlhf.cli.threads import one_thread
from active_rlhf.errors import InputError, explained
from active_rlhf.files import CHECKPOINT, LOCK, sha256
from active_rlhf.study.loading import load_spec
from active_rlhf.study.messages import ConfigError, Sources, validated
from active_rlhf.study.precision import settled_run
from active_rlhf.study.probes import probe_of
from active_rlhf.study.settings import Spec, Study, WandB

AGAIN = os.EX_TEMPFAIL  # 75: stopped early; the same command continues


def add_arguments(parser: ArgumentParser) -> None:
    one_run.add_arguments(parser)
    parser.add_argument("--spec", help="a resolved run (JSON) instead of --study, --env, ...")
    parser.add_argument("--out", required=True, type=Path, help="the run's directory")
    measured = parser.add_mutually_exclusive_group()
    measured.add_argument(
        "--probe",
        type=Path,
        metavar="FILE",
        help="the probe set (see active-rlhf probe); else one is made in the run's directory",
    )
    measured.add_argument(
        "--no-probe", action="store_true", help="measure the reward model on no probe set"
    )
    parser.add_argument(
        "--tracking",
        choices=("none", "tensorboard", "wandb"),
        help="where losses and returns are recorded as the run trains",
    )
    parser.add_argument("--wandb-project", metavar="NAME", help="project in Weights & Biases")
    parser.add_argument(
        "--wandb-group", metavar="NAME", help="group of runs, such as {environment}/{selector}"
    )
    parser.add_argument(
        "--wandb-name", metavar="NAME", help="name of the run, such as {selector}/{seed}"
    )
    parser.add_argument(
        "--checkpoint-every",
        type=float,
        metavar="SECONDS",
        help="the most work that a kill may cost (0: a checkpoint on SIGTERM only)",
    )
    parser.add_argument("--force", action="store_true", help="start afresh, whatever is in --out")
    parser.add_argument(
        "--replace",
        action="store_true",
        help="discard a half-trained run of other settings in --out",
    )


def run(args: Namespace) -> int:
    one_thread()
    study, tracking, every = None, args.tracking, args.checkpoint_every
    if args.spec is None:
        study, spec = one_run.load(args)
        tracking = study.tracking if tracking is None else tracking
        every = study.checkpoint_every if every is None else every
    elif args.changes or any((args.study, args.env, args.selector, args.seed is not None)):
        raise ConfigError("--spec: is a whole run; drop --study, --env, --selector, --seed, --set")
    else:
        spec = load_spec(args.spec)
    name = f"{spec.environment} {spec.method} seed {spec.seed}"
    from active_rlhf.run.identity import unhashed

    for said in unhashed(spec):
        print(f"{name}: {said}", file=sys.stderr)
    every = 60.0 if every is None else every
    options = {
        "tracking": tracking or "none",
        "wandb": _wandb(args, study),
        "checkpoint_every": every,
    }
    if not every >= 0:
        raise ConfigError(f"--checkpoint-every: must be at least 0, not {args.checkpoint_every}")
    settled, _ = settled_run(spec, args.out)
    if args.probe is not None and not args.probe.is_file():
        raise ConfigError(f"--probe: {args.probe}: no such file; `active-rlhf probe` makes one")
    if _is_complete(args.out, settled, args.force, args.probe) and _is_tidy(args.out):
        print(f"{name}: complete already in {args.out}, nothing to do")
        return 0
    options |= {"force": args.force, "replace": args.replace}
    makes_probe = args.probe is None and not args.no_probe and spec.labels is not None

    def prepared() -> Work:
        return _work(name, spec, args.out, args.probe, makes_probe, options)

    return to_the_end(name, args.out, prepared)


def _wandb(args: Namespace, study: Study | None) -> WandB:
    """How W&B files the run, from the arguments or else the study."""
    of_study = {"project": study.study, **study.wandb.as_dict()} if study else {}
    given = {key: getattr(args, f"wandb_{key}") for key in WandB.model_fields}
    said = {key: value for key, value in given.items() if value is not None}
    return validated(WandB, of_study | said, Sources("--wandb", []))


class Work(Protocol):
    """Something long that can be stopped."""

    def __call__(self, *, stopping: Callable[[], bool]) -> None:
        """Do it, and ask `stopping` now and then; raises training.Stopped."""


def _work(
    name: str,
    spec: Spec,
    out: Path,
    probe: Path | None,
    makes_probe: bool,
    options: dict[str, Any],
) -> Work:
    """Train a run, after its probe set if it is to have one of its own."""
    from active_rlhf.run.probe import make
    from active_rlhf.run.training import train

    def work(*, stopping: Callable[[], bool]) -> None:
        file = probe
        if makes_probe:
            file = out / "probe.npz"
            if not options["force"] and not options["replace"]:
                _refuse_foreign(spec, out)  # before a probe set is made for nothing
            if not file.exists():
                print(f"{name}: no --probe FILE is given, so {file} is made first", flush=True)
            make(probe_of(spec), file, options["checkpoint_every"], stopping)
        train(spec, out, stopping=stopping, probe=file, **options)

    return work


def _refuse_foreign(spec: Spec, out: Path) -> None:
    """Raise InputError for a half-trained run of another spec or code in `out`."""
    import numpy as np

    from active_rlhf.run.checkpoint import Checkpoints
    from active_rlhf.run.identity import code_fingerprint
    from active_rlhf.run.machine import arithmetic

    settled, _ = settled_run(spec, out)
    text = json.dumps(settled.as_dict(), sort_keys=True)
    identity = {
        "spec": hashlib.sha256(text.encode()).hexdigest(),
        "code": code_fingerprint(settled),
        **arithmetic(),
    }
    found = Checkpoints(out / CHECKPOINT, identity, np.dtype("u1"), print).foreign()
    found = ["settings" if name == "spec" else name for name in found]
    if found:
        raise InputError(
            f"{out}: holds a half-trained run with other {' and '.join(found)}; "
            "choose another --out, or add --force to replace it"
        )


def to_the_end(name: str, out: Path, prepared: Callable[[], Work]) -> int:
    """Do the work, unless told to stop, or wait for the process that does; returns the exit code.

    `prepared` imports what the work needs, which may take a while.
    """
    received: list[int] = []

    def leave(number: int, _: Any) -> None:
        received.append(number)  # in case an import swallows the exit
        sys.exit(AGAIN)

    with _on_signal(leave, signal.SIGTERM, signal.SIGUSR1):
        from active_rlhf.run.directory import RunLocked
        from active_rlhf.run.training import Stopped

        work = prepared()

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
                work(stopping=lambda: bool(received))
                return 0
            except RunLocked as locked:  # for example by a job that outlived its workflow
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
    """Handle these signals meanwhile, except those that the process was started to ignore."""
    heeded = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def _is_tidy(out: Path) -> bool:
    """Whether killed processes left nothing in `out`."""
    return not any((out / name).exists() for name in (CHECKPOINT, LOCK))


def _is_complete(out: Path, spec: Spec, force: bool, probe: Path | None) -> bool:
    """Whether `out` holds exactly this run; another one is an error. Not checked with `force`."""
    from active_rlhf.run.identity import code_fingerprint
    from active_rlhf.run.machine import other_versions

    file = out / "run.json"
    if force or not file.exists():
        return False
    advice = "give another --out, or --force to replace it"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        old, code = found["spec"], found["code"]
        differing = _differences(old, spec.as_dict()) or other_versions(found["versions"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(f"{file}: damaged; {advice}") from error
    if not differing and code != code_fingerprint(spec):
        differing = ["the package's code"]
    if not differing and probe and spec.labels and found.get("probe") != sha256(probe):
        differing = ["the probe set"]
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
