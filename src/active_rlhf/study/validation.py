"""One line about whatever is wrong with a setting: file, key, the fault and what would be right."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, cast

import jsonschema
import yaml

from active_rlhf.study.plain_yaml import ConfigError

SCHEMA = Path(__file__).parent / "schemas" / "study.schema.yaml"
LARGEST = 2**53  # whole numbers up to here are exact as floats too


def check_unique(values: list[Any], key: str, label: str) -> None:
    """Refuse a list that names something twice."""
    for i, value in enumerate(values):
        if value in values[:i]:
            raise ConfigError(f"{label}: {key}[{i}]: {value} is listed twice")


def check_tree(value: Any, label: str, key: str = "", depth: int = 0) -> None:
    """Refuse what YAML and JSON can hold but no setting may: odd keys, NaN, endless nesting."""
    if depth > 20:
        raise ConfigError(f"{label}: {re.split(r'[.[]', key)[0]}: nested too deeply")
    if isinstance(value, Mapping):
        for name, item in value.items():
            if not isinstance(name, str) or not name.isprintable():
                raise ConfigError(f"{label}: {key or 'top'}: key {show(name)} is not a name")
            check_tree(item, label, f"{key}.{name}" if key else name, depth + 1)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            check_tree(item, label, f"{key}[{i}]", depth + 1)
    elif isinstance(value, (int, float)) and not abs(value) <= LARGEST:  # nan compares false
        raise ConfigError(f"{label}: {key}: {show(value)} is not a usable number")


@cache
def _schema() -> dict[str, Any]:
    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


@cache
def _validator(part: str) -> jsonschema.Draft202012Validator:
    whole = _schema()
    schema = {"$ref": f"#/$defs/{part}", "$defs": whole["$defs"]} if part else whole
    return jsonschema.Draft202012Validator(schema)


def validate(value: Any, label: str, part: str = "") -> None:
    """Check a value against the study schema, or against one of its `$defs`."""
    validator = _validator(part)
    for error in cast(Iterable[Any], validator.iter_errors(value)):
        key = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.absolute_path)
        where = f"{label}: {key[1:]}" if key else label
        raise ConfigError(_explain(error, where))


_KINDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}
_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
}


def _explain(error: Any, where: str) -> str:
    """The one line for a jsonschema.ValidationError."""
    rule, limit, value = error.validator, error.validator_value, error.instance
    if rule == "additionalProperties":
        known = list(error.schema["properties"])
        return unknown(where, "key", next(key for key in value if key not in known), known)
    if rule == "enum":
        return f"{where}: must be one of {', '.join(map(str, limit))}, not {show(value)}"
    if rule == "type":
        return f"{where}: must be {_KINDS[limit]}, not {show(value)}"
    if rule in _BOUNDS:
        return f"{where}: must be {_BOUNDS[rule]} {limit}, not {show(value)}"
    if rule == "pattern":
        return f"{where}: {show(value)} must be {error.schema['description']}"
    if rule == "required":
        return f"{where}: {next(key for key in limit if key not in value)}: missing"
    return f"{where}: must not be empty"  # minItems, minProperties, minLength


def unknown(where: str, kind: str, name: Any, known: Iterable[str]) -> str:
    """The message about a name that is none of `known`, with the closest of them."""
    known = list(known)
    close = closest(name, known)
    return f"{where}: unknown {kind} {show(name)}{close}; known: {', '.join(known)}"


def closest(name: Any, known: Iterable[str]) -> str:
    """`, did you mean 'x'?`, or nothing."""
    close = get_close_matches(str(name), list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def show(value: Any) -> str:
    """A value in a message, cut where it is long."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
