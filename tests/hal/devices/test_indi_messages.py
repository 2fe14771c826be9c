"""INDI's messages out of bytes: those of Debian's indiserver, in pieces, between rubbish, and without an end."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.devices.indi.messages import LONGEST_MESSAGE, Message, Messages

# Telescope Simulator of libindi 1.9.9, heard on the socket of its indiserver.
GOLDEN = b"""<setNumberVector device="Telescope Simulator" name="EQUATORIAL_EOD_COORD" state="Idle" timeout="60" \
timestamp="2026-11-26T16:45:04">
    <oneNumber name="RA">
15.126568978692182199
    </oneNumber>
    <oneNumber name="DEC">
90
    </oneNumber>
</setNumberVector>
<message device="Telescope Simulator" timestamp="2026-11-26T18:53:53" \
message="[WARNING] Please unpark the mount before issuing any motion/sync commands."/>
<delProperty device="Telescope Simulator" name="ON_COORD_SET" timestamp="2026-11-26T18:46:25"/>
<defTextVector device="Telescope Simulator" name="SCOPE_CONFIG_NAME" label="Scope Name" group="Options" state="Ok" \
perm="rw" timeout="60" timestamp="2026-11-26T18:43:38">
    <defText name="SCOPE_CONFIG_NAME" label="Config Name"/>
</defTextVector>
"""
BOMB = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<setTextVector device="T" name="N"><oneText name="E">&b;</oneText></setTextVector>"""


def told(messages: list[Message]) -> list[tuple[str, str]]:
    return [(message.tag, message.name) for message in messages]


ALL = [
    ("setNumberVector", "EQUATORIAL_EOD_COORD"),
    ("message", ""),
    ("delProperty", "ON_COORD_SET"),
    ("defTextVector", "SCOPE_CONFIG_NAME"),
]


def test_what_indiserver_says_is_understood() -> None:
    first, second, *_ = found = Messages().feed(GOLDEN)
    assert told(found) == ALL
    assert first.device == "Telescope Simulator"
    assert first.values == {"RA": "15.126568978692182199", "DEC": "90"}
    assert "unpark" in second.attributes["message"]


@settings(deadline=None)
@given(st.lists(st.integers(1, len(GOLDEN)), max_size=20))
def test_however_it_is_cut_it_is_the_same(cuts: list[int]) -> None:
    messages, found = Messages(), []
    edges = [0, *sorted(cuts), len(GOLDEN)]
    for begin, end in pairwise(edges):
        found += messages.feed(GOLDEN[begin:end])
    assert told(found) == ALL
    assert messages.noise == b""


@settings(deadline=None)
@given(st.integers(0, len(GOLDEN)))
def test_half_a_message_is_over_where_the_next_begins(cut: int) -> None:
    messages = Messages()
    assert told(messages.feed(GOLDEN[cut:] + GOLDEN))[-4:] == ALL


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\0\xff<<>>",
        b"<b></a>",
        b"<message ",
        b"<setTextVector name='",
        b"&lol;",
        b"<defNumberVector></defNumberVector",
    ],
)
def test_rubbish_between_messages_is_skipped_and_remembered(rubbish: bytes) -> None:
    messages = Messages()
    assert told(messages.feed(rubbish + GOLDEN)) == ALL
    assert messages.noise.startswith(rubbish.strip()[:4])


def test_text_that_is_no_utf8_costs_no_message() -> None:
    said = b'<message device="T" message="\xb0 outside"/>'
    assert [message.device for message in Messages().feed(said)] == ["T"]


def test_entities_of_the_senders_are_not_expanded() -> None:
    messages = Messages()
    assert messages.feed(BOMB) == []
    assert messages.noise.startswith(b"<?xml")
    assert told(messages.feed(GOLDEN)) == ALL


@pytest.mark.parametrize(
    "endless",
    [
        b"<setTextVector name='x'>" + b"y" * 10**6,
        b"<setTextVector name='x'>" + b"<oneText>" * 10**5,
        b"<message text='" + b"y" * 10**6,
        b"<message " * 10**4,
        b"<defNumberVector name='x'>" + b"<defNumber name='y'/>" * 10**4,
    ],
    ids=["text", "depth", "attribute", "beginnings", "elements"],
)
def test_a_message_without_an_end_is_kept_no_longer_than_the_longest(endless: bytes) -> None:
    messages = Messages()
    for at in range(0, len(endless), 4096):
        assert messages.feed(endless[at : at + 4096]) == []
        assert len(messages._come) <= LONGEST_MESSAGE + 4096
    assert told(messages.feed(b"'>" + GOLDEN)) == ALL
