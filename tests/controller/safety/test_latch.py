"""The latch: every way in needs two steps, every way out is immediate, and nothing resumes by itself."""

from __future__ import annotations

import pytest

from controller.safety.latch import (
    CONFIRM_WINDOW_S,
    CONSENT_S,
    Latch,
    Pass,
    Phase,
    RefusedError,
    arm,
    confirm,
    disarm,
    turn,
)
from controller.safety.opinion import Opinion
from controller.safety.votes import Ballot

YES = Ballot({"power": Opinion(True, "")})
PAUSE = Ballot({"mode": Opinion(False, "the station is in POINT", orderly=True)})
NO = Ballot({"power": Opinion(False, "too much")})


def emitting() -> Latch:
    return turn(confirmed(), 2.0, "FINE", YES)


def confirmed() -> Latch:
    return confirm(arm(Latch(), 0.0, "operator", "POINT", (), None), 1.0, "operator")


def test_emission_needs_arm_confirm_and_every_vote() -> None:
    latch = Latch()
    assert turn(latch, 0.0, "FINE", YES).phase is Phase.LOCKED
    latch = arm(latch, 1.0, "operator", "FINE", (), None)
    assert turn(latch, 1.1, "FINE", YES).phase is Phase.ARMED
    latch = confirm(latch, 2.0, "operator")
    assert turn(latch, 2.1, "POINT", PAUSE).phase is Phase.CONFIRMED
    assert turn(latch, 2.1, "FINE", NO).phase is Phase.CONFIRMED
    assert turn(latch, 2.1, "FINE", YES).phase is Phase.EMITTING


def test_any_lost_vote_latches_and_its_return_does_not_resume() -> None:
    latch = turn(emitting(), 3.0, "FINE", NO)
    assert (latch.phase, latch.reason) == (Phase.LATCHED, "power: too much")
    assert turn(latch, 4.0, "FINE", YES).phase is Phase.LATCHED
    with pytest.raises(RefusedError, match="not armed"):
        confirm(latch, 5.0, "operator")
    again = confirm(arm(latch, 5.0, "operator", "FINE", (), None), 6.0, "operator")
    assert turn(again, 6.1, "FINE", YES).phase is Phase.EMITTING


def test_an_orderly_end_pauses_and_the_same_consent_goes_on() -> None:
    latch = turn(emitting(), 3.0, "POINT", PAUSE)
    assert latch.phase is Phase.CONFIRMED
    assert turn(latch, 4.0, "ACQUIRE", YES).phase is Phase.EMITTING


def test_a_key_that_is_turned_takes_the_consent_back_before_emission_too() -> None:
    key = Ballot({"mode": Opinion(False, "POINT", orderly=True), "key": Opinion(False, "off")})
    for latch in (arm(Latch(), 0.0, "operator", "POINT", (), None), confirmed(), emitting()):
        ended = turn(latch, 2.0, "POINT", key)
        assert (ended.phase, "key: off" in ended.reason) == (Phase.LATCHED, True)
        assert turn(ended, 3.0, "FINE", YES).phase is Phase.LATCHED


@pytest.mark.parametrize("mode", ["STOWED", "HOLD", "OFF"])
def test_stowing_or_holding_takes_the_consent_back(mode: str) -> None:
    for latch in (emitting(), confirmed(), arm(Latch(), 0.0, "operator", "FINE", (), None)):
        ended = turn(latch, 3.0, mode, PAUSE)
        assert ended.phase is Phase.LOCKED
        assert turn(ended, 4.0, "FINE", YES).phase is Phase.LOCKED


def test_a_station_that_rests_may_be_armed_for_the_pass_to_come() -> None:
    latch = confirm(arm(Latch(), 0.0, "operator", "STOWED", (), None), 1.0, "operator")
    latch = turn(latch, 2.0, "STOWED", PAUSE)
    latch = turn(latch, 3.0, "SLEW", PAUSE)
    assert turn(latch, 4.0, "ACQUIRE", YES).phase is Phase.EMITTING


