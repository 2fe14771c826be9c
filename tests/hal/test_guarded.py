"""A gimbal and its guardian as one device, on the emulated mount's pty."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np
import pytest

from controller.services.lockstep import Lockstep
from hal.devices.nexstar import NexStar
from hal.errors import DeviceError, ResourceError, WireTimeout
from hal.guarded import GuardedGimbal, open_gimbal
from hal.rig import DEVICES, Rig, load_rig
from sim_hw.devices.nexstar import NexStar as EmulatedNexStar
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.memory_serial import serving


@pytest.fixture
def rig(mount: Any, pytestconfig: pytest.Config) -> Rig:
    addresses = {device: f"none://{device}" for device in DEVICES} | {"gimbal": mount.port.resource}
    return load_rig(pytestconfig.rootpath / "controller/data/rigs/ogs.toml", addresses)


def test_closing_stops_the_mount_and_dismisses_the_guardian(mount: Any, rig: Rig) -> None:
    gimbal = open_gimbal(rig, mount.clock)
    assert isinstance(gimbal, GuardedGimbal)
    gimbal.set_rate(0.02, -0.01)
    assert mount.wait_for(moving=True, seconds=2)
    assert gimbal.position().elevation_rad == pytest.approx(mount.angle[1], abs=0.01)
    gimbal.stop()
    assert mount.wait_for(moving=False, seconds=1)
    gimbal.set_rate(0.02, -0.01)
    gimbal.close()

    assert mount.wait_for(moving=False, seconds=1)
    assert not gimbal._guardian.alive


def test_without_its_guardian_the_mount_does_not_move(mount: Any, rig: Rig) -> None:
    gimbal = open_gimbal(rig, mount.clock)
    assert isinstance(gimbal, GuardedGimbal)
    gimbal.set_rate(0.02, -0.01)
    assert mount.wait_for(moving=True, seconds=2)
    os.kill(gimbal._guardian.pid, signal.SIGKILL)
    while gimbal._guardian.alive:
        pass
    with pytest.raises(DeviceError, match="its guardian process is gone, so it was stopped"):
        gimbal.set_rate(0.02, -0.01)

    assert mount.wait_for(moving=False, seconds=1)
    gimbal.close()


def test_a_stop_that_is_not_acknowledged_is_left_to_the_guardian(
    mount: Any, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    gimbal = open_gimbal(rig, mount.clock)
    assert isinstance(gimbal, GuardedGimbal)
    gimbal.set_rate(0.02, -0.01)
    assert mount.wait_for(moving=True, seconds=2)

    def fail(self: NexStar) -> None:
        raise WireTimeout("gimbal: no acknowledgement.")

    monkeypatch.setattr(NexStar, "stop", fail)
    gimbal.close()

    assert mount.wait_for(moving=False, seconds=1)
    assert not gimbal._guardian.alive


def test_in_simulated_time_there_is_no_guardian(mount: Any, pytestconfig: pytest.Config) -> None:
    timeline = Timeline()
    lockstep = Lockstep(timeline)
    line = SerialLine(timeline, EmulatedNexStar(timeline, mount, np.random.default_rng(1)), 9600)
    addresses = {device: f"none://{device}" for device in DEVICES} | {"gimbal": "simhw://guarded"}
    rig = load_rig(pytestconfig.rootpath / "controller/data/rigs/ogs.toml", addresses)
    with serving({"guarded": line}, lockstep):
        gimbal = open_gimbal(rig, lockstep)
        assert isinstance(gimbal, NexStar)
        gimbal.close()


def test_a_gimbal_whose_guardian_does_not_start_is_closed_again(
    rig: Rig, mount: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("hal.guardian.sys.executable", "/bin/false")
        with pytest.raises(ResourceError, match="may not move without one"):
            open_gimbal(rig, mount.clock)
    gimbal = open_gimbal(rig, mount.clock)  # the port is free
    gimbal.close()
