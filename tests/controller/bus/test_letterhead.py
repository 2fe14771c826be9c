"""A message that is written and read by its head is the message that the codec writes and reads."""

from __future__ import annotations

import random
from typing import Any, Final

import msgspec
import pytest

from controller.bus.envelope import Command, Done, DoneBody, Lease, decode_command, encode
from controller.bus.letterhead import AnswerHead, CommandHead, News

NOW_NS: Final = 1_790_000_000_000_000_000
ID: Final = bytes(range(16))
BODIES: Final[list[dict[str, Any]]] = [{"rate": 1.5}, {"data": bytes(64)}, {"a": {"b": [1, None, "ä"]}, "t": 1}]


def command(**fields: Any) -> Command:
    words: dict[str, Any] = {"m": "pointing.feed", "src": "anna", "boot": b"startanna", "dst_boot": b"startdst"}
    return Command(v=1, k="req", dst="pointing", **(words | fields))


LIKE: Final = [
    command(),
    command(ls=Lease("gimbal-1790000000000", 1790000000000)),
    command(sim=True, clk="sim", boot=b"", dst_boot=b""),
    command(m="t", src="t"),
]


@pytest.mark.parametrize("like", LIKE)
@pytest.mark.parametrize("body", BODIES)
def test_a_command_is_written_as_the_codec_writes_it_and_read_back(like: Command, body: dict[str, Any]) -> None:
    head = CommandHead(like)
    data = head.write(NOW_NS, ID, NOW_NS + 5, body)
    assert data == encode(msgspec.structs.replace(like, t=NOW_NS, id=ID, dl=NOW_NS + 5, b=body))
    assert head.read(data) == News(NOW_NS, ID, NOW_NS + 5, body)


def test_an_empty_body_is_read_as_one() -> None:
    head = CommandHead(command())
    data = head.write(NOW_NS, ID, NOW_NS + 5, {})
    read = decode_command(data)
    assert isinstance(read, Command)
    assert (read.id, read.dl, read.b) == (ID, NOW_NS + 5, {})
    assert head.read(data) == News(NOW_NS, ID, NOW_NS + 5, {})


@pytest.mark.parametrize("like", LIKE)
@pytest.mark.parametrize("body", [DoneBody(msg="done"), DoneBody(data={"a": 1}), DoneBody(msg="x", data=BODIES[2])])
def test_an_answer_is_written_as_the_codec_writes_it(like: Command, body: DoneBody) -> None:
    answer = Done(v=1, k="rep", m=like.m, src=like.dst, boot=b"startdst", sim=like.sim, dst=like.src, b=DoneBody())
    written = AnswerHead(answer).write(NOW_NS, ID, body)
    assert written == encode(msgspec.structs.replace(answer, t=NOW_NS, re=ID, b=body))


def test_a_command_of_another_head_is_not_read_by_this_one() -> None:
    head = CommandHead(LIKE[1])
    others = [
        *LIKE[:1],
        *LIKE[2:],
        command(ls=Lease("gimbal-1790000000000", 1790000000001)),
        *(
            msgspec.structs.replace(LIKE[1], **{key: value})
            for key, value in {
                "k": "rep",
                "m": "pointing.feel",
                "src": "olga",
                "boot": b"startolga",
                "dst": "station",
                "dst_boot": b"other",
                "sim": True,
                "seq": 1,
                "re": ID,
            }.items()
        ),
    ]
    for other in others:
        assert head.read(encode(msgspec.structs.replace(other, t=NOW_NS, id=ID, dl=NOW_NS, b={"rate": 1.5}))) is None


def test_whatever_is_read_by_a_head_the_codec_reads_as_the_same_command() -> None:
    """Damaged in every way: cut, longer, a bit turned, bytes exchanged, numbers of other lengths."""
    rng = random.Random(1)
    like = LIKE[1]
    head = CommandHead(like)
    good = [head.write(NOW_NS + i, rng.randbytes(16), NOW_NS - i, body) for i, body in enumerate(BODIES)]
    short = encode(msgspec.structs.replace(like, t=5, id=ID, dl=6, b={"rate": 1.5}))
    read = 0
    for number in range(20_000):
        data = bytearray(rng.choice([*good, short]))
        for _ in range(number % 4):
            match rng.randrange(4):
                case 0:
                    data = data[: rng.randrange(len(data))] + b"\x80"
                case 1:
                    data += rng.randbytes(rng.randrange(3))
                case 2:
                    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
                case _:
                    data[rng.randrange(len(data))] = rng.randrange(256)
        found = head.read(bytes(data))
        if found is not None:
            read += 1
            whole = decode_command(bytes(data))
            assert isinstance(whole, Command)
            whole_news = News(whole.t, whole.id, whole.dl, whole.b)
            assert repr(found) == repr(whole_news), "repr: a damaged number may be no number"
            assert msgspec.structs.replace(whole, t=0, id=b"", dl=0, b={}) == like
    assert 4_000 < read < 15_000, "neither all nor none"
