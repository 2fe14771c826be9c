"""The tables of docs/protocol.md, made from the code that they describe.

`python -m controller.bus.tables docs/protocol.md` puts them into the page; a test compares.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from controller.bus.endpoints import DEFAULT_BASE_PORT, STATION_SERVICES, registry_endpoint, static_table
from controller.bus.envelope import (
    ERROR_CODES,
    RETRYABLE,
    VERSION,
    DoneBody,
    Envelope,
    ErrorBody,
    Kind,
    Lease,
    TimeBase,
    encode,
    frame,
    pack,
)
from controller.bus.lease import Acquire, Granted
from controller.bus.methods import METHODS
from controller.bus.topics import TOPICS, HeldLease, LinkState, ServiceProcess, Vote

ENVELOPE_KEYS: Final = {
    "v": "protocol version; another one is refused, naming both",
    "k": "kind: `req`, `ack` (accepted), `rep` (finished), `err`, `tlm`, `evt` (telemetry of an event topic)",
    "m": "method of a command, topic of telemetry",
    "src": "sending service or client",
    "boot": "8 bytes, drawn at the sender's start",
    "clk": "time base of `t` and `dl`: `utc`, or `sim` in lockstep",
    "sim": "true on everything that comes from an emulated device or simulated time",
    "dst": "the service that is meant",
    "dst_boot": "the start of that service that is meant; a command for an earlier start is refused",
    "ls": "lease under which a command is sent: `{id, gen}`, as `lease.acquire` answered",
    "t": "time of sending, ns since 1970",
    "seq": "telemetry: counts from 1 for each source and topic; a jump is a loss",
    "id": "16 bytes (UUID version 7); of a command also its idempotency key",
    "re": "the `id` that this message answers",
    "dl": "deadline, ns since 1970; a command that is taken up later is refused",
    "b": "body, a map",
}
EXAMPLE_BOOT: Final = bytes.fromhex("0102030405060708")


def topics() -> str:
    """The topic table."""
    rows = [
        (f"`{topic.name}`", topic.body.__name__, _number(topic.rate_hz), topic.kind, _number(topic.stale_after_s))
        for topic in TOPICS.values()
    ]
    return _table(("topic", "body", "nominal Hz", "class", "stale after, s"), rows)


def bodies() -> str:
    """Fields of every body."""
    kinds: set[type[msgspec.Struct]] = {topic.body for topic in TOPICS.values()} | {HeldLease, ServiceProcess, Vote}
    parts = []
    for kind in sorted(kinds, key=lambda kind: kind.__name__):
        fields = ", ".join(f"`{field.name}` {_type(field.type)}" for field in msgspec.structs.fields(kind))
        parts.append(f"- **{kind.__name__}**: {(kind.__doc__ or '').splitlines()[0]} {fields}")
    return "\n".join(parts)


def envelope() -> str:
    """Keys of the envelope, in the order of the wire."""
    rows = [
        (f"`{field.name}`", _type(field.type), ENVELOPE_KEYS[field.name]) for field in msgspec.structs.fields(Envelope)
    ]
    return _table(("key", "type", "meaning"), rows)


def methods() -> str:
    """Commands, with the lease that each needs."""
    rows = [
        (
            ", ".join(method.services),
            f"`{method.name}`" + (" (ctl)" if method.channel == "ctl" else ""),
            method.scope,
            _fields(method.body),
            _fields(method.data),
            method.does,
        )
        for method in METHODS
    ]
    return _table(("service", "method", "lease", "body", "data of the answer", "does"), rows)


def errors() -> str:
    """Error codes."""
    rows = [(f"`{code}`", text, "yes" if code in RETRYABLE else "") for code, text in ERROR_CODES.items()]
    return _table(("code", "meaning", "worth a retry"), rows)


def ports() -> str:
    """Default ports."""
    rows = [("registry", _port(registry_endpoint()), "", "")]
    rows += [
        (name, _port(at.cmd), _port(at.ctl), _port(at.tlm))
        for name, at in static_table(base_port=DEFAULT_BASE_PORT, services=STATION_SERVICES).items()
    ]
    return _table(("service", "cmd", "ctl", "tlm"), rows)


def examples() -> str:
    """Worked bytes: a stop, its refusal, a telemetry frame, and a command under a lease with what comes before it."""
    command_id = bytes.fromhex("019ab3c4d5e67f00800102030405060f")
    command = Envelope(
        v=VERSION,
        k="req",
        m="stop",
        src="cli",
        t=1_790_000_000_000_000_000,
        id=command_id,
        dst="station",
        dl=1_790_000_001_000_000_000,
    )
    refusal = Envelope(
        v=VERSION,
        k="err",
        m="stop",
        src="station",
        boot=EXAMPLE_BOOT,
        t=1_790_000_000_001_000_000,
        re=command_id,
        dst="cli",
        b=pack(ErrorBody(code="BUSY", msg="not now", retryable=True)),
    )
    telemetry = Envelope(
        v=VERSION,
        k="tlm",
        m="link/state",
        src="link",
        boot=EXAMPLE_BOOT,
        t=1_790_000_000_000_000_000,
        seq=7,
        sim=True,
        b=pack(LinkState(1_790_000_000_000_000_000, 2.0e-6, 1.0e-7, above=True)),
    )
    acquire = Envelope(
        v=VERSION,
        k="req",
        m="lease.acquire",
        src="anna",
        t=1_790_000_000_000_000_000,
        id=command_id,
        dst="station",
        dst_boot=EXAMPLE_BOOT,
        dl=1_790_000_001_000_000_000,
        b=pack(Acquire(scope="gimbal", ttl_s=10.0, reason="tests the axes")),
    )
    token = Lease("gimbal-1790000000001", 1_790_000_000_001)
    granted = Granted(id=token.id, gen=token.gen, expires_utc_ns=1_790_000_010_001_000_000)
    grant = Envelope(
        v=VERSION,
        k="rep",
        m="lease.acquire",
        src="station",
        boot=EXAMPLE_BOOT,
        t=1_790_000_000_001_000_000,
        re=command_id,
        dst="anna",
        b=pack(DoneBody(msg="anna holds the lease of the gimbal", data=msgspec.to_builtins(granted))),
    )
    slew = Envelope(
        v=VERSION,
        k="req",
        m="pointing.slew",
        src="anna",
        t=1_790_000_000_002_000_000,
        id=bytes.fromhex("019ab3c4d5e67f008001020304050610"),
        dst="pointing",
        dst_boot=EXAMPLE_BOOT,
        dl=1_790_000_001_002_000_000,
        ls=token,
        b=pack({"azimuth_rad": 1.5, "elevation_rad": 0.5}),
    )
    parts = (
        ("A `stop` on the ctl channel, one ZeroMQ frame", encode(command)),
        ("Its refusal", encode(refusal)),
        ("Telemetry `link/state`, one frame: topic, NUL, envelope", frame(telemetry)),
        ("A `lease.acquire` to the station's ctl channel", encode(acquire)),
        ("The grant", encode(grant)),
        ("A `pointing.slew` to pointing's cmd channel, under that lease", encode(slew)),
    )
    return "\n\n".join(f"{title} ({len(data)} bytes):\n\n{_hex(data)}" for title, data in parts)


SECTIONS: Final = {
    "topics": topics,
    "bodies": bodies,
    "envelope": envelope,
    "methods": methods,
    "errors": errors,
    "ports": ports,
    "examples": examples,
}


def fill(page: str) -> str:
    """The page with every `<!-- NAME -->` ... `<!-- /NAME -->` filled anew."""
    for name, make in SECTIONS.items():
        pattern = re.compile(f"<!-- {name} -->.*?<!-- /{name} -->", re.DOTALL)
        block = f"<!-- {name} -->\n{make()}\n<!-- /{name} -->"
        page = pattern.sub(block.replace("\\", r"\\"), page)
    return page


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _fields(kind: Any) -> str:
    if not isinstance(kind, type) or not issubclass(kind, msgspec.Struct):
        return "map of number"
    return ", ".join(
        f"`{field.name}` {_type(field.type)}{'' if field.required else ' (optional)'}"
        for field in msgspec.structs.fields(kind)
    )


def _port(endpoint: str) -> str:
    return endpoint.rpartition(":")[2]


def _number(value: float) -> str:
    return f"{value:g}" if value else ""


def _type(kind: Any) -> str:
    """A type as somebody who writes another language reads it."""
    if kind in (Kind, TimeBase):
        return "str"
    text = kind.__name__ if isinstance(kind, type) and not getattr(kind, "__args__", ()) else str(kind)
    for old, new in (
        ("tuple[float, float]", "pair"),
        ("typing.", ""),
        ("msgspec.", ""),
        ("controller.bus.topics.", ""),
        ("controller.bus.envelope.", ""),
        ("Raw", "map"),
        (" | None", ""),
    ):
        text = text.replace(old, new)
    return re.sub(r"Literal\[(.*?)\]", lambda found: found[1].replace("'", "").replace(", ", "/"), text)


def _hex(data: bytes) -> str:
    """Sixteen bytes a line, with their text."""
    lines = []
    for start in range(0, len(data), 16):
        row = data[start : start + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"    {row.hex(' '):<47}  {text}")
    return "\n".join(lines)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(fill(path.read_text(encoding="utf-8")), encoding="utf-8")
