"""Which probe sets a study needs: fixed pairs on which all reward models of an environment are
measured.

A probe set depends on the environment and on the form of its pairs, and on nothing that a run
chooses: not on its seed, selector, teacher or budget. Variants share the set of their environment
unless they change its options, the length of segments, or the set itself.
"""

import json
from pathlib import Path
from typing import Any

from active_rlhf import parts
from active_rlhf.errors import line
from active_rlhf.files import folder_name, split
from active_rlhf.study.matrix import TRUE_REWARD, asking, methods_trained, settings_of
from active_rlhf.study.messages import ConfigError, Sources, validated
from active_rlhf.study.sections import Section, setting
from active_rlhf.study.settings import (
    Choice,
    Count,
    EnvironmentId,
    EnvironmentSettings,
    Evaluation,
    Labels,
    Seed,
    Spec,
    Study,
)


class ProbeSpec(Section):
    """A probe set's whole identity: the same spec gives the same bytes."""

    environment: EnvironmentId = setting(..., "a gymnasium id")
    options: dict[str, Any] | None = setting(None, "keyword arguments of the environment")
    total_steps: Count = setting(..., "of training on the true reward")
    agent: Choice = setting(..., "who is trained")
    segment_length: Count = setting(..., "steps of a segment")
    pairs: Count = setting(..., "pairs of segments")
    seed: Seed = setting(..., "of every random stream")
    parts: dict[str, str] | None = setting(None, "where parts of your own are loaded from")

    def training(self, seed: int) -> Spec:
        """The run on the true reward whose behaviour the set is drawn from."""
        return Spec(
            environment=self.environment,
            selector=TRUE_REWARD,
            seed=seed,
            total_steps=self.total_steps,
            agent=self.agent,
            evaluation=Evaluation(every=self.total_steps, episodes=1),
            options=self.options,
            parts=self.parts,
        )


def probe_of(spec: Spec) -> ProbeSpec:
    """The probe set of a run that stands alone, from its own settings."""
    assert spec.labels is not None
    return _probe(spec.environment, spec.options, spec.labels, spec.total_steps, spec.agent)


def probe_for(study: Study, environment: str, method: str) -> ProbeSpec:
    """The probe set of a cell. The agent that makes it is the study's, whatever a variant says."""
    own, base = _settings(study, environment, method), study.environments[environment]
    return _probe(environment, own.options or None, own.labels, base.total_steps, base.agent)


def probe_name(study: Study, environment: str, method: str) -> str:
    """The name of a cell's probe set: `<environment>`, `<environment>@<variant>` or, where a
    variant's changes for one selector call for one, `<environment>@<variant>.<selector>`.

    It is that of the first cell of the study with this set; `environment` is as in folders.
    """
    wanted, place = probe_for(study, environment, method), folder_name(environment)
    if wanted == probe_for(study, environment, ""):
        return place
    return next(
        f"{place}@{name}.{selector}" if selector else f"{place}@{name}"
        for name, variant in (study.variants or {}).items()
        for selector in ("", *(variant.by_selector or {}))
        if probe_for(study, environment, f"{selector}@{name}") == wanted
    )


def probes(study: Study) -> dict[str, ProbeSpec]:
    """Every probe set that the study's runs are measured on, by name."""
    return {
        probe_name(study, environment, method): probe_for(study, environment, method)
        for environment in study.environments
        for method in methods_trained(study)
        if asks(method)
    }


def asks(method: str) -> bool:
    """Whether runs of a method ask for labels, and so have a reward model to measure."""
    return bool(asking([split(method)[0]]))


def load_probe(path: str | Path) -> ProbeSpec:
    """Read what `ProbeSpec.as_dict` gave (JSON). Raises ConfigError naming the file and key."""
    label = str(path)
    try:
        given = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{label}: cannot be read as JSON: {line(error)}") from error
    spec = validated(ProbeSpec, given, Sources(label, []))
    parts.load_used(spec.parts or {})
    return spec


def _settings(study: Study, environment: str, method: str) -> EnvironmentSettings:
    selector, variant = split(method)
    return settings_of(study, environment, variant, selector)


def _probe(
    environment: str,
    options: dict[str, Any] | None,
    labels: Labels,
    total_steps: int,
    agent: Choice,
) -> ProbeSpec:
    return ProbeSpec(
        environment=environment,
        options=options,
        total_steps=total_steps,
        agent=agent,
        segment_length=labels.segment_length,
        pairs=labels.probe_pairs,
        seed=labels.probe_seed,
        parts=parts.used([("task", environment), ("agent", agent.name)]) or None,
    )
