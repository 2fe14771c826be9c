"""The library newportxps drives the emulated XPS over TCP, with its dynamics on.

It reads the groups of a controller from a file by FTP, at a port that it does not let anybody choose. That file is
given to it here; every call on the controller's own port is the library's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from reactor_loop import Loop

from hal.clock import NS, RealClock
from sim_hw.devices.xps import Xps
from sim_hw.timeline import Timeline
from sim_hw.wires.tcp import TcpSessions

pytestmark = pytest.mark.stranger
SYSTEM_INI = """[GENERAL]
BootScriptFileName =
[GROUPS]
SingleAxisInUse = Group1
[Group1]
PositionerInUse = Pos
[Group1.Pos]
PlugNumber = 1
StageName = MFA-CC
""".splitlines()


class GivenFile:
    """The controller's FTP server, as far as the library asks it."""

    def __init__(self, **_: object) -> None:
        pass

    def connect(self, **_: object) -> None:
        pass

    def cwd(self, _: str) -> None:
        pass

    def getlines(self, _: str) -> list[str]:
        return SYSTEM_INI

    def close(self) -> None:
        pass


@dataclass
class Bench:
    unit: Xps
    host: Any  # the library's
    port: int
    drivers: ModuleType


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, package: Callable[[str], ModuleType]) -> Iterator[Bench]:
    library, drivers = package("newportxps.newportxps"), package("newportxps.XPS_C8_drivers")
    monkeypatch.setattr(library, "FTPWrapper", GivenFile)
    timeline = Timeline()
    with Loop(timeline) as loop:
        unit = Xps(timeline)
        server = loop.call(lambda: TcpSessions(loop.reactor, unit.another))
        host = library.NewportXPS("127.0.0.1", port=server.port)
        yield Bench(unit, host, server.port, drivers)
        host.disconnect()
        loop.call(server.close)


def homed(host: Any) -> Any:
    host.initialize_group("Group1")
    host.home_group("Group1")  # returns when it is there
    return host


def test_it_knows_the_controller_its_group_and_its_limits(bench: Bench) -> None:
    assert bench.host.firmware_version == "XPS-C8 Firmware V2.6.0"
    assert bench.host.groups["Group1"]["positioners"] == ["Pos"]
    assert bench.host.stages["Group1.Pos"]["low_limit"] == 0.0
    assert bench.host.stages["Group1.Pos"]["high_limit"] == 50.0
    assert bench.host.get_group_status() == {"Group1": "Not initialized state"}


def test_it_initialises_homes_moves_and_reads_the_position(bench: Bench) -> None:
    host = homed(bench.host)
    assert host.get_group_status() == {"Group1": "Ready state from homing"}
    host.set_velocity("Group1.Pos", 8.0)
    host.move_stage("Group1.Pos", 3.0)  # returns when it is there
    assert host.get_stage_position("Group1.Pos") == pytest.approx(3.0, abs=1e-6)
    host.move_stage("Group1.Pos", -1.0, relative=True)
    assert host.get_stage_position("Group1.Pos") == pytest.approx(2.0, abs=1e-6)
    host.disable_group("Group1")
    assert host.get_group_status() == {"Group1": "Disabled state"}
    host.enable_group("Group1")


def test_it_maps_every_error_to_its_number_and_its_words(bench: Bench) -> None:
    with pytest.raises(bench.drivers.XPSException, match=r"Not allowed action \[Error -22\]"):
        bench.host.move_stage("Group1.Pos", 3.0)
    host = homed(bench.host)
    with pytest.raises(bench.drivers.XPSException, match=r"Parameter out of range or incorrect \[Error -17\]"):
        host.move_stage("Group1.Pos", 51.0)
    assert host._xps.GroupStatusGet(host._sid, "Nothing")[0] == -19
    assert host._xps.PositionerErrorGet(host._sid, "Group1.No")[0] == -18


def test_a_second_connection_asks_and_aborts_while_the_first_waits_for_its_motion(bench: Bench) -> None:
    host, errors = homed(bench.host), []

    def move() -> None:
        try:
            host.move_stage("Group1.Pos", 50.0)
        except bench.drivers.XPSException as error:
            errors.append(str(error))

    mover = threading.Thread(target=move)
    mover.start()
    other = bench.drivers.XPS()
    connection = other.TCP_ConnectToServer("127.0.0.1", bench.port, 5)
    until(lambda: other.GroupStatusGet(connection, "Group1")[1] == 44)
    assert other.GroupMoveAbort(connection, "Group1")[0] == 0
    mover.join(10)
    assert len(errors) == 1
    assert "Move aborted [Error -27]" in errors[0]
    assert other.GroupStatusStringGet(connection, 10)[1] == "Ready state due to an AbortMove command"
    assert other.GroupPositionCurrentGet(connection, "Group1.Pos", 1)[1] < 50.0
    other.TCP_CloseSocket(connection)


def until(so: Callable[[], bool]) -> None:
    clock = RealClock()
    end_ns = clock.now_ns() + 10 * NS
    while not so():
        assert clock.now_ns() < end_ns
