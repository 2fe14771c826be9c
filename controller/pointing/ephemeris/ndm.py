"""CCSDS navigation data messages: keyword = value text and XML, as one stream of items with line numbers.

XML is turned into what the text form says: `<metadata>` into META_START and META_STOP, `<covarianceMatrix>` likewise,
and a `<stateVector>` of an OEM into a row of data. So one reader serves both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from xml.parsers import expat

from controller.pointing.ephemeris.ephemeris import EphemerisError, nearest

STATE = ("EPOCH", "X", "Y", "Z", "X_DOT", "Y_DOT", "Z_DOT")
BLOCKS = {"metadata": "META", "covarianceMatrix": "COVARIANCE", "segment": "SEGMENT"}


class Item(NamedTuple):
    """A key and its value; data rows have the key "" and blocks an empty value."""

    key: str
    value: str
    line: int


def read_items(text: str, source: str) -> Iterator[Item]:
    """Items of a message in either form. Raises EphemerisError."""
    return iter(_xml(text, source)) if text.lstrip().startswith("<") else _kvn(text)


def kind_of(text: str) -> str:
    """OEM, OPM or OMM; empty when the text is no such message."""
    head = text[:4000]
    for kind in ("OEM", "OPM", "OMM"):
        if f"CCSDS_{kind}_VERS" in head:
            return kind
    return ""


def fields_of(items: Iterable[Item], known: Iterable[str], source: str) -> dict[str, Item]:
    """Keys and values of one block. Raises EphemerisError on a key that nobody knows, or that comes twice."""
    names = list(known)
    found: dict[str, Item] = {}
    for item in items:
        if item.key not in names and not item.key.startswith("USER_DEFINED_"):
            raise EphemerisError(f"{source} line {item.line}: {item.key} is no key here; {nearest(item.key, names)}")
        if item.key in found:
            raise EphemerisError(f"{source} line {item.line}: {item.key} is said twice (line {found[item.key].line}).")
        found[item.key] = item
    return found


def required(found: dict[str, Item], key: str, source: str, line: int) -> Item:
    """A field that must be there. Raises EphemerisError."""
    if key not in found or not found[key].value:
        raise EphemerisError(f"{source} line {line}: {key} is missing here; a message without it cannot be used.")
    return found[key]


def _kvn(text: str) -> Iterator[Item]:
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line == "COMMENT" or line.startswith("COMMENT "):
            continue
        key, equals, value = line.partition("=")
        if equals:
            yield Item(key.strip().upper(), value.partition("[")[0].strip(), number)
        elif line.endswith(("_START", "_STOP")):
            yield Item(line, "", number)
        else:
            yield Item("", line, number)


def _xml(text: str, source: str) -> list[Item]:
    items: list[Item] = []
    state: dict[str, str] = {}
    words: list[str] = []
    parser = expat.ParserCreate()

    def refuse(*_: Any) -> None:
        raise EphemerisError(f"{source} line {parser.CurrentLineNumber}: a document type is not read here; remove it.")

    def start(tag: str, attributes: dict[str, str]) -> None:
        words.clear()
        if tag in BLOCKS:
            items.append(Item(f"{BLOCKS[tag]}_START", "", parser.CurrentLineNumber))
        if "id" in attributes and attributes["id"].startswith("CCSDS_"):
            items.append(Item(attributes["id"], attributes.get("version", ""), parser.CurrentLineNumber))

    def end(tag: str) -> None:
        value, line = "".join(words).strip(), parser.CurrentLineNumber
        words.clear()
        if tag in BLOCKS:
            items.append(Item(f"{BLOCKS[tag]}_STOP", "", line))
        elif tag == "stateVector" and oem:
            items.append(Item("", " ".join(state.get(key, "?") for key in STATE), line))
            state.clear()
        elif tag in leaves and oem:
            state[tag] = value
        elif tag.isupper() and tag != "COMMENT":
            items.append(Item(tag, value, line))

    oem = kind_of(text) == "OEM"
    leaves: set[str] = set()

    def start_state(tag: str, attributes: dict[str, str]) -> None:
        if tag == "stateVector":
            leaves.update((*STATE, "X_DDOT", "Y_DDOT", "Z_DDOT"))
        elif tag == "covarianceMatrix":
            leaves.clear()
        start(tag, attributes)

    parser.StartElementHandler = start_state
    parser.EndElementHandler = end
    parser.CharacterDataHandler = words.append
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        raise EphemerisError(
            f"{source} line {error.lineno}: not well-formed XML ({expat.errors.messages[error.code]})."
        ) from None
    return items
