"""Which teacher a study asks, and how often, as captions state it."""

from active_rlhf.study import known
from active_rlhf.study.matrix import asking, methods_of, settings_of, variants
from active_rlhf.study.settings import Choice, Study

Asked = dict[str, dict[str, tuple[str, int]]]


def asked(study: Study) -> Asked:
    """Environment -> variant -> teacher and queries per run, for all variants that ask anything.

    The variant is `""` in a study without variants; imported runs have no environments here. A
    teacher is named with those of its settings that differ from the defaults: `bpref (eps_mistake
    0.1)`.
    """
    asks = [name for name in variants(study) if asking(methods_of(study, name).values())]
    found: Asked = {}
    for environment in study.environments if asks else ():
        settings = {name: settings_of(study, environment, name) for name in asks}
        found[environment] = {
            name: (_described(own.teacher), own.labels.total) for name, own in settings.items()
        }
    return found


def _described(teacher: Choice) -> str:
    fields = known.settings_of("teacher", teacher.name).model_fields
    defaults = {field.alias or name: field.default for name, field in fields.items()}
    changed = [
        f"{key} {value}"
        for key, value in teacher.settings.items()
        if value is not None and value != defaults.get(key)
    ]
    return f"{teacher.name} ({', '.join(changed)})" if changed else teacher.name