A, B = Pass("A", 100, 200), Pass("B", 150, 250)


@pytest.mark.parametrize("other", [B, A._replace(target="B"), A._replace(end_utc_ns=300)])
def test_one_consent_is_for_one_pass_and_no_other(other: Pass) -> None:
    armed = turn(arm(Latch(), 0.0, "operator", "POINT", (), None), 0.5, "POINT", PAUSE, A)
    ready = turn(confirm(armed, 1.0, "operator"), 2.0, "POINT", PAUSE, A)
    emits = turn(ready, 2.0, "LINK", YES, A)
    assert turn(emits, 2.5, "LINK", YES, A).phase is Phase.EMITTING
    for latch in (armed, ready, emits):
        ended = turn(latch, 3.0, "SLEW", PAUSE, other)
        assert ended.phase is Phase.LOCKED
        assert ended.reason == f"the station was told to follow {other.target}: one consent is for one pass, arm again"
        for flown in (other, A):
            assert turn(ended, 4.0, "ACQUIRE", YES, flown).phase is Phase.LOCKED


def test_a_consent_that_is_given_at_rest_is_for_the_next_pass_and_no_other() -> None:
    latch = confirm(arm(Latch(), 0.0, "operator", "STOWED", (), None), 1.0, "operator")
    latch = turn(latch, 1.5, "STOWED", PAUSE, A)  # the pass that is over: a station at rest still names it
    latch = turn(latch, 2.0, "SLEW", PAUSE, B)
    assert turn(latch, 3.0, "LINK", YES, B).phase is Phase.EMITTING
    assert turn(latch, 3.0, "", YES, None).phase is Phase.EMITTING, "what is not known is the votes' to judge"
    assert turn(latch, 3.0, "SLEW", PAUSE, A).phase is Phase.LOCKED


@pytest.mark.parametrize("mode", ["SAFE", "FAULT"])
def test_safe_and_fault_latch_and_refuse_to_arm(mode: str) -> None:
    for latch in (emitting(), confirmed()):
        assert turn(latch, 3.0, mode, PAUSE).phase is Phase.LATCHED
    with pytest.raises(RefusedError, match=f"the station is in {mode}"):
        arm(Latch(), 0.0, "operator", mode, (), None)


def test_an_unknown_mode_refuses_to_arm() -> None:
    with pytest.raises(RefusedError, match="no known mode"):
        arm(Latch(), 0.0, "operator", "", (), None)


def test_a_confirmation_comes_from_the_same_hand_and_in_time() -> None:
    latch = arm(Latch(), 0.0, "operator", "POINT", (), None)
    with pytest.raises(RefusedError, match="armed by operator"):
        confirm(latch, 1.0, "somebody")
    with pytest.raises(RefusedError, match="arm again"):
        confirm(latch, CONFIRM_WINDOW_S + 0.1, "operator")
    assert turn(latch, CONFIRM_WINDOW_S + 0.1, "POINT", PAUSE).phase is Phase.LOCKED


def test_a_consent_grows_old() -> None:
    assert turn(emitting(), 1.0 + CONSENT_S, "FINE", YES).phase is Phase.EMITTING
    assert turn(emitting(), 1.1 + CONSENT_S, "FINE", YES).phase is Phase.LOCKED


def test_a_locked_rig_is_never_armed() -> None:
    with pytest.raises(RefusedError, match="emission is locked: a real laser with an emulated gimbal"):
        arm(Latch(), 0.0, "operator", "FINE", ("a real laser with an emulated gimbal",), None)


def test_arming_while_emitting_is_refused() -> None:
    with pytest.raises(RefusedError, match="emitting"):
        arm(emitting(), 3.0, "operator", "FINE", (), None)


def test_disarming_locks_and_leaves_a_trip_as_it_is() -> None:
    assert disarm(emitting(), 3.0, "operator").phase is Phase.LOCKED
    assert disarm(turn(emitting(), 3.0, "FINE", NO), 4.0, "operator").phase is Phase.LATCHED
