"""The settings of a part: a pydantic model made from its signature."""

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import SimpleNamespace
from typing import Any, get_type_hints

from pydantic import BaseModel, create_model

from active_rlhf.errors import InputError
from active_rlhf.study.messages import Layer, Sources, validated
from active_rlhf.study.sections import Section


def settings_of(what: str, make: Callable[..., Any]) -> tuple[type[BaseModel], bool]:
    """The model of a part's settings, and whether it takes them all as one parameter.

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
    # Only these: other annotations may name things imported only for type checkers.
    annotated = SimpleNamespace(__annotations__=wanted)
    hints = get_type_hints(annotated, vars(sys.modules[make.__module__]), include_extras=True)
    model = hints.get("settings")
    if inspect.isclass(model) and issubclass(model, BaseModel):
        if len(hints) > 1:
            raise InputError(f"{what}: has `settings` and further keyword-only parameters")
        own = issubclass(model, Section)
        return model if own else create_model(model.__name__, __base__=(model, Section)), True
    defaults = {p.name: ... if p.default is p.empty else p.default for p in parameters}
    if is_dataclass(make):  # its signature does not show what a factory makes
        for field in fields(make):
            if field.default_factory is not MISSING:
                defaults[field.name] = field.default_factory()
    typed: dict[str, Any] = {key: (hint, defaults[key]) for key, hint in hints.items()}
    return create_model(what.replace(" ", "_"), __base__=Section, **typed), False


def complete(model: type[BaseModel], given: Mapping[str, Any]) -> BaseModel:
    """Every setting, given or by default.

    Raises InputError `<setting>: ...`, or a sentence about several settings.
    """
    if given and not model.model_fields:
        raise InputError(f"unknown setting {next(iter(given))!r}: there are none")
    try:
        return validated(model, dict(given), Sources("", [Layer("", given)]), (), "setting")
    except InputError as error:
        raise InputError(str(error).removeprefix(": ")) from None
