"""Which teacher a study asks, and how often, as captions state it."""

from typing import Any

from active_rlhf.study import known
from active_rlhf.study.matrix import asking, settings_of, variants
from active_rlhf.study.sections import Section
from active_rlhf.study.settings import Choice, Study


def asked(study: Study, variant: str = "") -> dict[str, tuple[str, int]]:
    """Teacher and queries per run, by environment; empty if runs are imported or ask nothing.

    A teacher is named with those of its settings that differ from the defaults: `bpref (eps_mistake
    0.1)`.
    """
    if not asking(study.selectors):
        return {}
    found = {name: settings_of(study, name, variant) for name in study.environments}
    return {
        name: (_described(settings.teacher), settings.labels.total)
        for name, settings in found.items()
    }


def asked_within(study: Study) -> dict[str, Any]:
    """What `asked` says, by variant in a study that has any."""
    if not study.variants:
        return dict(asked(study))
    return {variant: asked(study, variant) for variant in study.variants}


def answered_by_people(study: Study) -> list[str]:
    """The environments in which some method's teacher is `human`."""
    if not asking(study.selectors):
        return []
    return [
        name
        for name in study.environments
        if any(settings_of(study, name, v).teacher.name == "human" for v in variants(study))
    ]


def _described(teacher: Choice) -> str:
    fields = known.settings_of("teacher", teacher.name).model_fields
    defaults = {
        field.alias or name: field.default.as_dict()
        if isinstance(field.default, Section)
        else field.default
        for name, field in fields.items()
    }
    changed = [
        f"{key} {value}"
        for key, value in teacher.settings.items()
        if value is not None and value != defaults.get(key)
    ]
    return f"{teacher.name} ({', '.join(changed)})" if changed else teacher.name
