"""Write a page that shows behaviour of a run, running or finished: its policy, or segments.

The page is one HTML file that loads nothing. Without --segment it shows an episode of the policy
that each run ended with or, if it still trains, had at its last checkpoint. A segment is named by
the run's step that it begins at, as in labels.npz, or by episode and step, both counted from 0. A
finished run keeps the segments that it asked about.

Example:
  active-rlhf film results/demo/runs/HalfCheetah-v5/duo/1
  active-rlhf film results/demo/runs/HalfCheetah-v5/duo/1 --segment 20350 --segment 31:200 \\
      --video segments.mp4
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from active_rlhf.cli.threads import one_thread
from active_rlhf.errors import InputError

if TYPE_CHECKING:
    from active_rlhf.films.page import Clip
    from active_rlhf.films.recorded import Recorded

OUT = Path("film.html")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="a run's directory; several: side by side"
    )
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--policy", action="store_true", help="show the policy (the default)")
    chosen.add_argument(
        "--segment",
        action="append",
        default=[],
        metavar="STEP|EPISODE:STEP",
        dest="segments",
        help="show a segment of one run (repeatable: side by side)",
    )
    parser.add_argument("--steps", type=int, metavar="N", help="show N steps at most")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the policy's episode (default: 0)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help=f"the page (default: {OUT} unless --video)"
    )
    parser.add_argument(
        "--video",
        type=Path,
        metavar="FILE",
        help="write an .mp4 or .gif; needs the extra video",
    )


def run(args: Namespace) -> int:
    one_thread()
    if args.steps is not None and args.steps < 1:
        raise InputError(f"--steps: must be at least 1, not {args.steps}")
    if not 0 <= args.seed < 2**31:
        raise InputError(f"--seed: must be from 0 to {2**31 - 1}, not {args.seed}")
    if args.segments and len(args.runs) > 1:
        raise InputError(f"--segment: shows segments of one run; {len(args.runs)} are given")
    if args.video:
        from active_rlhf.films.video import check

        check(args.video)
    from active_rlhf.films.page import write_films
    from active_rlhf.films.recorded import Recorded

    recorded = [Recorded(directory) for directory in args.runs]
    clips = _segments(recorded[0], args) if args.segments else _policies(recorded, args)
    title = ", ".join(dict.fromkeys(run.name for run in recorded))
    if args.video:
        from active_rlhf.films.video import write_video

        write_video([clip.film for clip in clips], args.video)
        print(args.video)
    if args.out or not args.video:
        out = args.out or OUT
        write_films(clips, title, out)
        print(out)
    return 0


def _policies(recorded: "list[Recorded]", args: Namespace) -> "list[Clip]":
    from active_rlhf.films.page import Clip

    clips = []
    for run in recorded:
        film, returned = run.policy_film(args.seed, args.steps)
        facts = {"steps": str(len(film)), "true return": f"{returned:.1f}"}
        clips.append(Clip(film, run.name if len(recorded) > 1 else "policy", facts))
    return clips


def _segments(recorded: "Recorded", args: Namespace) -> "list[Clip]":
    from active_rlhf.films.page import Clip

    episodes = recorded.episodes()
    ids = [_first_step(text, episodes) for text in args.segments]
    clips = []
    for name, film in zip(ids, recorded.films(ids, args.steps), strict=True):
        episode, first = next((n, a) for n, (a, k) in enumerate(episodes) if a <= name < a + k)
        facts = {"episode": str(episode), "steps": f"{name - first} to {name - first + len(film)}"}
        clips.append(Clip(film, f"segment {name}", facts))
    return clips


def _first_step(text: str, episodes: list[tuple[int, int]]) -> int:
    """The step of the run that a segment begins at. Raises InputError."""
    episode, colon, step = text.rpartition(":")
    if not step.isdecimal() or (colon and not episode.isdecimal()):
        raise InputError(f"--segment: must be a step, or episode:step, not {text!r}")
    if not colon:
        return int(step)
    if int(episode) >= len(episodes):
        raise InputError(f"--segment: {text}: there are {len(episodes)} episodes, from 0")
    first, length = episodes[int(episode)]
    if int(step) >= length:
        raise InputError(f"--segment: {text}: this episode has {length} steps, from 0")
    return first + int(step)
