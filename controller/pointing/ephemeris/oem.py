"""CCSDS orbit ephemeris messages (502.0-B-3), text and XML.

Interpolated as the metadata says (through eight rows where it says nothing), inside the useable span only, and never
across a jump: see `interpolation.jumps`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from controller.geometry.timescales import Floats, Times, utc_ns_of_tai
from controller.pointing.ephemeris.covariance import read_covariances
from controller.pointing.ephemeris.ephemeris import EphemerisError, nearest
from controller.pointing.ephemeris.epochs import Epoch, check_scale, parse_epoch, to_tai_ns
from controller.pointing.ephemeris.frames import axes_of, centre_of
from controller.pointing.ephemeris.interpolation import Method
from controller.pointing.ephemeris.ndm import Item, fields_of, read_items, required
from controller.pointing.ephemeris.table import Table, error_notes, split
from controller.pointing.ephemeris.text import number

HEADER = ("CCSDS_OEM_VERS", "CLASSIFICATION", "CREATION_DATE", "ORIGINATOR", "MESSAGE_ID")
META = (
    "OBJECT_NAME", "OBJECT_ID", "CENTER_NAME", "REF_FRAME", "REF_FRAME_EPOCH", "TIME_SYSTEM", "START_TIME",
    "USEABLE_START_TIME", "USEABLE_STOP_TIME", "STOP_TIME", "INTERPOLATION", "INTERPOLATION_DEGREE",
)  # fmt: skip
METHODS = ("LAGRANGE", "HERMITE", "LINEAR")
POINTS = 8  # where the file does not say how to interpolate: Lagrange, which trusts no velocity
POINTS_MAX = 16  # more rows lose digits, and none is asked for by any producer known


@dataclass
class Block:
    """One metadata block with its rows and covariances, as read."""

    line: int
    meta: list[Item] = field(default_factory=list)
    rows: list[Item] = field(default_factory=list)
    covariance: list[Item] = field(default_factory=list)


def parse_oem(text: str, source: str) -> list[Table]:
    """A target for each object of a message. Raises EphemerisError with file and line."""
    header, blocks = _blocks(read_items(text, source), source)
    fields_of(header, HEADER, source)
    if not blocks:
        raise EphemerisError(f"{source} holds no metadata block (META_START); it is cut off or no OEM.")
    created = next((_created_utc_ns(item, source) for item in header if item.key == "CREATION_DATE"), 0)
    tables: dict[str, Table] = {}
    for block in blocks:
        table = _table(block, source, created)
        tables[table.name] = _joined(tables[table.name], table) if table.name in tables else table
    return list(tables.values())


def _blocks(items: Iterator[Item], source: str) -> tuple[list[Item], list[Block]]:
    header: list[Item] = []
    blocks: list[Block] = []
    inside = ""
    for item in items:
        match item.key:
            case "META_START":
                blocks.append(Block(item.line))
                inside = "META"
            case "COVARIANCE_START" if blocks:
                inside = "COVARIANCE"
            case "META_STOP" | "COVARIANCE_STOP":
                inside = ""
            case "SEGMENT_START" | "SEGMENT_STOP":
                pass
            case "" if blocks and not inside:
                blocks[-1].rows.append(item)
            case _ if inside == "META":
                blocks[-1].meta.append(item)
            case _ if inside == "COVARIANCE":
                blocks[-1].covariance.append(item)
            case "":
                raise EphemerisError(f"{source} line {item.line}: a row of data before the first META_START.")
            case _ if blocks:
                wanted = nearest(item.key, ["META_START", "COVARIANCE_START"])
                raise EphemerisError(f"{source} line {item.line}: {item.key} is no key among rows; {wanted}")
            case _:
                header.append(item)
    return header, blocks


def _table(block: Block, source: str, created_utc_ns: int) -> Table:
    meta = fields_of(block.meta, META, source)

    def need(key: str) -> Item:
        return required(meta, key, source, block.line)

    frame, centre = need("REF_FRAME"), need("CENTER_NAME")
    axes = axes_of(frame.value, f"{source} line {frame.line}")
    scale = check_scale(need("TIME_SYSTEM").value, f"{source} line {need('TIME_SYSTEM').line}")
    name = need("OBJECT_NAME").value
    tai, position, velocity = _rows(block, scale, source)
    method, points = _interpolation(meta, source)
    usable = []
    for key, edge in (("START_TIME", tai[0]), ("STOP_TIME", tai[-1])):
        item = meta.get(f"USEABLE_{key}")
        said = int(to_tai_ns([_epoch(item, source)], scale)[0]) if item else int(edge)
        usable.append(max(said, int(tai[0])) if key == "START_TIME" else min(said, int(tai[-1])))
    if usable[0] > usable[1]:
        raise EphemerisError(f"{source} line {block.line}: the useable span of {name} holds none of its rows.")
    parts, notes = split(name, tai, position, velocity, method, points, (usable[0], usable[1]))
    number_of_centre = centre_of(centre.value, axes, f"{source} line {centre.line}")
    covariances, left_out = read_covariances(block.covariance, scale, axes, (tai, position, velocity), source)
    return Table(
        name=name,
        source=source,
        format="CCSDS OEM",
        axes=axes,
        parts=tuple(parts),
        epoch_utc_ns=created_utc_ns or int(utc_ns_of_tai(tai[:1])[0]),
        age_max_days=math.inf if not created_utc_ns else 14.0,
        notes=tuple(notes + error_notes(parts, name) + left_out),
        centre=number_of_centre,
        covariances=tuple(covariances),
    )


def _rows(block: Block, scale: str, source: str) -> tuple[Times, Floats, Floats]:
    epochs: list[Epoch] = []
    states: list[list[float]] = []
    for item in block.rows:
        where = f"{source} line {item.line}"
        words = item.value.split()
        if len(words) not in {7, 10}:
            raise EphemerisError(f"{where}: a row needs a date and six numbers, and has {len(words)} words.")
        epochs.append(_epoch(Item("the date", words[0], item.line), source))
        states.append([number(word, "a coordinate", where) for word in words[1:7]])
    if len(states) < 2:
        raise EphemerisError(f"{source} line {block.line}: this block has {len(states)} rows; two at least are needed.")
    tai = to_tai_ns(epochs, scale)
    late = np.nonzero(np.diff(tai) <= 0)[0]
    if late.size:
        line = block.rows[int(late[0]) + 1].line
        raise EphemerisError(f"{source} line {line}: this row is not later than the one before it; sort the rows.")
    table = np.array(states) * 1e3
    return tai, table[:, :3], table[:, 3:]


def _interpolation(meta: dict[str, Item], source: str) -> tuple[Method, int]:
    said, degree = meta.get("INTERPOLATION"), meta.get("INTERPOLATION_DEGREE")
    if said is None:
        return Method.LAGRANGE, POINTS
    where = f"{source} line {said.line}"
    method = said.value.upper()
    if method not in METHODS:
        raise EphemerisError(f"{where}: {said.value} is no way to interpolate; {nearest(method, list(METHODS))}")
    if method == "LINEAR":
        return Method.LAGRANGE, 2
    order = 7
    if degree is not None:
        where = f"{source} line {degree.line}"
        order = round(number(degree.value, "INTERPOLATION_DEGREE", where))
        if not 1 <= order < 2 * POINTS_MAX:
            raise EphemerisError(f"{where}: a polynomial of degree {order} is not used; 1 to {2 * POINTS_MAX - 1} are.")
    points = order + 1 if method == "LAGRANGE" else math.ceil((order + 1) / 2)
    return Method(method), min(max(points, 2), POINTS_MAX)


def _joined(first: Table, second: Table) -> Table:
    if (first.axes, first.centre) != (second.axes, second.centre):
        raise EphemerisError(
            f"{first.source}: {first.name} changes frame or centre from one block to the next; split the file there."
        )
    return Table(
        first.name,
        first.source,
        first.format,
        first.axes,
        first.parts + second.parts,
        first.epoch_utc_ns,
        first.age_max_days,
        first.notes + second.notes,
        first.centre,
        first.covariances + second.covariances,
    )


def _created_utc_ns(item: Item, source: str) -> int:
    return int(utc_ns_of_tai(to_tai_ns([_epoch(item, source)], "UTC"))[0]) if item.value else 0


def _epoch(item: Item, source: str) -> Epoch:
    try:
        return parse_epoch(item.value)
    except ValueError as error:
        raise EphemerisError(f"{source} line {item.line}: {item.key}: {error}.") from None
