"""The Zaber driver and its emulator against the bytes of the protocol, and what only this protocol has."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from stage_bench import StageBench, asked, stage_bench

from hal.devices.zaber import lrc
from hal.errors import DeviceError, ProtocolError
from sim_hw.devices.zaber import MICROSTEP_MM


@pytest.fixture
def bench() -> Iterator[StageBench]:
    with stage_bench("zaber") as bench:
        yield bench


@pytest.fixture
def ask() -> Callable[[bytes], bytes]:
    return asked("zaber", 0.05)


@pytest.mark.parametrize(
    "line",  # what zaber-motion 10.3.0 sent when it was made to use checksums
    [b"/0 0 00:00", b"/1 0 03 get system.serial:29", b"/1 1 17 move abs 5000:E4", b"/1 1 22 warnings:71", b"/1 1 16:F7",
     b"/1 1 01 move abs 12345:B1"],
)  # fmt: skip
def test_the_checksum_is_that_of_zabers_own_library(line: bytes) -> None:
    body, _, told = line[1:].partition(b":")
    assert b"%02X" % lrc(body) == told


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (b"/\n", b"@01 0 OK IDLE WR 0\r\n"),
        (b"/0 0 00:00\n", b"@01 0 00 OK IDLE WR 0\r\n"),
        (b"/1 get pos\n", b"@01 0 OK IDLE WR 0\r\n"),
        (b"/1 1 07 get limit.min\n", b"@01 1 07 OK IDLE WR 0\r\n"),
        (b"/1 1 -- warnings\n", b"@01 1 OK IDLE WR 01 WR\r\n"),
        (b"/1 1 09 blah\n", b"@01 1 09 RJ IDLE WR BADCOMMAND\r\n"),
        (b"/1 1 09 move abs 9999999\n", b"@01 1 09 RJ IDLE WR BADDATA\r\n"),
        (b"/1 1 09 move abs -1\n", b"@01 1 09 RJ IDLE WR BADDATA\r\n"),
        (b"/1 1 09 move abs one\n", b"@01 1 09 RJ IDLE WR BADDATA\r\n"),
        (b"/1 2 09 home\n", b"@01 2 09 RJ IDLE WR BADAXIS\r\n"),
        (b"/1 1 09 get version\n", b"@01 1 09 RJ IDLE WR DEVICEONLY\r\n"),
        (b"/1 0 09 set comm.checksum 1\n", b"@01 0 09 OK IDLE WR 0:B5\r\n"),
        (b"/1 1 09 home:00\n", b""),  # not what was sent: it is not heard
        (b"/2 1 09 home\n", b""),  # another device
        (b"home\n", b""),
    ],
)
def test_the_emulator_answers_in_the_form_of_the_protocol(
    ask: Callable[[bytes], bytes], question: bytes, answer: bytes
) -> None:
    assert ask(question) == answer


def test_what_the_driver_says_is_checked_and_numbered_and_nothing_else(bench: StageBench) -> None:
    bench.open().status()
    lines = bytes(bench.heard).splitlines()
    assert [line for line in lines if line][:2] == [b"/1 0 01 set comm.checksum 1:F4", b"/1 0 02 get deviceid:40"]
    assert all(b"%02X" % lrc(line[1:].partition(b":")[0]) == line[-2:] for line in lines if line)


def test_a_reply_whose_checksum_is_wrong_is_nonsense(bench: StageBench) -> None:
    stage = bench.open()
    bench.line.spoil = lambda reply: reply.replace(b"OK", b"0K")
    with pytest.raises(ProtocolError, match=r"stage: sent .* check cable and baud rate"):
        stage.status()
    bench.line.spoil = lambda reply: reply.partition(b":")[0] + b"\r\n"  # none at all
    with pytest.raises(ProtocolError, match="stage: sent"):
        stage.status()
    bench.line.spoil = None
    assert not stage.status().moving


def test_alerts_and_remarks_between_are_passed_over(bench: StageBench) -> None:
    stage = bench.open()
    alert, remark = (b"%s:%02X\r\n" % (said, lrc(said[1:])) for said in (b"!01 1 IDLE --", b"#01 0 01 a remark"))
    bench.line.spoil = lambda reply: alert + remark + reply
    assert stage.status().position_mm == 0.0


def test_a_refusal_says_what_was_refused_and_why(bench: StageBench) -> None:
    stage = bench.open()
    stage.power(False)
    with pytest.raises(DeviceError, match=r"stage: 'home' is refused with DRIVERDISABLED: its motor is switched off"):
        stage.home()


def test_warnings_are_in_the_words_of_the_device(bench: StageBench) -> None:
    stage = bench.open()
    assert stage.status().warnings == ("WR",)
    stage.power(False)
    assert stage.status().warnings == ("FO", "WR")


@pytest.mark.parametrize("data", ["  ", "02 WR", "x WR", "9999"])
def test_flags_that_are_not_as_many_as_they_say_are_nonsense(bench: StageBench, data: str) -> None:
    stage = bench.open()

    def spoil(reply: bytes) -> bytes:
        body = reply.partition(b":")[0].replace(b"WR 01 WR", b"WR " + data.encode())
        return b"%s:%02X\r\n" % (body, lrc(body[1:]))

    bench.line.spoil = spoil
    with pytest.raises(ProtocolError, match="which is no answer"):
        stage.status()


@pytest.mark.parametrize("axis", ["1", "A 1", "1 1 1", "1\n1"])
def test_an_axis_that_is_none_is_told(bench: StageBench, axis: str) -> None:
    with pytest.raises(DeviceError, match='write "1 1"'):
        bench.open(axis=axis)
    with pytest.raises(DeviceError, match=r"BADAXIS: it has no such axis; correct the rig file, \[stage\] axis"):
        bench.open(axis="1 3")


def test_a_speed_is_counts_a_second_times_1_6384(bench: StageBench) -> None:
    bench.open(speed_max_mm_s=1.0)
    # 1 mm/s of 0.047625 um: 20997.4 counts a second (X-LSM specifications), times 1.6384
    assert b"set maxspeed 34402:" in bytes(bench.heard)
    assert round(1.0 / MICROSTEP_MM * 1.6384) == 34402
