"""CCSDS orbit mean-elements messages with SGP4's elements: text, XML, and the JSON and CSV of catalogues.

A date in these has microseconds and a catalogue number nine digits, so that nothing is squeezed into two lines.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from sgp4.api import SGP4_ERRORS, WGS72, Satrec
from sgp4.omm import initialize

from controller.geometry.timescales import JD_1970, NS_PER_DAY
from controller.pointing.elements import Sgp4Orbit
from controller.pointing.ephemeris.ephemeris import EphemerisError
from controller.pointing.ephemeris.epochs import parse_epoch
from controller.pointing.ephemeris.ndm import read_items
from controller.pointing.ephemeris.text import number

NUMBERS = (
    "MEAN_MOTION", "ECCENTRICITY", "INCLINATION", "RA_OF_ASC_NODE", "ARG_OF_PERICENTER", "MEAN_ANOMALY", "BSTAR",
    "MEAN_MOTION_DOT", "MEAN_MOTION_DDOT",
)  # fmt: skip
NEEDED = ("OBJECT_NAME", "EPOCH", *NUMBERS)
DEFAULTS = {"OBJECT_ID": "", "CLASSIFICATION_TYPE": "U", "EPHEMERIS_TYPE": "0", "ELEMENT_SET_NO": "999",
            "REV_AT_EPOCH": "0", "NORAD_CAT_ID": "0"}  # fmt: skip
ONLY = {"REF_FRAME": ("TEME",), "TIME_SYSTEM": ("UTC",), "CENTER_NAME": ("EARTH",)}
THEORIES = ("SGP4", "SGP/SGP4", "SGP")


@dataclass(frozen=True)
class MeanElements(Sgp4Orbit):
    """One satellite's mean elements, key by key, and where they were read."""

    name: str
    source: str
    fields: dict[str, str]
    format = "CCSDS OMM"

    @property
    def catalogue_number(self) -> int:
        """NORAD number, of up to nine digits."""
        return int(self.fields["NORAD_CAT_ID"])

    @cached_property
    def satrec(self) -> Satrec:
        """The propagator (WGS 72). Raises EphemerisError when SGP4 refuses the elements."""
        epoch = parse_epoch(self.fields["EPOCH"])
        moment = datetime(1970, 1, 1) + timedelta(days=epoch.day, microseconds=epoch.ns_of_day // 1000)  # noqa: DTZ001
        satrec = Satrec()
        plain = {"EPOCH": moment.strftime("%Y-%m-%dT%H:%M:%S.%f"), "NORAD_CAT_ID": "0"}  # sgp4 ends at 339999
        initialize(satrec, self.fields | plain, WGS72)
        # `initialize` makes the date one number, good to 0.3 µs; the two parts keep all digits.
        satrec.jdsatepoch, satrec.jdsatepochF = JD_1970 + epoch.day, epoch.ns_of_day / NS_PER_DAY
        if satrec.error:
            reason = SGP4_ERRORS.get(satrec.error, f"error {satrec.error}")
            raise EphemerisError(f"{self.source}: SGP4 refuses the elements of {self.name}: {reason}.")
        return satrec


def parse_omm(text: str, source: str) -> list[MeanElements]:
    """Every element set of a message in any of the four forms. Raises EphemerisError with file and line."""
    head = text.lstrip()[:1]
    if head in {"[", "{"}:
        records = _json(text, source)
    elif head == "<" or "CCSDS_OMM_VERS" in text[:4000]:
        records = _ndm(text, source)
    else:
        records = _csv(text, source)
    found = [_elements(fields, where) for fields, where in records]
    if not found:
        raise EphemerisError(f"{source} holds no element set.")
    return found


def is_csv(text: str) -> bool:
    """Whether the first line is that of a table of mean elements."""
    first = text.partition("\n")[0].upper().split(",")
    return "MEAN_MOTION" in first and "EPOCH" in first


def _ndm(text: str, source: str) -> Iterator[tuple[dict[str, str], str]]:
    fields: dict[str, str] = {}
    where = source
    for item in read_items(text, source):
        if item.key == "":
            raise EphemerisError(f"{source} line {item.line}: {item.value!r} is no KEY = VALUE.")
        if item.key in {"CCSDS_OMM_VERS", "SEGMENT_START"} and "MEAN_MOTION" in fields:
            yield fields, where
            fields = {}
        if item.key == "OBJECT_NAME":
            where = f"{source} line {item.line}"
        if item.key in fields and item.key in NEEDED:
            raise EphemerisError(f"{source} line {item.line}: {item.key} is said twice.")
        fields[item.key] = item.value
    yield fields, where


def _json(text: str, source: str) -> Iterator[tuple[dict[str, str], str]]:
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise EphemerisError(f"{source} line {line}: not JSON ({getattr(error, 'msg', error)}).") from None
    rows: list[Any] = content if isinstance(content, list) else [content]
    for index, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise EphemerisError(f"{source} record {index} is no object of keys and values.")
        yield {str(k).upper(): "" if v is None else str(v) for k, v in row.items()}, f"{source} record {index}"


def _csv(text: str, source: str) -> Iterator[tuple[dict[str, str], str]]:
    reader = csv.reader(io.StringIO(text))
    try:
        rows = [(row, reader.line_num) for row in reader]
    except csv.Error as error:
        raise EphemerisError(f"{source} line {reader.line_num}: no table of values ({error}).") from None
    head = [word.strip().upper() for word in rows[0][0]] if rows else []
    for row, line in rows[1:]:
        where = f"{source} line {line}"
        if not row:
            continue
        if len(row) != len(head):
            raise EphemerisError(f"{where}: {len(row)} values under {len(head)} headings.")
        yield dict(zip(head, row, strict=True)), where


def _elements(fields: dict[str, str], where: str) -> MeanElements:
    for key in NEEDED:
        if not fields.get(key):
            near = get_close_matches(key, fields.keys() - set(NEEDED), n=1, cutoff=0.75)
            hint = f" ({near[0]} is not its name)" if near else ""
            raise EphemerisError(f"{where}: {key} is missing{hint}; SGP4 needs it.")
    for key, allowed in ONLY.items():
        if (said := fields.get(key, allowed[0]).upper()) not in allowed:
            raise EphemerisError(f"{where}: {key} is {said}; SGP4's elements are in {allowed[0]}.")
    if (theory := fields.get("MEAN_ELEMENT_THEORY", "SGP4").upper()) not in THEORIES or fields.get(
        "EPHEMERIS_TYPE", "0"
    ) not in {"", "0", "2"}:
        raise EphemerisError(f"{where}: elements of the theory {theory} (SGP4-XP?) are not SGP4's; get those of SGP4.")
    for key in NUMBERS:
        number(fields[key], key, where)
    for key in ("NORAD_CAT_ID", "ELEMENT_SET_NO", "REV_AT_EPOCH"):
        if fields.get(key) and not fields[key].strip().isdecimal():
            raise EphemerisError(f"{where}: {key} is {fields[key]!r}, no number.")
    try:
        parse_epoch(fields["EPOCH"])
    except ValueError as error:
        raise EphemerisError(f"{where}: EPOCH: {error}.") from None
    full = DEFAULTS | {k: v for k, v in fields.items() if v}
    return MeanElements(full["OBJECT_NAME"], where, full)
