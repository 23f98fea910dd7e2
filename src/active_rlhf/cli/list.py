"""List environments, selectors and teachers, each with a sentence.

Example:
  active-rlhf list
"""

from argparse import ArgumentParser, Namespace

from active_rlhf.study.loading import RANDOM_POLICY, TEACHER_DESCRIPTIONS, TRUE_REWARD


def add_arguments(parser: ArgumentParser) -> None:
    """None are needed."""


def run(args: Namespace) -> int:
    from active_rlhf.selection.presets import DESCRIPTIONS
    from active_rlhf.tasks.gym import ENVIRONMENTS

    environments = {name: entry.description for name, entry in ENVIRONMENTS.items()}
    baselines = {
        TRUE_REWARD: "baseline: PPO on the environment's own reward, no labels",
        RANDOM_POLICY: "baseline: uniformly random actions (by `baselines: true` only)",
    }
    for title, entries in (
        ("environments (any other gymnasium id with Box spaces works too)", environments),
        ("selectors", DESCRIPTIONS | baselines),
        ("teachers", TEACHER_DESCRIPTIONS),
    ):
        print(f"{title}:")
        for name, description in entries.items():
            print(f"  {name:<22} {description}")
    return 0
