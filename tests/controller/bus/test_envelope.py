"""The envelope: what goes in comes out, and nothing else gets in."""

from __future__ import annotations

import math
import uuid
from contextlib import suppress
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.bus.envelope import (
    ERROR_CODES,
    VERSION,
    BusError,
    Code,
    Envelope,
    Ids,
    Kind,
    Lease,
    body_as,
    body_of,
    decode,
    encode,
    frame,
    pack,
    unframe,
)
from controller.bus.topics import LINK_STATE, LinkState

NAMES = st.text(max_size=20)
LEASES = st.builds(Lease, id=NAMES, gen=st.integers(0, 2**63 - 1))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
BODIES = st.dictionaries(st.text(max_size=8), VALUES, max_size=4)
ENVELOPES = st.builds(
    Envelope,
    v=st.just(VERSION),
    k=st.sampled_from(get_args(Kind)),
    m=NAMES,
    src=NAMES,
    boot=st.binary(max_size=8),
    t=st.integers(0, 2**63 - 1),
    clk=st.sampled_from(("utc", "sim")),
    seq=st.integers(0, 2**64 - 1),
    id=st.binary(max_size=16),
    re=st.binary(max_size=16),
    dst=NAMES,
    dst_boot=st.binary(max_size=8),
    dl=st.integers(0, 2**63 - 1),
    ls=st.none() | LEASES,
    sim=st.booleans(),
    b=BODIES.map(pack),
)


@settings(deadline=None, max_examples=60)  # wall time is not what these are about
@given(ENVELOPES)
def test_an_envelope_survives_its_bytes(envelope: Envelope) -> None:
    assert decode(encode(envelope)) == envelope


@settings(deadline=None, max_examples=60)  # wall time is not what these are about
@given(ENVELOPES.filter(lambda envelope: "\0" not in envelope.m))
def test_a_telemetry_frame_survives_its_bytes(envelope: Envelope) -> None:
    assert unframe(frame(envelope)) == envelope


@settings(deadline=None, max_examples=60)  # wall time is not what these are about
@given(st.binary(max_size=200))
def test_garbage_raises_a_bus_error_and_nothing_else(data: bytes) -> None:
    for read in (decode, unframe):
        with suppress(BusError):  # whatever else it raised would fail the test
            read(data)


@settings(deadline=None, max_examples=60)  # wall time is not what these are about
@given(ENVELOPES, st.integers(0, 200))
def test_half_a_message_is_refused(envelope: Envelope, length: int) -> None:
    data = encode(envelope)
    with pytest.raises(BusError):
        decode(data[: min(length, len(data) - 1)])


def test_version_comes_first_on_the_wire() -> None:
    data = encode(Envelope(v=1, k="req", m="ping", src="cli"))
    assert data[:6] == b"\xde\x00\x04\xa1v\x01"  # msgpack: map of 4, string of one character, integer 1


@pytest.mark.parametrize("extra", [{}, {"k": "hello"}])
def test_another_protocol_version_is_refused_by_both_numbers(extra: dict[str, str]) -> None:
    data = msgspec.msgpack.encode({"v": 7, "k": "req", "m": "ping", "src": "cli"} | extra)
    with pytest.raises(BusError, match=r"version 7 and this side 1"):
        decode(data)


def test_an_unknown_key_is_ignored() -> None:
    data = msgspec.msgpack.encode({"v": 1, "k": "req", "m": "ping", "src": "cli", "later": [1, 2]})
    assert decode(data) == Envelope(v=1, k="req", m="ping", src="cli")


def test_a_frame_labelled_with_another_topic_is_refused() -> None:
    data = frame(Envelope(v=1, k="tlm", m="link/state", src="link"))
    with pytest.raises(BusError, match="labelled"):
        unframe(data.replace(b"link/state\0", b"link/other\0", 1))


def test_not_a_number_survives_in_telemetry() -> None:
    body = LinkState(1, math.nan, math.inf, above=False)
    sent = Envelope(v=1, k="tlm", m=LINK_STATE.name, src="link", b=pack(body))
    got = body_of(unframe(frame(sent)))
    assert isinstance(got, LinkState)
    assert math.isnan(got.received_power_w)
    assert got.threshold_w == math.inf


def test_a_body_of_the_wrong_shape_names_topic_and_sender() -> None:
    envelope = Envelope(v=1, k="tlm", m=LINK_STATE.name, src="link", b=pack({"t_utc_ns": "noon"}))
    with pytest.raises(BusError, match=r"'link/state' from 'link'"):
        body_as(envelope, LinkState)


def test_an_unknown_topic_is_named() -> None:
    with pytest.raises(BusError, match="'no/topic'"):
        body_of(Envelope(v=1, k="tlm", m="no/topic", src="link"))


def test_ids_are_uuid7_in_order_of_time_and_the_same_for_a_seed() -> None:
    now_ns = 1_700_000_000_123_000_000
    ids, again = Ids(3), Ids(3)
    first, second = ids.message(now_ns), again.message(now_ns)
    assert first == second
    assert uuid.UUID(bytes=first).version == 7
    assert uuid.UUID(bytes=first).variant == uuid.RFC_4122
    assert int.from_bytes(first[:6], "big") == now_ns // 1_000_000
    assert ids.message(now_ns + 1_000_000) > first


def test_ids_without_a_seed_are_unique() -> None:
    assert Ids().message(0) != Ids().message(0)


def test_every_error_code_is_explained() -> None:
    assert set(ERROR_CODES) == set(get_args(Code))
