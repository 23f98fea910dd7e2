"""What every table of settings has in common: how values are read, and how each is declared."""

from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator


def setting(default: Any, description: str, unit: str = "", **bounds: Any) -> Any:
    """A setting of a Section: its default (`...` for none), unit and sentence, and its range.

    bounds: as of pydantic.Field, such as `ge=0, lt=1` or `min_length=1`.
    """
    extra: dict[str, JsonValue] | None = {"unit": unit} if unit else None
    return Field(default, description=description, json_schema_extra=extra, **bounds)


class Section(BaseModel):
    """A frozen table of settings that knows no other key.

    Types are strict, since `true` is no number and `"5"` none either, with two exceptions that
    files need: a whole float is a whole number (`1.0` and `1` are the same setting), and a list
    fills a tuple.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=()
    )

    @model_validator(mode="before")
    @classmethod
    def _as_from_a_file(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        read = dict(given)
        for name, field in cls.model_fields.items():
            if name in read and not _holds_sections(field.annotation):  # which read themselves
                read[name] = whole(read[name])
            if isinstance(read.get(name), list) and _holds_tuple(field.annotation):
                read[name] = tuple(read[name])
        return read


def whole(value: Any) -> Any:
    """Plain data with every whole float as an int, which strict float settings take as well."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, (list, tuple)):
        return type(value)(whole(item) for item in value)
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    return value


def _holds_tuple(annotation: Any) -> bool:
    return any(get_origin(kind) is tuple for kind in (annotation, *get_args(annotation)))


def _holds_sections(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return True
    return any(map(_holds_sections, get_args(annotation)))
