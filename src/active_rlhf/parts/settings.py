"""What a part lets a study set: a pydantic model made of its signature; what is said of faults."""

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from types import SimpleNamespace
from typing import Any, get_type_hints

from pydantic import BaseModel, ValidationError, create_model
from pydantic.fields import FieldInfo

from active_rlhf.errors import InputError
from active_rlhf.study.sections import Section


def settings_of(what: str, make: Callable[..., Any]) -> tuple[type[BaseModel], bool]:
    """The model of a part's settings, and whether it takes them whole, as one parameter.

    Raises InputError if one has no type.
    """
    parameters = inspect.signature(make).parameters.values()
    wanted = {
        p.name: p.annotation
        for p in parameters
        if p.kind is p.KEYWORD_ONLY or (p.name == "settings" and p.annotation is not p.empty)
    }
    untyped = [key for key, annotation in wanted.items() if annotation is inspect.Parameter.empty]
    if untyped:
        raise InputError(f"{what}: setting {untyped[0]} has no type")
    # Only these: other annotations may name what is imported for a type checker alone.
    annotated = SimpleNamespace(__annotations__=wanted)
    hints = get_type_hints(annotated, vars(sys.modules[make.__module__]), include_extras=True)
    model = hints.get("settings")
    if inspect.isclass(model) and issubclass(model, BaseModel):
        if len(hints) > 1:
            raise InputError(f"{what}: has `settings` and further keyword-only parameters")
        own = issubclass(model, Section)
        return model if own else create_model(model.__name__, __base__=(model, Section)), True
    defaults = {p.name: ... if p.default is p.empty else p.default for p in parameters}
    if is_dataclass(make):  # whose signature does not tell what a factory makes
        for field in fields(make):
            if field.default_factory is not MISSING:
                defaults[field.name] = field.default_factory()
    typed: dict[str, Any] = {key: (hint, defaults[key]) for key, hint in hints.items()}
    return create_model(what.replace(" ", "_"), __base__=Section, **typed), False


def complete(model: type[BaseModel], given: Mapping[str, Any]) -> BaseModel:
    """Every setting, given or by default. Raises InputError `<setting>: ...`."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise InputError(fault(error, model)) from None


_KINDS = {
    **{"int": "a whole number", "float": "a number", "bool": "true or false", "string": "text"},
    **{"list": "a list", "tuple": "a list", "dict": "a mapping", "model": "a mapping"},
}
_SIGNS = (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than"))


def fault(error: ValidationError, model: type[BaseModel]) -> str:
    """One line about the first thing that is wrong: `<key>: <what would be right>, not <value>`."""
    first: Any = error.errors(include_url=False)[0]
    place = first["loc"]
    key = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place if p != "[key]")[1:]
    if first["type"] == "extra_forbidden":
        names = list(model.model_fields)
        close = get_close_matches(key, names, n=1)
        hint = f", did you mean {close[0]!r}?" if close else ""
        return f"{key}: unknown here{hint}; known: {', '.join(['name', *names])}"
    if first["type"] == "missing":
        return f"{key}: missing"
    value = repr(first["input"])
    value = value if len(value) <= 60 else f"{value[:57]}..."
    top = model.model_fields.get(str(place[0])) if len(place) == 1 else None
    return f"{key}: must be {_right(first, top)}, not {value}"


def _right(first: Any, of: FieldInfo | None) -> str:
    """What would be right where a value is wrong."""
    context = first.get("ctx", {})
    if of is not None and of.annotation in (int, float):
        kind = _KINDS[of.annotation.__name__]
        limits = {
            sign: getattr(rule, sign)
            for rule in of.metadata
            for sign, _ in _SIGNS
            if hasattr(rule, sign)
        }
        if limits.keys() == {"ge", "le"}:
            return f"{kind} from {limits['ge']} to {limits['le']}"
        words = [f"{word} {limits[sign]}" for sign, word in _SIGNS if sign in limits]
        return f"{kind} {' and '.join(words)}".strip()
    kind = _KINDS.get(first["type"].removesuffix("_type"), "")
    if kind:
        return kind
    if "expected" in context:
        return f"one of {context['expected']}".replace(" or ", ", ").replace("'", "")
    for sign, word in _SIGNS:
        if sign in context:
            return f"{word} {context[sign]}"
    return str(first["msg"]).removeprefix("Value error, ")
