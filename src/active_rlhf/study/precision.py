"""`precision: auto`, and what takes its place when a study or a single run begins."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from active_rlhf.compute.products import Products, decided
from active_rlhf.study.matrix import asking, settings_within
from active_rlhf.study.settings import Choice, EnvironmentSettings, OfOneSelector, Spec, Study

AUTO = "auto"

Settings = TypeVar("Settings", EnvironmentSettings, Spec)


def settled_study(study: Study, folder: Path) -> tuple[Study, Products | None]:
    """The study with the faster precision for `auto`, and the speeds that decided it, if any did.

    folder: the study's results, which know what it was decided by when it began.
    """
    of_variants = [own for v in (study.variants or {}).values() for own in settings_within(v)]
    if not asking(study.selectors) or not any(
        is_auto(settings)
        for every in (study.environments, *of_variants)
        for settings in every.values()
    ):
        return study, None
    products = decided(folder)

    def settled(every: Mapping[str, EnvironmentSettings]) -> dict[str, EnvironmentSettings]:
        return {name: with_precision(own, products.faster) for name, own in every.items()}

    now: dict[str, object] = {"environments": settled(study.environments)}
    if study.variants:
        now["variants"] = {
            name: variant.model_copy(
                update={
                    "environments": settled(variant.environments),
                    "by_selector": variant.by_selector
                    and {
                        selector: OfOneSelector(environments=settled(own.environments))
                        for selector, own in variant.by_selector.items()
                    },
                }
            )
            for name, variant in study.variants.items()
        }
    return study.model_copy(update=now), products


def settled_run(spec: Spec, folder: Path) -> tuple[Spec, Products | None]:
    """The same of a run; folder: the run's own."""
    if not is_auto(spec):
        return spec, None
    products = decided(folder)
    return with_precision(spec, products.faster), products


def is_auto(settings: EnvironmentSettings | Spec) -> bool:
    """Whether the precision of reward networks or VAE is still to be decided."""
    return AUTO in precisions(settings)


def precisions(settings: EnvironmentSettings | Spec) -> list[str]:
    """The precisions that the reward model and the VAE name, where they have any."""
    vae, model = settings.vae, settings.reward_model
    named = (vae and vae.precision, model and model.settings.get("precision"))
    return [precision for precision in named if precision]


def with_precision(settings: Settings, precision: str) -> Settings:
    """The settings with `precision` wherever they say `auto`."""
    changed: dict[str, object] = {}
    vae, model = settings.vae, settings.reward_model
    if vae and vae.precision == AUTO:
        changed["vae"] = vae.model_copy(update={"precision": precision})
    if model and model.settings.get("precision") == AUTO:
        changed["reward_model"] = Choice(**model.model_dump() | {"precision": precision})
    return settings.model_copy(update=changed)
