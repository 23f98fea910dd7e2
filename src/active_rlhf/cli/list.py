"""List environments, selectors and all other parts, each with a one-line description.

Example:
  active-rlhf list
"""

from argparse import ArgumentParser, Namespace

from active_rlhf.study.matrix import RANDOM_POLICY, TRUE_REWARD


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--study", help="a study's file, whose own parts are listed too")


def run(args: Namespace) -> int:
    from active_rlhf.selection.presets import DESCRIPTIONS
    from active_rlhf.study import known
    from active_rlhf.study.loading import load_study
    from active_rlhf.study.reference import KINDS
    from active_rlhf.tasks.gym import ENVIRONMENTS

    if args.study:
        load_study(args.study, cells=())  # which loads its parts
    environments = {name: entry.description for name, entry in ENVIRONMENTS.items()}
    baselines = {
        TRUE_REWARD: "baseline: PPO on the environment's own reward, no labels",
        RANDOM_POLICY: "baseline: uniformly random actions",
    }
    for title, entries in (
        ("environments (others work too, by their gymnasium ids)", environments),
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
