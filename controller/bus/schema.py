"""Every message of the bus as one JSON Schema document, for clients in other languages.

Bodies are msgpack maps on the wire; what the schema calls a base64 string is a byte string there.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from controller.bus.envelope import VERSION, DoneBody, Envelope, ErrorBody
from controller.bus.methods import METHODS
from controller.bus.registry import Announcement, schema_hash
from controller.bus.topics import TOPICS

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """`$defs` has every type; `topics` and `methods` say which of them a message carries."""
    topics = [topic.body for topic in TOPICS.values()]
    commands = [kind for method in METHODS for kind in (method.body, method.data)]
    envelope = _envelope()
    types = list(dict.fromkeys([envelope, ErrorBody, DoneBody, Announcement, *topics, *commands]))
    found, components = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    of = dict(zip(types, found, strict=True))
    return {
        "$schema": DIALECT,
        "title": f"Boresight bus, protocol version {VERSION}",
        "version": VERSION,
        "schema": schema_hash(),
        **of[envelope],
        "error": of[ErrorBody],
        "done": of[DoneBody],
        "announcement": of[Announcement],
        "topics": {
            topic.name: {"body": of[topic.body], "class": topic.kind, "stale_after_s": topic.stale_after_s}
            for topic in TOPICS.values()
        },
        "methods": {
            method.name: {
                "services": list(method.services),
                "channel": method.channel,
                "lease": method.scope,
                "body": of[method.body],
                "data": of[method.data],
            }
            for method in METHODS
        },
        "$defs": components,
    }


def _envelope() -> type[msgspec.Struct]:
    """The envelope with its body as what it is on the wire: a map, not yet decoded."""
    fields: list[tuple[str, Any, Any]] = []
    for field in msgspec.structs.fields(Envelope):
        kind, default = field.type, msgspec.field() if field.required else msgspec.field(default=field.default)
        if kind is msgspec.Raw:
            kind, default = dict[str, Any], msgspec.field(default_factory=dict)
        fields.append((field.encode_name, kind, default))
    return msgspec.defstruct(Envelope.__name__, fields, kw_only=True, namespace={"__doc__": Envelope.__doc__})
