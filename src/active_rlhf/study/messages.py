"""One line about what is wrong with a setting: file, line, key, fault and remedy."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, NoReturn, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from active_rlhf.errors import InputError

LARGEST = 2**53  # whole numbers up to here are exact as floats too

Place = tuple[Any, ...]
"""Keys and list indices that lead to a setting."""
Model = TypeVar("Model", bound=BaseModel)


class ConfigError(InputError):
    """A setting that cannot work; the message is one line: where, what, and what would work."""


@dataclass(frozen=True)
class Layer:
    """A tree of settings, and where it is written."""

    label: str
    """The file."""
    tree: Any
    lines: Mapping[Place, int] = field(default_factory=dict)
    """In the file, by place in the file."""
    inside: Place = ()
    """Where in the file the tree is."""
    listed: Mapping[Place, Place] = field(default_factory=dict)
    """Where in the file each key of the tree is, if the file has a list of names instead."""

    def under(self, *keys: Any) -> "Layer":
        """The layer of a part of the tree."""
        tree = self.tree
        for key in keys:
            tree = tree.get(key, {}) if isinstance(tree, Mapping) else {}
        return Layer(self.label, tree, self.lines, (*self.inside, *keys), self.listed)


@dataclass(frozen=True)
class Sources:
    """The layers that settings were merged from, weakest first, to tell where one came from."""

    label: str
    """Named if no layer has the setting."""
    layers: Sequence[Layer]

    def where(self, place: Place, hidden: int = 0) -> str:
        """`file:line: key` of a setting, from the strongest layer that has it.

        hidden: how many of the last keys to leave out, because the message itself names them.
        """
        for depth in range(len(place), 0, -1):
            for layer in reversed(self.layers):
                if _has(layer.tree, place[:depth]):
                    return _written(layer, place, hidden)
        return _joined(self.label, place[: len(place) - hidden])

    def fail(self, place: Place, message: str) -> NoReturn:
        """Raise the ConfigError about a setting."""
        raise ConfigError(f"{self.where(place)}: {message}")

    def fail_unknown(self, place: Place, kind: str, known: Iterable[str]) -> NoReturn:
        """Raise the ConfigError about a place whose last key is not one of `known`."""
        raise ConfigError(unknown(self.where(place, hidden=1), kind, place[-1], known))


def _written(layer: Layer, place: Place, hidden: int) -> str:
    full = (*layer.inside, *place)
    for depth in range(len(full), 0, -1):
        if full[:depth] in layer.listed:
            full = (*layer.listed[full[:depth]], *full[depth:])
            hidden = min(hidden, len(full) - depth)
            break
    above = (full[:depth] for depth in range(len(full), 0, -1))
    number = next((layer.lines[place] for place in above if place in layer.lines), None)
    file = layer.label if number is None else f"{layer.label}:{number}"
    return _joined(file, full[: len(full) - hidden])


def _joined(file: str, place: Place) -> str:
    return f"{file}: {dotted(place)}" if place else file


def _has(tree: Any, place: Place) -> bool:
    for key in place:
        if (isinstance(tree, Mapping) and key in tree) or (
            isinstance(tree, list) and isinstance(key, int) and key < len(tree)
        ):
            tree = tree[key]
        else:
            return False
    return True


def dotted(place: Place) -> str:
    """`a.b[0]`."""
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place).removeprefix(".")


# --- plain data ----------------------------------------------------------------------------------


def check_tree(value: Any, sources: Sources, place: Place = ()) -> None:
    """Refuse what YAML and JSON can hold but settings cannot: odd keys, NaN, deep nesting."""
    if len(place) > 20:
        sources.fail(place[:1], "nested too deeply")
    if isinstance(value, Mapping):
        for name, item in value.items():
            if not isinstance(name, str) or not name.isprintable():
                where = sources.where(place) if place else f"{sources.label}: top"
                raise ConfigError(f"{where}: key {show(name)} is not a name")
            check_tree(item, sources, (*place, name))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            check_tree(item, sources, (*place, i))
    elif isinstance(value, (int, float)) and not abs(value) <= LARGEST:  # nan compares false
        sources.fail(place, f"{show(value)} is not a usable number")


def check_unique(values: Sequence[Any], sources: Sources, place: Place) -> None:
    """Refuse a list that names something twice."""
    for i, value in enumerate(values):
        if value in values[:i]:
            sources.fail((*place, i), f"{value} is listed twice")


def check_known(
    tree: Mapping[str, Any], known: Iterable[str], sources: Sources, place: Place = ()
) -> None:
    """Refuse a mapping with a key that is not one of `known`."""
    known = list(known)
    for key in tree:
        if key not in known:
            sources.fail_unknown((*place, key), "key", known)


# --- models --------------------------------------------------------------------------------------


def validated(
    model: type[Model], given: Any, sources: Sources, place: Place = (), kind: str = "key"
) -> Model:
    """The model filled with what was given at a place; raises ConfigError about the first fault.

    kind: what the model's keys are called.
    """
    try:
        return model.model_validate(given)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        _explain(fault, model, sources, place, kind)


_KINDS = {
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
    "greater_than": ("more than", "gt"),
    "less_than": ("less than", "lt"),
}


def _explain(
    fault: Any, model: type[BaseModel], sources: Sources, place: Place, kind: str
) -> NoReturn:
    rule, value, context = fault["type"], fault.get("input"), fault.get("ctx", {})
    inner = tuple(fault["loc"])
    is_key = bool(inner) and inner[-1] == "[key]"
    at = (*place, *(inner[:-1] if is_key else inner))
    if rule == "extra_forbidden":
        known = list(_model_at(model, inner[:-1]).model_fields)
        sources.fail_unknown(at, kind if len(inner) == 1 else "key", known)
    if rule == "missing":
        sources.fail(at, "missing")
    if rule == "literal_error":
        choices = ", ".join(re.findall(r"'([^']*)'", context["expected"]))
        sources.fail(at, f"must be one of {choices}, not {show(value)}")
    if rule in _KINDS:
        sources.fail(at, f"must be {_KINDS[rule]}, not {show(value)}")
    if rule in _BOUNDS:
        words, key = _BOUNDS[rule]
        sources.fail(at, f"must be {words} {context[key]:g}, not {show(value)}")
    if rule == "finite_number":
        sources.fail(at, f"{show(value)} is not a usable number")
    if rule in ("too_short", "string_too_short"):
        sources.fail(at, "must not be empty")
    if rule in ("too_long", "string_too_long"):
        sources.fail(at, f"{show(value)} must be at most {context['max_length']} long")
    if rule == "string_pattern_mismatch":
        where = sources.where(at, hidden=int(is_key))
        raise ConfigError(f"{where}: {show(value)} must be {_form(model, inner)}")
    sources.fail(at, f"{context.get('error', fault['msg'])}")


def _annotation(annotation: Any, keys: Place) -> tuple[Any, FieldInfo | None]:
    """The type that `keys` lead to inside a type, and its field in the innermost model."""
    found: FieldInfo | None = None
    for key in keys:
        annotation = bare(annotation)
        origin = get_origin(annotation)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found = annotation.model_fields.get(key)
            annotation = found.annotation if found else Any
        elif origin in (dict, Mapping):
            annotation = get_args(annotation)[0 if key == "[key]" else 1]
        elif origin in (tuple, list):
            annotation = get_args(annotation)[0]
    return annotation, found


def bare(annotation: Any) -> Any:
    """Without Annotated, and without None."""
    if get_origin(annotation) is Annotated:
        return bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return bare(next(kind for kind in get_args(annotation) if kind is not type(None)))
    return annotation


def _model_at(model: type[BaseModel], keys: Place) -> type[BaseModel]:
    found = bare(_annotation(model, keys)[0])
    return found if isinstance(found, type) and issubclass(found, BaseModel) else model


def _form(model: type[BaseModel], inner: Place) -> str:
    """What text must look like, from the `form` of its field or of its type."""
    keys = (*inner[:-2], "[key]") if inner[-1:] == ("[key]",) else inner
    annotation, info = _annotation(model, keys)
    infos = [info, *(a for a in get_args(annotation) if isinstance(a, FieldInfo))]
    for candidate in infos:
        extra = candidate.json_schema_extra if candidate else None
        if isinstance(extra, dict) and "form" in extra:
            return str(extra["form"])
    return "of another form"


# --- words ---------------------------------------------------------------------------------------


def unknown(where: str, kind: str, name: Any, known: Iterable[str]) -> str:
    """The message about a name that is not one of `known`, with the closest of them."""
    known = list(known)
    close = closest(name, known)
    return f"{where}: unknown {kind} {show(name)}{close}; known: {', '.join(known)}"


def closest(name: Any, known: Iterable[str]) -> str:
    """`, did you mean 'x'?`, or nothing."""
    close = get_close_matches(str(name), list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def show(value: Any) -> str:
    """A value as messages show it, cut short if it is long."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
