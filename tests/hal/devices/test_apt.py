"""The APT driver and its emulator against the bytes of the protocol, and what only this protocol has."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from stage_bench import StageBench, asked, stage_bench

from hal.errors import DeviceError, ProtocolError
from sim_hw.timeline import NS

STATUS_ASKED = bytes.fromhex("900401005001")


@pytest.fixture
def bench() -> Iterator[StageBench]:
    with stage_bench("apt") as bench:
        yield bench


@pytest.fixture
def ask() -> Callable[[str], str]:
    answer = asked("apt", 0.05)
    return lambda data: answer(bytes.fromhex(data)).hex()


@pytest.mark.parametrize(
    ("said", "answer"),
    [  # questions as thorlabs-apt-protocol 29.0.0 packs them; answers as it unpacks them
        ("900401005001", "91040e0081500100" + "00000000" + "0000" + "0000" + "00210080"),
        ("110201005001", "120201010150"),
        ("100201025001 110201005001", "120201020150"),
        ("240401005001", "2504100081500100" + "02000200" + "00160d00" + "00000000" + "0200"),
        ("3b0401005001", "3c04060081500100" + "00000000"),
        ("430401005001", ""),
        ("4304010021 01", ""),  # for another unit
        ("ffffffffffff", ""),
    ],
)
def test_the_emulator_answers_in_the_form_of_the_protocol(ask: Callable[[str], str], said: str, answer: str) -> None:
    assert ask(said) == answer


def test_what_the_driver_says_are_the_worked_bytes_of_the_protocol(bench: StageBench) -> None:
    stage = bench.homed()
    bench.heard.clear()
    stage.go_to(1.0)  # move absolute 34304, as thorlabs-apt-protocol 29.0.0 packs it
    assert bytes.fromhex("53040600d001010000860000") in bytes(bench.heard)
    stage.stop()
    assert bytes.fromhex("650401025001") in bytes(bench.heard)
    stage.power(True)
    assert bytes.fromhex("100201015001") in bytes(bench.heard)
    assert bytes(bench.heard).endswith(STATUS_ASKED)


def test_a_speed_is_counts_an_interval_times_65536(bench: StageBench) -> None:
    bench.open(speed_max_mm_s=1.0)
    # 767367.49 for 1 mm/s: Thorlabs' table of the MTS25-Z8
    assert (767_367).to_bytes(4, "little") in bytes(bench.heard)


def test_the_end_of_a_motion_that_comes_unasked_is_passed_over(bench: StageBench) -> None:
    stage = bench.open()
    for told in ("440401000150", "64040e008150" + "01000000000000000000000000 00"):
        bench.line.spoil = lambda reply, told=told: bytes.fromhex(told) + reply  # type: ignore[misc]
        assert not stage.status().moving


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("800000000150", "it does not say which"),
        ("810044008150" + "00000100" + b"Motor stalled".hex().ljust(128, "0"), "Motor stalled"),
    ],
)
def test_a_fault_that_the_unit_tells_of_is_an_error_with_its_words(bench: StageBench, told: str, why: str) -> None:
    stage = bench.open()
    bench.line.spoil = lambda reply: bytes.fromhex(told) + reply
    with pytest.raises(DeviceError, match=f"stage: it tells of a fault: {why}"):
        stage.status()
    bench.line.spoil = None
    assert not stage.status().moving


@pytest.mark.parametrize("told", ["91040e0081 51", "91040f008150", "000000000150", "91040e000150"])
def test_what_begins_no_message_is_nonsense_and_the_next_question_is_answered(bench: StageBench, told: str) -> None:
    stage = bench.open()
    bench.line.spoil = lambda reply: bytes.fromhex(told) + reply
    with pytest.raises(ProtocolError, match="which begins no message of APT"):
        stage.status()
    bench.line.spoil = None
    assert not stage.status().moving


def test_what_half_a_message_of_a_host_that_died_begins_is_stopped_when_it_is_opened(bench: StageBench) -> None:
    """The unit takes the first bytes that come for the end of that message: a move, to nobody knows where."""
    bench.unit.receive(bytes.fromhex("53040600d0010100"))
    stage = bench.open()
    bench.clock.sleep_until(bench.clock.now_ns() + NS // 4)
    assert not stage.status().moving


def test_a_motor_that_does_not_obey_is_told(bench: StageBench) -> None:
    stage = bench.open()
    bench.unit._enable = lambda on: None  # type: ignore[method-assign]
    with pytest.raises(DeviceError, match="its motor was told to be off, and is not"):
        stage.power(False)
