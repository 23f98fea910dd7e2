"""What all tables of settings have in common: how they are declared and how values are read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)


def setting(
    default: Any, description: str, unit: str = "", form: str = "", shown: str = "", **bounds: Any
) -> Any:
    """Declare a setting of a Section: its default (`...` for none), description, unit and range.

    form: what text with a `pattern` must look like, to complete "must be ..."; shown: what the
    documentation shows in place of the default; bounds: as for pydantic.Field, such as `ge=0, lt=1`
    or `min_length=1`.
    """
    extra: dict[str, JsonValue] = {"unit": unit, "form": form, "shown": shown}
    extra = {key: value for key, value in extra.items() if value}
    if extra:  # an empty one would hide that of the type
        bounds["json_schema_extra"] = extra
    return Field(default, description=description, **bounds)


class Section(BaseModel):
    """A frozen table of settings that accepts no other keys.

    Types are strict: neither `true` nor `"5"` is accepted as a number. Files need two exceptions: a
    float without a fraction counts as a whole number (`1.0` and `1` are the same setting), and a
    list becomes a tuple.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=()
    )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON data, without keys that are None by default; it reads back as an equal one."""
        return self.model_dump(mode="json")

    def found_from(self, folder: Path) -> Self:
        """The same, with the files that it names found; folder: that of the study's file.

        Raises InputError `<setting>: <what is wrong>`.
        """
        return self

    @model_serializer(mode="wrap")
    def _without_nothing(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        return {
            key: value
            for key, value in dump(self).items()
            if value is not None or key not in fields or fields[key].default is not None
        }

    @model_validator(mode="before")
    @classmethod
    def _as_from_a_file(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        read = dict(given)
        for name, field in cls.model_fields.items():
            if name in read and not _holds_sections(field.annotation):  # these do it themselves
                read[name] = whole(read[name])
            if isinstance(read.get(name), list) and _holds_tuple(field.annotation):
                read[name] = tuple(read[name])
        return read


def whole(value: Any) -> Any:
    """Plain data with whole floats as ints, which strict float settings accept too."""
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
