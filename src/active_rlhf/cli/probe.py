"""Make a probe set: fixed pairs of segments on which all reward models of an environment are
measured.

They show a random policy, and the agent of the study at a tenth, a third and all of its training on
the true reward, with true returns. The file is the same for every selector and seed. Beside it, a
record (.json) says what it was made from. One that was killed goes on from its last checkpoint; one
that is complete is left alone. Exit codes are those of `active-rlhf train`.

Example:
  active-rlhf probe --study config/demo.yaml --env Hopper-v5 --out probes/Hopper-v5.npz
"""

from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path

from active_rlhf.cli import one_run
from active_rlhf.cli.threads import one_thread
from active_rlhf.cli.train import Work, to_the_end
from active_rlhf.study.loading import load_study
from active_rlhf.study.messages import ConfigError, unknown
from active_rlhf.study.probes import ProbeSpec, load_probe, probe_for


def add_arguments(parser: ArgumentParser) -> None:
    one_run.add_study_arguments(parser, "labels.probe_pairs=500")
    parser.add_argument("--spec", help="a resolved probe set (JSON) instead of --study, --env, ...")
    parser.add_argument("--out", required=True, type=Path, help="the file, ending in .npz")
    parser.add_argument(
        "--checkpoint-every",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="the most work that a kill may cost (0: a checkpoint on SIGTERM only)",
    )


def run(args: Namespace) -> int:
    one_thread()
    if args.out.suffix != ".npz":
        raise ConfigError(f"--out: must end in .npz, unlike {args.out}")
    if not args.checkpoint_every >= 0:
        raise ConfigError(f"--checkpoint-every: must be at least 0, not {args.checkpoint_every}")
    spec = _spec(args)

    def work() -> Work:
        from active_rlhf.run.probe import make

        return partial(make, spec, args.out, checkpoint_every=args.checkpoint_every)

    return to_the_end(f"{spec.environment} probe set", args.out, work)


def _spec(args: Namespace) -> ProbeSpec:
    if args.spec is not None:
        if args.changes or args.study or args.env:
            raise ConfigError("--spec: is a whole probe set; drop --study, --env, --set")
        return load_probe(args.spec)
    one_run.require(args, "study", "env")
    study = load_study(args.study, one_run.changes(args), cells=())
    if args.env not in study.environments:
        where = f"study {study.study}"
        raise ConfigError(unknown(where, "environment", args.env, study.environments))
    return probe_for(study, args.env, "")
