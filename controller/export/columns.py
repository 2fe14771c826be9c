"""A topic as a table: one row a message, columns from the JSON Schema that the recording itself holds.

Units stay in the names of the columns, as on the bus. A pair becomes two columns, what is nested becomes JSON text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from controller.record import Recorded

Kind = Literal["float", "int", "bool", "text"]
KINDS: dict[str, Kind] = {"number": "float", "integer": "int", "boolean": "bool", "string": "text"}
UNITS = {  # endings of names; the longest that fits counts
    "_rad_s": "rad/s",
    "_rad": "rad",
    "_utc_ns": "ns since 1970, UTC",
    "_s": "s",
    "_m": "m",
    "_w": "W",
    "_a": "A",
    "_e": "electrons",
    "_days": "d",
}
SKY = ("cross_elevation", "elevation")
AXES = ("1", "2")  # from the ground up; they need not be azimuth and elevation
PAIRS_OF_AXES = frozenset({"axis_command_rad_s", "axis_rad", "axis_rate_rad_s"})  # all other pairs are on the sky


@dataclass(frozen=True, slots=True)
class Column:
    """A column, and where its values are found in a body."""

    name: str
    kind: Kind
    field: str = ""
    index: int | None = None  # of a pair
    nested: bool = False

    @property
    def unit(self) -> str:
        """Unit of its values; empty for numbers without one, and for text."""
        return unit_of(self.name) if self.kind in {"float", "int"} else ""

    def value(self, body: dict[str, Any]) -> Any:
        """The value in a body; None where there is none."""
        found = body.get(self.field)
        if found is None:
            return None
        if self.nested:
            return json.dumps(found, ensure_ascii=False)
        return found if self.index is None else found[self.index]


HEAD = (
    Column("sent_utc_ns", "int"),
    Column("source", "text"),
    Column("simulated", "bool"),
    Column("seq", "int"),
)
NAMES_OF_HEAD = frozenset(column.name for column in HEAD)


def columns_of(schema: dict[str, Any]) -> tuple[Column, ...]:
    """Columns of a body, in the order of its fields; HEAD stands before them, and `body_` before what it names, too."""
    columns: list[Column] = []
    for field, optional in schema.get("properties", {}).items():
        spec, name = _present(optional), f"body_{field}" if field in NAMES_OF_HEAD else field
        if _is_pair(spec):
            axes = AXES if field in PAIRS_OF_AXES else SKY
            columns += [Column(_of_axis(field, axis), "float", field, index) for index, axis in enumerate(axes)]
        elif spec.get("type") in KINDS or "enum" in spec:
            columns.append(Column(name, KINDS.get(spec.get("type", "string"), "text"), field))
        else:
            columns.append(Column(name, "text", field, nested=True))
    return tuple(columns)


def row_of(message: Recorded, columns: tuple[Column, ...]) -> list[Any]:
    """One row: HEAD, then the columns of the body."""
    head = [message.log_time_ns, message.source, message.simulated, message.seq]
    return head + [column.value(message.body) for column in columns]


def unit_of(name: str) -> str:
    """Unit of a field by the ending of its name; empty when it has none."""
    endings = sorted((ending for ending in UNITS if name.endswith(ending)), key=len)
    return UNITS[endings[-1]] if endings else ""


def _present(spec: dict[str, Any]) -> dict[str, Any]:
    """Schema of a field when it is there: what may be null besides has a column of its own type."""
    kinds = [kind for kind in spec.get("anyOf", ()) if kind.get("type") != "null"]
    return kinds[0] if len(kinds) == 1 else spec


def _is_pair(spec: dict[str, Any]) -> bool:
    return [item.get("type") for item in spec.get("prefixItems", ())] == ["number", "number"]


def _of_axis(field: str, axis: str) -> str:
    """`error_rad` of the elevation is `error_elevation_rad`: the unit stays at the end."""
    ending = max((ending for ending in UNITS if field.endswith(ending)), key=len, default="")
    return f"{field.removesuffix(ending)}_{axis}{ending}"
