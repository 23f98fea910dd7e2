"""All settings, in words and as a schema, generated from the models that declare them.

`python -m active_rlhf.study.reference [FOLDER]` writes config/README.md, the schemas that editors
check studies with, and docs/parts.md.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, create_model
from pydantic.fields import FieldInfo

from active_rlhf.errors import InputError
from active_rlhf.files import atomic
from active_rlhf.study import known
from active_rlhf.study.messages import bare, unknown
from active_rlhf.study.sections import Section, setting
from active_rlhf.study.settings import (
    VAE,
    Composition,
    EnvironmentSettings,
    Evaluation,
    Figures,
    Import,
    Labels,
    Resources,
    Statistics,
    Study,
    WandB,
)
from active_rlhf.study.sweep import Dimension, Rung, Sweep

SECTIONS: dict[str, type[BaseModel]] = {
    "labels": Labels,
    "vae": VAE,
    "evaluation": Evaluation,
    "resources": Resources,
    "statistics": Statistics,
    "figures": Figures,
    "sweep": Sweep,
    "wandb": WandB,
}
OF_A_STUDY = (
    "resources",
    "statistics",
    "figures",
    "sweep",
    "wandb",
)  # sections that no run depends on
CHOSEN = ("agent", "teacher", "reward_model")  # parts that are sections of a study
KINDS = {
    "agent": "Agents: who acts, and how it learns from the rewards it is given",
    "reward_model": "Reward models: what learns from the answers",
    "teacher": "Teachers: who answers",
    "candidates": "Candidates: the source of the pairs that a selector chooses from",
    "filter": "Filters: which pairs stay in play",
    "score": "Scores: which pairs are worth asking about; larger is better",
    "picker": "Pickers: which pairs are asked about",
}
WORDS = {int: "whole number", float: "number", bool: "`true`, `false`", str: "text"}
DRAFT = "https://json-schema.org/draft/2020-12/schema"
TEMPLATE = Path(__file__).parent / "templates" / "README.md.jinja"


# --- in words -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One setting, as documentation shows it."""

    key: str
    unit: str
    default: str
    """As YAML between backticks, or in words; empty where there is none."""
    bounds: str
    description: str


