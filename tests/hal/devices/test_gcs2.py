"""The GCS 2 driver and its emulator against the bytes of the command set, and what only this protocol has."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from stage_bench import StageBench, asked, stage_bench

from hal.errors import DeviceError, ProtocolError


@pytest.fixture
def bench() -> Iterator[StageBench]:
    with stage_bench("gcs2") as bench:
        yield bench


@pytest.fixture
def ask() -> Callable[[bytes], bytes]:
    return asked("gcs2", 5.0)


@pytest.mark.parametrize(
    ("said", "answer"),
    [  # forms as PIPython 2.11 reads them: `axis=value`, silent commands, the numbers of its gcserror
        (b"POS? 1\n", b"1=0.0000000\n"),
        (b"SVO 1 1\nSVO?\n", b"1=1\n"),
        (b"SVO 1 1\nFRF 1\n", b""),
        (b"MOV 1 5\nERR?\nERR?\n", b"5\n0\n"),
        (b"\x05", b"0\n"),
        (b"\x07", b"\xb1\n"),
        (b"SVO 1 1\nFRF 1\n\x05", b"1\n"),
        (b"\x18ERR?\n", b"10\n"),
        (b"POS? 7\nERR?\n", b"15\n"),
        (b"MOV 1 x\nERR?\n", b"1\n"),
        (b"MOV 1 nan\nERR?\n", b"17\n"),
        (b"NIX\nERR?\n", b"2\n"),
        (b"SPA? 1 0x7000601\n", b"1 0x7000601=MM\n"),
        (b"SPA? 1 0x99\nERR?\n", b"54\n"),
        (b"\n\n", b""),
    ],
)
def test_the_emulator_answers_in_the_form_of_the_command_set(
    ask: Callable[[bytes], bytes], said: bytes, answer: bytes
) -> None:
    assert ask(said) == answer


def test_a_move_out_of_the_limits_is_error_7(ask: Callable[[bytes], bytes]) -> None:
    ask(b"SVO 1 1\nFRF 1\n")
    assert ask(b"MOV 1 25.1\nERR?\n") == b"7\n"


def test_the_driver_takes_the_number_of_a_refusal_into_its_error(bench: StageBench) -> None:
    stage = bench.open()
    with pytest.raises(DeviceError, match="error 5: it was never referenced, or its servo is off") as told:
        stage.home()
    assert told.value.code == 5


def test_an_error_of_somebody_before_is_not_taken_for_ours(bench: StageBench) -> None:
    stage = bench.open()
    bench.unit.receive(b"NIX\n")
    stage.power(True)
    assert stage.status().powered


def test_an_axis_that_is_not_there_is_named_with_those_that_are(bench: StageBench) -> None:
    with pytest.raises(DeviceError, match=r'no axis "2", but 1; correct the rig file, \[stage\] axis'):
        bench.open(axis="2")


def test_an_axis_that_counts_in_other_units_is_refused(bench: StageBench) -> None:
    """A millimetre that is sent to a mirror in microradians would move it a thousandth of what was meant, or worse."""
    bench.line.spoil = lambda reply: reply.replace(b"=MM", b"=URAD")
    with pytest.raises(DeviceError, match="its axis counts in URAD, and a stage is driven in mm"):
        bench.open()


@pytest.mark.parametrize("reply", [b"2=1.0\n", b"1=nan\n", b"1=\n", b"=1.0\n", b"1=1e999\n", b"1 1.0\n"])
def test_what_is_no_position_is_nonsense(bench: StageBench, reply: bytes) -> None:
    stage = bench.open()
    bench.line.spoil = lambda told: reply if b"=" in told else told
    with pytest.raises(ProtocolError, match='instead of "1=" and a number'):
        stage.status()
    bench.line.spoil = None
    assert stage.status().position_mm == 0.0


def test_its_identity_is_what_it_says(bench: StageBench) -> None:
    identity = bench.open().identity
    assert (identity["model"], identity["serial"], identity["firmware"]) == ("C-863.11", "0115500828", "1.4.0.0")


def test_a_controller_that_does_not_tell_its_unit_is_taken_to_count_in_millimetres(bench: StageBench) -> None:
    """Small controllers have no such parameter: the question is not answered, and becomes an error that is cleared."""
    bench.line.spoil = lambda reply: b"" if b"=MM" in reply else reply
    stage = bench.open()
    assert stage.capabilities.travel_mm == (1.0, 24.0)


@pytest.mark.parametrize("spoilt", [b"zero\n", b"\n"])
def test_what_is_no_error_number_and_no_motion_is_nonsense(bench: StageBench, spoilt: bytes) -> None:
    stage = bench.open()
    bench.line.spoil = lambda reply: reply if b"Physik" in reply else spoilt  # its name finds the step
    with pytest.raises(ProtocolError, match="instead of which axes move"):
        stage.status()
    with pytest.raises(ProtocolError, match="instead of the number of an error"):
        stage.power(True)
    bench.line.spoil = None
    assert not stage.status().moving
