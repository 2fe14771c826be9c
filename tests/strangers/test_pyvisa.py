"""pyvisa-py's own resource manager, without any code of ours on the host side, queries the emulated instruments."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import pyvisa

from controller.services.lockstep import Lockstep
from hal.clock import RealClock
from sim_hw.devices.itc4000 import Itc4000
from sim_hw.devices.pm100d import Pm100d
from sim_hw.devices.scpi import Exchange
from sim_hw.timeline import Timeline
from sim_hw.wires.memory_usb import MemoryUsbBackend, as_default_backend
from sim_hw.wires.rawsocket import RawSocketServer
from sim_hw.wires.reactor import Reactor

pytestmark = pytest.mark.stranger


class Plant:
    """Light for both instruments."""

    def __init__(self) -> None:
        self.enable_line = True
        self.on_enable_change: list[Callable[[bool], None]] = []
        self.current_a = 0.0

    def set_laser(self, output_on: bool, current_a: float) -> None:
        self.current_a = current_a if output_on else 0.0

    def laser_power_w(self) -> float:
        return self.current_a

    def received_power_w(self) -> float:
        return 1e-3 * self.current_a


@pytest.fixture
def usb() -> Iterator[pyvisa.ResourceManager]:
    timeline, plant = Timeline(), Plant()
    backend = MemoryUsbBackend(Lockstep(timeline))
    backend.plug("laser", Itc4000(timeline, plant).usb())
    backend.plug("power_meter", Pm100d(timeline, plant, np.random.default_rng(1)).usb())
    with as_default_backend(backend):
        yield pyvisa.ResourceManager("@py")


@pytest.fixture
def lan() -> Iterator[str]:
    """A power meter on a raw socket, in real time."""
    timeline, stop = Timeline(), threading.Event()
    reactor = Reactor(timeline, RealClock())
    meter = Pm100d(timeline, Plant(), np.random.default_rng(1))
    server = RawSocketServer(reactor, Exchange(timeline, meter.scpi))
    thread = threading.Thread(target=reactor.run, args=(stop.is_set,))
    thread.start()
    yield server.resource
    stop.set()
    thread.join()
    server.close()
    reactor.close()


def test_pyvisa_finds_both_instruments_by_their_usb_identity(usb: pyvisa.ResourceManager) -> None:
    from pyvisa_py.usb import USBInstrSession  # the manager's own list would broadcast on the network as well

    found = USBInstrSession.list_resources()
    assert set(found) == {"USB0::4883::32842::M00404162::0::INSTR", "USB0::4883::32888::P0009084::0::INSTR"}


def test_pyvisa_runs_a_laser_and_reads_a_power_meter_over_usbtmc(usb: pyvisa.ResourceManager) -> None:
    with (
        usb.open_resource("USB0::0x1313::0x804a::M00404162::INSTR") as laser,
        usb.open_resource("USB0::0x1313::0x8078::P0009084::INSTR") as meter,
    ):
        assert laser.query("*IDN?").startswith("Thorlabs,ITC4005,")
        laser.write("SOUR:CURR:LIM 1.2")
        laser.write("SOUR:CURR 1 A;:OUTP ON")
        assert laser.query("*OPC?").strip() == "1"
        assert laser.query_ascii_values("SOUR:CURR?") == [1.0]
        meter.write("SENS:CORR:WAV 1550;:SENS:POW:RANG:AUTO ON")
        assert meter.query_ascii_values("MEAS:POW?")[0] == pytest.approx(1e-3, rel=1e-3)
        assert meter.query("SYST:ERR?").strip() == '+0,"No error"'


def test_pyvisa_times_out_on_an_unknown_query_and_then_reads_why(usb: pyvisa.ResourceManager) -> None:
    with usb.open_resource("USB0::0x1313::0x8078::P0009084::INSTR") as meter:
        meter.timeout = 50
        with pytest.raises(pyvisa.errors.VisaIOError) as told:
            meter.query("NO:SUCH?")
        assert told.value.error_code == pyvisa.constants.StatusCode.error_timeout
        assert meter.query("SYST:ERR?").startswith('-113,"Undefined header')


def test_pyvisa_queries_a_raw_socket(lan: str) -> None:
    manager = pyvisa.ResourceManager("@py")
    with manager.open_resource(lan, read_termination="\n", write_termination="\n") as meter:
        assert meter.query("*IDN?") == "Thorlabs,PM100D,P0009084,2.4.0"
        assert meter.query("SENS:CORR:WAV 1310;WAV?") == "1.31000000E+03"
