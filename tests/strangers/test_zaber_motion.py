"""Zaber's own library, zaber-motion, drives the emulated stage over TCP and serial, with checksums and dynamics on."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from reactor_loop import Loop

from sim_hw.devices.zaber import MICROSTEP_MM, Zaber
from sim_hw.timeline import Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort
from sim_hw.wires.tcp import TcpServer

pytestmark = pytest.mark.stranger
END = round(50.8 / MICROSTEP_MM)


@pytest.fixture(scope="module")
def library(package: Callable[[str], ModuleType]) -> ModuleType:
    """It calls back from a thread of its own, which is there from its first connection until the end."""
    library = package("zaber_motion.ascii")
    port = library.Connection.open_tcp
    with socket.create_server(("127.0.0.1", 0)) as server, port("127.0.0.1", server.getsockname()[1]):
        server.accept()[0].close()
    return library


@pytest.fixture(scope="module")
def refused(library: ModuleType, package: Callable[[str], ModuleType]) -> ModuleType:
    """Its exceptions."""
    return package("zaber_motion.exceptions")


@dataclass
class Bench:
    unit: Zaber
    axis: Any  # the library's
    flags: Any


@contextmanager
def connected(library: ModuleType, wire: str) -> Iterator[Bench]:
    timeline = Timeline()
    with Loop(timeline) as loop:
        unit = Zaber(timeline)
        if wire == "tcp":
            server = loop.call(lambda: TcpServer(loop.reactor, unit))
            opened = library.Connection.open_tcp("127.0.0.1", server.port)
        else:
            server = loop.call(lambda: PtyPort(SerialLine(timeline, unit, 115_200), loop.reactor))
            opened = library.Connection.open_serial_port(server.path)
        with opened as connection:
            connection.checksum_enabled = True
            # Without its data base, which is on its maker's server, a device is not identified: its units are counts.
            (device,) = connection.detect_devices(identify_devices=False)
            device.generic_command("set comm.checksum 1")
            yield Bench(unit, device.get_axis(1), library.WarningFlags)
        loop.call(server.close)


@pytest.fixture
def bench(library: ModuleType) -> Iterator[Bench]:
    with connected(library, "tcp") as bench:
        yield bench


def test_it_homes_and_moves_over_a_serial_line_at_its_baud_rate(library: ModuleType) -> None:
    with connected(library, "serial") as bench:
        bench.axis.home()
        bench.axis.move_absolute(40_000)
        assert bench.axis.get_position() == 40_000
        assert bench.unit.carriage.true_mm == pytest.approx(40_000 * MICROSTEP_MM)


def test_it_finds_the_device_and_reads_its_settings(bench: Bench) -> None:
    settings = bench.axis.settings
    assert (settings.get("limit.min"), settings.get("limit.max"), settings.get("resolution")) == (0, END, 64)
    assert bench.axis.device.device_address == 1
    assert bench.axis.device.generic_command("get system.axiscount").data == "1"


def test_it_homes_moves_and_reads_the_position(bench: Bench) -> None:
    assert not bench.axis.is_homed()
    assert bench.axis.warnings.get_flags() == {bench.flags.NO_REFERENCE_POSITION}
    bench.axis.home()  # returns when the axis is idle
    assert bench.axis.is_homed()
    assert bench.axis.get_position() == 0
    bench.axis.move_absolute(40_000)
    assert bench.axis.get_position() == 40_000
    bench.axis.move_relative(-1000)
    assert bench.axis.get_position() == 39_000
    bench.axis.move_absolute(0, wait_until_idle=False)
    assert bench.axis.is_busy()
    bench.axis.stop()
    assert 0 < bench.axis.get_position() < 39_000


def test_it_maps_every_refusal_to_its_exception(bench: Bench, refused: ModuleType) -> None:
    bench.axis.home()
    with pytest.raises(refused.BadDataException):
        bench.axis.move_absolute(END + 1)
    with pytest.raises(refused.BadCommandException):
        bench.axis.generic_command("no such thing")
    bench.axis.driver_disable()
    assert bench.flags.DRIVER_DISABLED_NO_FAULT in bench.axis.warnings.get_flags()
    with pytest.raises(refused.DriverDisabledException):
        bench.axis.move_absolute(1000)
    bench.axis.driver_enable()
    bench.axis.move_absolute(1000)


def test_it_sees_that_the_stage_does_not_move(bench: Bench, refused: ModuleType) -> None:
    bench.axis.home()
    bench.unit.conditions()["stuck"]({})
    with pytest.raises(refused.MovementFailedException, match="Stalled and Stopped"):
        bench.axis.move_absolute(END)
    assert bench.axis.get_position() == 0