def entries(model: type[BaseModel], prefix: str = "") -> Iterator[Entry]:
    """Every setting of a model, including those of inner models."""
    for name, field in model.model_fields.items():
        key, kind = f"{prefix}{field.alias or name}", bare(field.annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from entries(kind, f"{key}.")
            continue
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        yield Entry(
            key=key,
            unit=str(extra.get("unit") or _kind(kind)),
            default=_default(field),
            bounds=_bounds(field),
            description=field.description or "",
        )


def _kind(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    return WORDS.get(kind, "list" if get_origin(kind) in (list, tuple) else "mapping")


def _default(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "shown" in extra:
        return str(extra["shown"])
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return ""
    if isinstance(value, float):
        return f"`{_number(value)}`"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _number(value: float) -> str:
    """As people write it: 0.2, 5e-4."""
    if value == 0 or abs(value) >= 1e-3:
        return repr(value)
    digits, _, power = f"{value:e}".partition("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"


def _bounds(field: FieldInfo) -> str:
    """The range of a number in words."""
    found = []
    for rule in field.metadata:
        for kind, name, words in (
            (Ge, "ge", "at least"),
            (Gt, "gt", "more than"),
            (Le, "le", "at most"),
            (Lt, "lt", "less than"),
        ):
            if isinstance(rule, kind):
                found.append(f"{words} {getattr(rule, name)}")
    return ", ".join(found)


def table(model: type[BaseModel], prefix: str = "", skip: tuple[str, ...] = ()) -> str:
    """The settings of a model as a Markdown table; `skip`: the first keys to leave out."""
    rows = [
        f"| `{entry.key}` | {entry.unit} | {entry.default} | {entry.bounds} | {entry.description} |"
        for entry in entries(model, prefix)
        if entry.key.split(".")[0] not in skip
    ]
    if not rows:
        return "No settings."
    return "\n".join(["| key | unit | default | range | meaning |", "|---|---|---|---|---|", *rows])


def readme() -> str:
    """The text of config/README.md."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        study=table(Study, skip=tuple(SECTIONS)),
        sections={name: table(model, f"{name}.") for name, model in SECTIONS.items()},
        chosen={kind: _tables(kind) for kind in CHOSEN},
        steps=_rows_of(EnvironmentSettings, "total_steps", "options", "start_from"),
        imported=table(Import),
        dimension=table(Dimension),
        rung=table(Rung),
    )


def _rows_of(model: type[BaseModel], *names: str) -> str:
    return table(
        model, skip=tuple({entry.key.split(".")[0] for entry in entries(model)} - {*names})
    )


def _tables(kind: str) -> str:
    """The settings of every part of a kind, as a study writes them."""
    parts = [
        f"`{kind}: {{name: {name}}}`: {_sentence(kind, name)}\n\n{text}"
        for name, text in _tables_of(kind, f"{kind}.")
    ]
    if presets := _presets(kind):
        parts.append(presets)
    return "\n\n".join(parts)


def _tables_of(kind: str, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Each part of a kind, with its settings as a table or the part that has the same ones."""
    shown: dict[tuple[Entry, ...], str] = {}
    for name in known.names(kind):
        part, preset = known.resolved(kind, name)
        if not preset:
            model = known.settings_of(kind, part)
            same = shown.setdefault(tuple(entries(model)), name)
            again = same != name and any(entries(model))
            yield name, f"The settings of `{same}`." if again else table(model, prefix)


@cache
def _pairing() -> type[BaseModel]:
    """Settings that every candidate generator takes besides its own."""
    from active_rlhf.selection.candidates.pairing import CLUSTERS, PAIRINGS

    default, fewest, most = CLUSTERS
    fields: dict[str, Any] = {
        "pairing": (
            Literal[PAIRINGS],
            setting(
                PAIRINGS[0],
                "segments paired as drawn, or across clusters of their latents (VARIQuery)",
                unit=" or ".join(f"`{name}`" for name in PAIRINGS),
            ),
        ),
        "clusters": (
            int,
            setting(default, "clusters for `cross_cluster`", unit="clusters", ge=fewest, le=most),
        ),
    }
    return create_model("Pairing", __base__=Section, **fields)


def _presets(kind: str) -> str:
    lines = []
    for name in known.names(kind):
        part, preset = known.resolved(kind, name)
        if preset:
            values = ", ".join(f"{key}: {value}" for key, value in preset.items())
            lines.append(f"- `{name}` is `{part}` with `{values}`: {_sentence(kind, name)}")
    return "\n".join(lines)


def _sentence(kind: str, name: str) -> str:
    return known.description(kind, name).rstrip(".")


def parts_page() -> str:
    """The text of docs/parts.md."""
    sections = [
        "# Parts",
        "Everything that a study can name, with its settings. This page is generated from the "
        "parts themselves; `active-rlhf list` and `active-rlhf explain NAME` show the same. You "
        "declare your own parts in the same way, in a file that the study lists under `parts`, "
        "and use them in the same places.",
    ]
    for kind, title in KINDS.items():
        sections.append(f"## {title}")
        if kind == "candidates":
            said = "Each also takes these settings, which say how segments are paired:"
            sections.append(f"{said}\n\n{table(_pairing())}")
        sections += [
            f"### `{name}`\n\n{_sentence(kind, name)}.\n\n{text}" for name, text in _tables_of(kind)
        ]
        if presets := _presets(kind):
            sections.append(presets)
    return "\n\n".join(sections) + "\n"


# --- one key ------------------------------------------------------------------------------------


def explain(key: str) -> str:
    """The explanation of a key: a setting, a section, a part or one of a part's settings.

    A part's settings are found under its name (`ppo.clip`) and under its kind (`agent.clip`).
    Raises InputError for an unknown key, naming the closest ones.
    """
    first = key.partition(".")[0]
    everything = _everything()
    found: dict[str, list[str]] = {}
    # Only the part that the key names is imported, unless it names none.
    for parts in ([part for part in everything if first in part], everything):
        found = _explanations(parts)
        inside = [name for name in found if name == key or name.startswith(f"{key}.")]
        if texts := found.get(key) or [text for name in inside for text in found[name]]:
            return "\n\n".join(dict.fromkeys(texts))
    last = [text for name in found if name.rsplit(".", 1)[-1] == key for text in found[name]]
    if last:
        return "\n\n".join(dict.fromkeys(last))
    raise InputError(unknown("explain", "key", key, found).partition("; known: ")[0])


def keys() -> list[str]:
    """Every key that `explain` knows."""
    return list(_explanations(_everything()))


def _everything() -> list[tuple[str, str]]:
    return [(kind, name) for kind in KINDS for name in known.names(kind)]


def _explanations(parts: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """The texts about each key of a study and of these parts, given as (kind, name)."""
    from active_rlhf.selection.presets import DESCRIPTIONS

    found: dict[str, list[str]] = {}

    def add(model: type[BaseModel], *prefixes: str, of: str = "") -> None:
        for entry in entries(model):
            name = f"{prefixes[0]}{entry.key}"
            for prefix in prefixes:
                found.setdefault(f"{prefix}{entry.key}", []).append(_text(name, entry, of))

    add(Study, "")
    add(Import, "imported.")
    for section in ("labels", "vae", "evaluation"):
        add(SECTIONS[section], f"{section}.")
    for entry in entries(EnvironmentSettings):
        if entry.key in ("total_steps", "options", "start_from"):
            found[entry.key] = [_text(entry.key, entry, "")]
    for name, said in DESCRIPTIONS.items():
        found.setdefault(name, []).append(f"selector {name}: {said}")
    for kind, name in parts:
        part, preset = known.resolved(kind, name)
        said = f"{kind.replace('_', ' ')} {name}: {_sentence(kind, name)}"
        if preset:
            values = ", ".join(f"{key}: {value}" for key, value in preset.items())
            said += f" ({part} with {values})"
        model = known.settings_of(kind, part)
        settings = [entry.key for entry in entries(model)]
        said += f"\n  settings: {', '.join(settings)}" if settings else ""
        found.setdefault(name, []).append(said)
        found.setdefault(kind, []).append(said)
        if not preset:
            add(model, f"{kind}.", f"{name}.", of=f"of {name}")
    add(Composition, "selectors.")
    add(_pairing(), "candidates.")
    return found


def _text(key: str, entry: Entry, of: str) -> str:
    facts = [
        f"unit: {entry.unit.replace('`', '')}",
        f"default: {entry.default.replace('`', '')}" if entry.default else "",
        entry.bounds,
    ]
    return f"{key} {of}".rstrip() + f"\n  {entry.description}\n  {'; '.join(filter(None, facts))}"


# --- for editors --------------------------------------------------------------------------------


def schema() -> dict[str, Any]:
    """The JSON schema of a study file."""
    whole = Study.model_json_schema()
    properties = {name: item for name, item in whole["properties"].items() if name not in SECTIONS}
    properties |= {key: _object(SECTIONS[key]) for key in OF_A_STUDY}
    properties |= _references(*_sections(), "environments", "selectors", "variants")
    environments, variants = (
        Study.model_fields[key].description for key in ("environments", "variants")
    )
    shared = _sections() | {
        "selectors": _selectors(),
        "environment": _environment(),
        "environments": _named({"$ref": "#/$defs/environment"}, environments),
        "variants": _named({"$ref": "#/$defs/variant"}, variants),
        "variant": _variant(),
    }
    text = {"type": "string", "minLength": 1}
    files = {"anyOf": [text, {"type": "array", "items": text, "minItems": 1}]}
    whole["$defs"]["Import"]["properties"]["files"] |= files
    imported = {"anyOf": [*files["anyOf"], whole["$defs"]["Import"]]}
    whole["$defs"]["Import"] = imported
    return {
        "$schema": DRAFT,
        "title": "A study of active-rlhf",
        "type": "object",
        "additionalProperties": False,
        "required": ["study"],
        "properties": {name: _plain(item) for name, item in properties.items()},
        "$defs": {name: _plain(item) for name, item in (whole["$defs"] | shared).items()},
    }


def environment_schema() -> dict[str, Any]:
    """The JSON schema of a file of config/environments."""
    shared = _sections() | {"selectors": _selectors()}
    return {
        "$schema": DRAFT,
        "title": "Settings of one environment",
        **_environment(),
        "$defs": {name: _plain(item) for name, item in shared.items()},
    }


def _references(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/$defs/{name}"} for name in names}


def _sections() -> dict[str, Any]:
    """Sections about runs, which a study and each of its environments may have."""
    whole = EnvironmentSettings.model_json_schema()["properties"]
    return {
        **{key: whole[key] for key in ("total_steps", "start_from")},
        **{kind: _part(kind) for kind in CHOSEN},
        **{key: _object(SECTIONS[key]) for key in ("labels", "vae", "evaluation")},
    }


def _environment() -> dict[str, Any]:
    options = {"type": "object", "description": "keyword arguments of gymnasium.make"}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {"options": options, **_references(*_sections(), "selectors")},
    }


def _variant() -> dict[str, Any]:
    whole = _environment()
    selection = {"type": "object", "description": "changes to every selector"}
    own = {"selection": selection, **_references("environments")}
    return whole | {"properties": whole["properties"] | own}


def _selectors() -> dict[str, Any]:
    from active_rlhf.selection.presets import DESCRIPTIONS

    keep = Composition.model_json_schema()["properties"]["keep"]
    parts = {kind: _part(kind) for kind in ("candidates", "score", "picker")}
    gate = {"anyOf": [_part("filter"), {"type": "null"}]}
    base = {"enum": list(DESCRIPTIONS), "description": "the preset it starts from"}
    selector = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"base": base, **parts, "filter": gate, "keep": keep},
    }
    return _named(selector, Study.model_fields["selectors"].description)


def _named(item: Mapping[str, Any], description: str | None) -> dict[str, Any]:
    """A list of names, or a mapping from names to changes."""
    return {
        "description": description,
        "anyOf": [
            {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True},
            {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"anyOf": [item, {"type": "null"}]},
            },
        ],
    }


def _part(kind: str) -> dict[str, Any]:
    """A part by name, with its settings; settings of unknown names are not checked."""
    paired: dict[str, Any] = {}
    if kind == "candidates":
        paired = _object(_pairing())["properties"]
    names = [*known.names(kind), *(["none"] if kind == "score" else [])]
    options: list[dict[str, Any]] = [{"type": "string"}]
    for name in names:
        part = known.resolved(kind, name)[0]
        settings = {} if part == "none" else _object(known.settings_of(kind, part))["properties"]
        option = {
            "type": "object",
            "additionalProperties": False,
            "properties": {"name": {"const": name}, **paired, **settings},
        }
        # The name may be left out: a preset or the study may give it.
        options.append(option)
    own = {"type": "string", "not": {"enum": names}}
    options.append({"type": "object", "required": ["name"], "properties": {"name": own}})
    return {"description": KINDS[kind], "anyOf": options}


def _object(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a model, with inner models inlined and nothing required."""
    whole = model.model_json_schema()
    inner = whole.pop("$defs", {})

    def inlined(tree: Any) -> Any:
        if isinstance(tree, dict):
            if "$ref" in tree:
                return inlined(inner[tree["$ref"].rsplit("/", 1)[1]]) | {
                    key: value for key, value in tree.items() if key not in ("$ref", "default")
                }
            return {key: inlined(item) for key, item in tree.items()}
        return [inlined(item) for item in tree] if isinstance(tree, list) else tree

    found = inlined(whole)
    found.pop("required", None)
    assert isinstance(found, dict)
    return found


def _plain(tree: Any) -> Any:
    """A schema without pydantic's titles and with units in the descriptions."""
    if isinstance(tree, list):
        return [_plain(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    kept = {
        key: _plain(value)
        for key, value in tree.items()
        if not (key in ("title", "unit", "form", "shown") and isinstance(value, str))
    }
    unit = tree.get("unit")
    if isinstance(unit, str) and isinstance(tree.get("description"), str):
        kept["description"] = f"{unit}: {tree['description']}"
    return kept


# --- files --------------------------------------------------------------------------------------


def files() -> dict[str, str]:
    """The content of every generated file, by its path in the repository."""
    return {
        "config/README.md": readme(),
        "config/study.schema.json": json.dumps(schema(), indent=1, ensure_ascii=False) + "\n",
        "config/environments/environment.schema.json": json.dumps(
            environment_schema(), indent=1, ensure_ascii=False
        )
        + "\n",
        "docs/parts.md": parts_page(),
    }


def main(root: Path) -> None:
    """Write the generated files under a checkout's root."""
    for name, content in files().items():
        with atomic(root / name) as temporary:
            temporary.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main(Path(*sys.argv[1:2]))
