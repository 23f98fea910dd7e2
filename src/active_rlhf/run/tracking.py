"""Scalars of a run for the trackers people already use."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from active_rlhf.study.messages import ConfigError


@dataclass(frozen=True)
class Tracker:
    """Where scalars go: named values at a step, and what makes them last."""

    record: Callable[[dict[str, float], int], None] = lambda scalars, step: None
    flush: Callable[[], None] = lambda: None
    close: Callable[[], None] = lambda: None


def tracker(kind: str, spec: dict[str, Any], out: Path, step: int = 0) -> Tracker:
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
        writer = SummaryWriter(folder, purge_step=step + 1)  # type: ignore[no-untyped-call]
        writer.add_text("spec", f"```\n{json.dumps(spec, indent=1)}\n```")  # type: ignore[no-untyped-call]

        def write(scalars: dict[str, float], step: int) -> None:
            for name, value in scalars.items():
                writer.add_scalar(name, value, step)  # type: ignore[no-untyped-call]

        return Tracker(write, writer.flush, writer.close)
    if kind == "wandb":
        try:
            import wandb
        except ImportError:
            raise ConfigError("tracking: wandb needs `pip install active-rlhf[wandb]`") from None
        name = f"{spec['environment']} {spec['selector']} {spec['seed']}"
        run = wandb.init(
            project="active-rlhf",
            name=name,
            config=spec,
            dir=str(out),
            resume="auto" if step else None,
        )
        return Tracker(lambda scalars, step: run.log(scalars, step=step), close=run.finish)
    raise ConfigError(f"tracking: {kind!r} is none of none, tensorboard, wandb")
