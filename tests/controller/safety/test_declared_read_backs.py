"""Key, divergence and shutter: silent where the rig has none, a vote where it declares one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.safety.inputs import Reading
from controller.safety.limits import Limits
from controller.safety.votes import VOTERS
from hal.drivers import DRIVERS, READ_BACKS
from hal.rig import DEVICES, load_rig
from hal.traits import ShutterStatus

SHIPPED = Path(__file__).parents[3] / "controller" / "data" / "rigs" / "ogs.toml"
URAD = 1e-6
WELL = {"key_on": True, "divergence_rad": 80 * URAD}


@pytest.fixture
def declared(good: Any) -> Any:
    return replace(good.limits, reads_back=frozenset(READ_BACKS), divergence_rad=80 * URAD)


def reading(inputs: Any, **fields: Any) -> Any:
    """The inputs with a laser that reads these back."""
    return replace(inputs, laser=replace(inputs.laser, body=replace(inputs.laser.body, **{**WELL, **fields})))


def on(inputs: Any, enabled_s: float = 10.0, commanded_s: float | None = 9.9) -> Any:
    return replace(inputs, enabled_s=enabled_s, commanded_s=commanded_s)


@pytest.mark.parametrize("name", READ_BACKS)
def test_what_the_rig_does_not_declare_has_nothing_to_say(good: Any, name: str) -> None:
    opinion = VOTERS[name](replace(good.inputs(), laser=None), good.limits)
    assert (opinion.ok, opinion.reason) == (True, f"the rig declares no {name}")


@pytest.mark.parametrize("name", READ_BACKS)
def test_what_is_declared_votes_and_is_a_no_when_missing_stale_or_not_read_back(
    good: Any, declared: Any, name: str
) -> None:
    vote, inputs = VOTERS[name], reading(good.inputs())
    assert vote(inputs, declared).ok
    assert not vote(replace(inputs, laser=None), declared).ok
    assert not vote(replace(inputs, laser=replace(inputs.laser, age_s=0.36)), declared).ok
    unread = vote(good.inputs(), declared)
    assert not unread.ok
    assert f"the laser does not read its {name} back" in unread.reason


def test_a_key_that_is_off_is_a_trip(good: Any, declared: Any) -> None:
    opinion = VOTERS["key"](reading(good.inputs(), key_on=False), declared)
    assert (opinion.ok, opinion.orderly, opinion.reason) == (False, False, "off")


@pytest.fixture
def with_shutter(good: Any) -> Any:
    return replace(good.limits, shutter=True)


def stands(inputs: Any, state: Any, tripped: bool = False, age_s: float = 0.1, simulated: bool = False) -> Any:
    """The inputs with a shutter that stands so."""
    return replace(inputs, shutter=Reading(ShutterStatus(0, state, tripped), age_s, simulated))


@pytest.mark.parametrize(
    ("enabled_s", "commanded_s", "state", "ok"),
    [
        (None, None, "closed", True),
        (None, None, "open", False),
        (None, None, "unknown", False),
        (0.1, None, "closed", True),
        (0.1, None, "unknown", True),
        (0.31, None, "closed", False),
        (0.1, 0.05, "closed", False),
        (10.0, 9.9, "open", True),
        (10.0, 9.9, "closed", False),
        (10.0, 9.9, "unknown", False),
    ],
)
def test_a_shutter_follows_the_enable_line_in_its_time(
    good: Any, with_shutter: Any, enabled_s: float | None, commanded_s: float | None, state: str, ok: bool
) -> None:
    inputs = replace(stands(good.inputs(), state), enabled_s=enabled_s, commanded_s=commanded_s)
    assert VOTERS["shutter"](inputs, with_shutter).ok is ok


def test_a_rig_without_a_shutter_is_complete(good: Any) -> None:
    opinion = VOTERS["shutter"](good.inputs(), good.limits)
    assert (opinion.ok, opinion.reason) == (True, "the rig has no shutter")


def test_a_shutter_that_is_missing_stale_or_tripped_is_a_no(good: Any, with_shutter: Any) -> None:
    vote, inputs = VOTERS["shutter"], good.inputs()
    assert vote(stands(inputs, "closed"), with_shutter).ok
    assert not vote(inputs, with_shutter).ok
    assert not vote(stands(inputs, "closed", age_s=0.36), with_shutter).ok
    tripped = vote(stands(inputs, "closed", tripped=True), with_shutter)
    assert (tripped.ok, tripped.reason) == (False, "its interlock has tripped")


def test_an_emulated_shutter_never_counts_towards_a_real_laser(good: Any, with_shutter: Any) -> None:
    real = replace(with_shutter, laser_emulated=False)
    inputs = stands(good.inputs(), "closed", simulated=True)
    assert "shutter" in VOTERS["real_or_emulated"](inputs, real).reason


@pytest.mark.parametrize(("measured_urad", "ok"), [(80.0, True), (72.1, True), (71.9, False), (float("nan"), False)])
def test_a_beam_narrower_than_the_zones_rest_on_is_a_no(
    good: Any, declared: Any, measured_urad: float, ok: bool
) -> None:
    inputs = reading(good.inputs(), divergence_rad=measured_urad * URAD)
    assert VOTERS["divergence"](inputs, declared).ok is ok


def test_the_shipped_rig_declares_the_key_that_its_driver_reads() -> None:
    rig = load_rig(SHIPPED, dict.fromkeys(DEVICES, ""))
    limits = Limits.from_rig(rig, True)
    assert limits.reads_back == {"key"} == set(DRIVERS["itc4000"].reads_back)
    assert limits.divergence_rad == pytest.approx(80 * URAD)
