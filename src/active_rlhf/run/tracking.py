"""Scalars of a run, for TensorBoard and Weights & Biases."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from active_rlhf.files import folder_name
from active_rlhf.study.messages import ConfigError
from active_rlhf.study.settings import Spec, WandB


@dataclass(frozen=True)
class Tracker:
    """Where scalars go: `record` takes named values at a step; `flush` makes them last."""

    record: Callable[[dict[str, float], int], None] = lambda scalars, step: None
    flush: Callable[[], None] = lambda: None
    close: Callable[[], None] = lambda: None


def scalars(
    losses: Mapping[str, float],
    episodes: list[dict[str, Any]],
    evaluations: list[dict[str, Any]],
    learner: Any,
) -> dict[str, float]:
    """What a rollout led to, by name: `episodes` are those that ended in it."""
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


def tracker(
    kind: str, spec: Spec, out: Path, step: int = 0, settings: WandB | None = None
) -> Tracker:
    """The tracker of a run.

    kind: `none`, `tensorboard` (event files in `event_folder(spec, out)`) or `wandb` (the optional
    extra, with these `settings`; its own files go to `out/wandb`).
    step: where the run goes on; anything recorded after it, by another process, is dropped.
    Raises ConfigError for any other kind, or if the tracker is not installed.
    """
    if kind == "none":
        return Tracker()
    if kind == "tensorboard":
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(str(event_folder(spec, out)), purge_step=step + 1)
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
        settings = settings or WandB()
        fields = {"environment": spec.environment, "selector": spec.method, "seed": spec.seed}
        run = wandb.init(
            project=settings.project or "active-rlhf",
            group=settings.group.format(**fields),
            name=settings.name.format(**fields),
            config=spec.as_dict(),
            dir=str(out),
            resume="auto" if step else None,
        )
        return Tracker(lambda scalars, step: run.log(scalars, step=step), close=run.finish)
    raise ConfigError(f"tracking: must be one of none, tensorboard, wandb, not {kind!r}")


def event_folder(spec: Spec, out: Path) -> Path:
    """Where TensorBoard's event files go: TensorBoard names a run by its folder.

    The folder says environment, selector and seed; a study's run directories say so already.
    """
    name = (folder_name(spec.environment), spec.method, str(spec.seed))
    folder = out / "tensorboard"
    return folder if out.resolve().parts[-3:] == name else folder.joinpath(*name)
