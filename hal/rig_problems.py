"""What pydantic finds wrong in a rig file, in sentences for the person who wrote the file."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

_BOUNDS = (("gt", "more than {}"), ("ge", "{} or more"), ("lt", "less than {}"), ("le", "{} or less"))
_KINDS = {
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "string_type": "text in quotes",
    "bool_type": "true or false",
    "finite_number": "a finite number",
    "model_type": "a section",
    "string_too_short": "a few words",
    "too_short": "one at least",
}


def problems_of(error: ValidationError, model: type[BaseModel], document: Mapping[str, Any]) -> list[str]:
    """Every problem as a sentence without file name and full stop, in the order of the file's model."""
    found = error.errors(include_url=False)
    missing = {tuple(item["loc"]) for item in found if item["type"] == "missing"}
    sentences = []
    for item in found:
        if item["type"] == "extra_forbidden":
            location = tuple(item["loc"])
            keys = list(_model_at(model, location[:-1]).model_fields)
            near = get_close_matches(str(location[-1]), keys, n=1, cutoff=0.5)
            # the key that was meant is not missing, it is misspelt
            missing -= {(*location[:-1], near[0])} if near else set()
            sentences.append(_unknown(location, keys, near))
    for item in found:
        location = tuple(item["loc"])
        if item["type"] == "missing":
            if location in missing:
                why = _field_at(model, location).description
                sentences.append(f"{_where(location)} is missing" + (f"; {why}" if why else ""))
        elif item["type"] != "extra_forbidden":
            sentences.append(_wrong(location, dict(item), model, document))
    return sentences


def _unknown(location: tuple[int | str, ...], keys: list[str], near: list[str]) -> str:
    if near:
        unit = " (the unit is part of the name)" if near[0].split("_")[0] == str(location[-1]).split("_")[0] else ""
        return f"{_where(location)} is not known; did you mean {near[0]}{unit}? Allowed: {', '.join(keys)}"
    return f"{_where(location)} is not known; allowed: {', '.join(keys)}"


def _wrong(
    location: tuple[int | str, ...], item: Mapping[str, Any], model: type[BaseModel], document: Mapping[str, Any]
) -> str:
    if item["type"] == "value_error":
        reason = str(item["ctx"]["error"])
        return f"{_where(location)}: {reason}"
    inside = len(location) > 2  # of a list or table in a section, whose rules are not a field's
    bounds = "" if inside else _range(_field_at(model, location))
    allowed = _KINDS.get(item["type"]) or bounds or item["msg"].removeprefix("Input should be ")
    value: Any = document
    for key in location:
        value = value[key]
    return f"{_where(location)} = {_toml(value)} is not allowed; write {allowed}"


def _range(field: FieldInfo) -> str:
    parts = []
    for name, text in _BOUNDS:
        for bound in field.metadata:
            if (value := getattr(bound, name, None)) is not None:
                parts.append(text.format(f"{value:g}"))
        if any(getattr(bound, "pattern", None) for bound in field.metadata):
            return "small letters, digits, - and _"
    return " and ".join(parts)


def _where(location: tuple[int | str, ...]) -> str:
    section, *keys = (str(part) for part in location)
    return f"[{section}] {' '.join(keys)}" if keys else f"[{section}]"


def section_model(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a section, required or not; None for anything else."""
    for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _model_at(model: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel]:
    for part in location:
        section = section_model(model.model_fields[str(part)])
        if section is None:
            raise TypeError(f"{part} is no section")
        model = section
    return model


def _field_at(model: type[BaseModel], location: tuple[int | str, ...]) -> FieldInfo:
    return _model_at(model, location[:-1]).model_fields[str(location[-1])]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
