"""Scalars of a run for the trackers people already use."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from active_rlhf.plain_yaml import ConfigError

Record = Callable[[dict[str, float], int], None]


def tracker(kind: str, spec: dict[str, Any], out: Path) -> tuple[Record, Callable[[], None]]:
    """A function that records named scalars at a step, and one that closes the tracker.

    kind: `none`, `tensorboard` (event files in `out/tensorboard`) or `wandb` (the optional extra).
    Raises ConfigError for another kind or where the tracker is not installed.
    """
    if kind == "none":
        return lambda scalars, step: None, lambda: None
    if kind == "tensorboard":
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(str(out / "tensorboard"))  # type: ignore[no-untyped-call]
        writer.add_text("spec", f"```\n{json.dumps(spec, indent=1)}\n```")  # type: ignore[no-untyped-call]

        def write(scalars: dict[str, float], step: int) -> None:
            for name, value in scalars.items():
                writer.add_scalar(name, value, step)  # type: ignore[no-untyped-call]

        return write, writer.close  # type: ignore[return-value]
    if kind == "wandb":
        try:
            import wandb
        except ImportError:
            raise ConfigError("tracking: wandb needs `pip install active-rlhf[wandb]`") from None
        name = f"{spec['environment']} {spec['selector']} {spec['seed']}"
        run = wandb.init(project="active-rlhf", name=name, config=spec, dir=str(out))
        return lambda scalars, step: run.log(scalars, step=step), run.finish
    raise ConfigError(f"tracking: {kind!r} is none of none, tensorboard, wandb")
