"""The XPS driver and its emulator against the calls of the protocol, and what only this protocol has."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from stage_bench import StageBench, asked, stage_bench

from hal.errors import DeviceError, ProtocolError
from sim_hw.timeline import NS


@pytest.fixture
def bench() -> Iterator[StageBench]:
    with stage_bench("xps") as bench:
        yield bench


@pytest.fixture
def ask() -> Callable[[bytes], bytes]:
    return asked("xps", 10.0)


@pytest.mark.parametrize(
    ("said", "answer"),
    [  # calls as newportxps 2026.1 writes them; answers of the form that its sendAndReceive takes apart
        (b"FirmwareVersionGet(char *)", b"0,XPS-C8 Firmware V2.6.0,EndOfAPI"),
        (b"Login(Administrator,Administrator)", b"0,,EndOfAPI"),
        (b"GroupStatusGet(Group1,int *)", b"0,0,EndOfAPI"),
        (b"GroupInitialize(Group1)GroupStatusGet(Group1,int *)", b"0,,EndOfAPI0,42,EndOfAPI"),
        (b"GroupMoveAbsolute(Group1,1.5)", b"-22,,EndOfAPI"),
        (b"GroupMoveAbsolute(G1,1.5,-2.25)", b"-19,,EndOfAPI"),
        (b"GroupInitialize(Group1)GroupHomeSearch(Group1)", b"0,,EndOfAPI0,,EndOfAPI"),
        (b"PositionerUserTravelLimitsGet(Group1.Pos,double *,double *)", b"0,0,50,EndOfAPI"),
        (b"PositionerErrorGet(No.Pos,int *)", b"-18,,EndOfAPI"),
        (b"PositionerSGammaParametersSet(Group1.Pos,99,1,1,1)", b"-17,,EndOfAPI"),
        (b"PositionerSGammaParametersSet(Group1.Pos,1,1)", b"-9,,EndOfAPI"),
        (b"NoSuchCall()", b"-19,,EndOfAPI"),
        (b"GroupStatusGet(Group1", b""),
    ],
)
def test_the_emulator_answers_in_the_form_of_the_protocol(
    ask: Callable[[bytes], bytes], said: bytes, answer: bytes
) -> None:
    assert ask(said) == answer


def test_a_call_that_moves_holds_up_what_comes_behind_it_on_its_connection_and_no_other(bench: StageBench) -> None:
    stage = bench.open()
    stage.power(True)
    stage.home()
    bench.clock.sleep_until(bench.clock.now_ns() + NS // 10)
    assert stage.status().moving
    bench.at_rest(stage)
    assert stage.status().referenced


def test_a_position_that_is_sent_while_it_moves_ends_the_motion_first(bench: StageBench) -> None:
    stage = bench.open()
    stage.power(True)
    stage.home()
    bench.at_rest(stage)
    stage.go_to(20.0)
    bench.clock.sleep_until(bench.clock.now_ns() + NS)
    stage.go_to(2.0)
    bench.at_rest(stage)
    assert bench.unit.carriage.true_mm == pytest.approx(2.0, abs=1e-5)


def test_a_refusal_at_once_is_an_error_with_the_code_of_the_controller(bench: StageBench) -> None:
    stage = bench.open()
    stage.power(True)
    with pytest.raises(
        DeviceError, match=r"GroupMoveAbsolute\(Group1.Pos,5.0000000\)' is refused with error -22"
    ) as told:
        stage._go(5.0)
    assert told.value.code == -22


def test_a_stage_that_knows_where_it_is_can_be_sent_home_again(bench: StageBench) -> None:
    stage = bench.open()
    stage.power(True)
    for _ in range(2):
        stage.home()
        assert not stage.status().referenced
        bench.at_rest(stage)
        assert stage.status().referenced
        stage.go_to(10.0)
        bench.at_rest(stage)


@pytest.mark.parametrize(
    ("axis", "told"),
    [("Pos", 'write "GROUP.POSITIONER"'), ("A.B", "error -19"), ("Group1.No", "error -18"), ("A(1).B", "no po")],
)
def test_an_axis_that_is_none_is_told(bench: StageBench, axis: str, told: str) -> None:
    with pytest.raises(DeviceError, match=told):
        bench.open(axis=axis)
    assert not bench.line.taken
    assert bench.line.beside is not None
    assert not bench.line.beside.taken


@pytest.mark.parametrize(
    "reply", [b"0,nan,EndOfAPI", b"0,1,2,EndOfAPI", b"0,,EndOfAPI", b"zero,1,EndOfAPI", b"0EndOfAPI,EndOfAPI"]
)
def test_what_is_no_answer_is_nonsense(bench: StageBench, reply: bytes) -> None:
    stage = bench.open()
    bench.line.spoil = lambda told: reply
    with pytest.raises(ProtocolError, match="stage: sent"):
        stage.status()
    bench.line.spoil = None
    assert not stage.status().moving
