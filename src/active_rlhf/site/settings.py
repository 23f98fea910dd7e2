"""How a study, or a run, was set: what differs from the defaults first."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from active_rlhf import parts
from active_rlhf.errors import InputError
from active_rlhf.site.frame import Site
from active_rlhf.site.listing import Listing, listing, texts
from active_rlhf.study.known import DEFAULT
from active_rlhf.study.loading import CHOICES, MODELS
from active_rlhf.study.messages import show
from active_rlhf.study.settings import Figures, Resources, Statistics

STUDY_SECTIONS = {"statistics": Statistics, "figures": Figures, "resources": Resources}


def write_config(site: Site) -> None:
    """Write the page of settings: those that differ from defaults, then the whole config."""
    path = site.root / "config.yaml"
    site.write(
        "site/config.html",
        "config.html.jinja",
        changed=settings(site.study),
        whole=path.read_text(encoding="utf-8"),
    )


def settings(study: Mapping[str, Any]) -> Listing:
    """The settings of a study that differ from the package's defaults, and where.

    changes: the study's variants, with the complete settings of each.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    places = dict(study.get("environments") or {})
    for variant, changes in (study.get("changes") or {}).items():
        places |= {f"{env}@{variant}": own for env, own in changes["environments"].items()}
    for environment, own in places.items():
        for key, here, usual in ([c.text for c in row] for row in changed(own).rows):
            found.setdefault((key, here, usual), []).append(environment)
        if own.get("options"):
            found.setdefault(("options", show(own["options"]), "–"), []).append(environment)
        steps = ("total_steps", f"{own['total_steps']:,}", "1,000,000")
        if steps[1] != steps[2]:
            found.setdefault(steps, []).append(environment)
    rows = [(key, here, usual, ", ".join(where)) for (key, here, usual), where in found.items()]
    for section, model in STUDY_SECTIONS.items():
        usual = model().as_dict()
        for key, value in (study.get(section) or {}).items():
            if usual.get(key) != value:
                default = show(usual[key]) if key in usual else "–"
                rows.append((f"{section}.{key}", show(value), default, "the study"))
    columns = list(zip(*rows, strict=True)) or [()] * 4
    names = ("setting", "here", "default", "where")
    return listing(
        "settings",
        "Settings that differ from the package's defaults. Values tuned for an environment come "
        "from config/environments/.",
        [
            texts(name, values, filtered=name == "where")
            for name, values in zip(names, columns, strict=True)
        ],
    )


def changed(spec: Mapping[str, Any]) -> Listing:
    """The settings of a run that differ from the package's defaults, by key.

    Settings of parts that are not installed here are all listed.
    """
    rows: list[tuple[str, str, str]] = []
    for section, given in spec.items():
        if not isinstance(given, Mapping):
            continue
        if section in MODELS:
            defaults = MODELS[section]().as_dict()
        elif section in CHOICES:
            defaults = {"name": DEFAULT[section]} | _defaults(section, given["name"])
        else:
            continue
        for key, value in given.items():
            if key not in defaults or defaults[key] != value:
                usual = show(defaults[key]) if key in defaults else "–"
                rows.append((f"{section}.{key}", show(value), usual))
    return listing(
        "settings",
        "Settings that differ from the package's defaults; all of them are in run.json.",
        [
            texts("setting", [key for key, _, _ in rows]),
            texts("here", [value for _, value, _ in rows]),
            texts("default", [usual for _, _, usual in rows]),
        ],
    )


@cache  # every run asks for them
def _defaults(kind: str, name: str) -> dict[str, Any]:
    try:
        model = parts.part(kind, name).complete({})
    except InputError:
        return {}
    return model.model_dump(mode="json")
