"""Scalars of a run for the trackers people already use."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from active_rlhf.study.messages import ConfigError
from active_rlhf.study.settings import Spec


@dataclass(frozen=True)
class Tracker:
    """Where scalars go: named values at a step, and what makes them last."""

    record: Callable[[dict[str, float], int], None] = lambda scalars, step: None
    flush: Callable[[], None] = lambda: None
    close: Callable[[], None] = lambda: None


def scalars(
    losses: Mapping[str, float],
    episodes: list[dict[str, Any]],
    evaluations: list[dict[str, Any]],
    learner: Any,
) -> dict[str, float]:
    """What a rollout led to, by name: `episodes` that ended in it, and the latest of the others."""
    found = {f"losses/{name}": value for name, value in losses.items()}
    if episodes:
        found["charts/episodic_return"] = episodes[-1]["return"]
    if evaluations:
        found["charts/evaluation_return"] = evaluations[-1]["return_mean"]
    if learner and learner.records:
        latest = learner.records[-1]
        found |= {
            f"reward_model/{k}": latest[k] for k in latest if k.endswith(("loss", "accuracy"))
        }
        found["charts/labels"] = latest["labels"]
    return found


def tracker(kind: str, spec: Spec, out: Path, step: int = 0) -> Tracker:
    """The tracker of a run.

    kind: `none`, `tensorboard` (event files in `out/tensorboard`) or `wandb` (the optional extra).
    step: where the run goes on; what another process recorded after it counts no more.
    Raises ConfigError for another kind or where the tracker is not installed.
    """
    if kind == "none":
        return Tracker()
    if kind == "tensorboard":
        from torch.utils.tensorboard import SummaryWriter

        folder = str(out / "tensorboard")
        writer = SummaryWriter(folder, purge_step=step + 1)
        writer.add_text("spec", f"```\n{json.dumps(spec.as_dict(), indent=1)}\n```")

        def write(scalars: dict[str, float], step: int) -> None:
            for name, value in scalars.items():
                writer.add_scalar(name, value, step)

        return Tracker(write, writer.flush, writer.close)
    if kind == "wandb":
        try:
            import wandb
        except ImportError:
            raise ConfigError("tracking: wandb needs `pip install active-rlhf[wandb]`") from None
        name = f"{spec.environment} {spec.selector} {spec.seed}"
        run = wandb.init(
            project="active-rlhf",
            name=name,
            config=spec.as_dict(),
            dir=str(out),
            resume="auto" if step else None,
        )
        return Tracker(lambda scalars, step: run.log(scalars, step=step), close=run.finish)
    raise ConfigError(f"tracking: {kind!r} is none of none, tensorboard, wandb")
