"""Every rotator family: its emulator, its driver and its line, for tests that hold for all of them alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ideal_axes import IdealAxes

from hal.clock import Clock
from hal.devices import (
    alpaca,
    easycomm_standard,
    flir_ptu,
    gs232,
    indi,
    ioptron,
    lx200,
    pelco_d,
    rotctld,
    skywatcher,
    spid,
)
from hal.wires.stream import StreamWire
from sim_hw.devices.rotators import ROTATORS
from sim_hw.timeline import Timeline
from sim_hw.wires.line import UNPACED_BAUD

LIMITS = {"rate_max_rad_s": 0.1, "acceleration_max_rad_s2": 0.2}


@dataclass(frozen=True)
class Family:
    """How a driver and its emulator are made, and the baud rate of the line between them."""

    emulator: Callable[[Timeline, IdealAxes], Any]
    driver: Callable[..., Any]
    baud: int
    stop_axes: Callable[[StreamWire, Clock], None]
    elevation: bool = True  # it has that axis
    connects: bool = False  # whoever comes has a connection of its own

    def open(self, resource: str, clock: Clock, baud: int | None = None, **more: Any) -> Any:
        return self.driver(resource, baud or self.baud, clock, command_latency_s=0.05, **LIMITS, **more)


def _family(name: str, driver: Any, baud: int, stop_axes: Any, **more: bool) -> tuple[str, Family]:
    return name, Family(partial(ROTATORS[name], **LIMITS), driver, baud, stop_axes, **more)


FAMILIES = dict(
    (
        _family("easycomm2", easycomm_standard.EasyComm2, 9600, easycomm_standard.stop_axes),
        _family("easycomm3", easycomm_standard.EasyComm3, 9600, easycomm_standard.stop_axes),
        _family("gs232a", gs232.Gs232a, 9600, gs232.stop_axes),
        _family("gs232b", gs232.Gs232b, 1200, gs232.stop_axes),
        _family("rotctld", rotctld.Rotctld, 115_200, rotctld.stop_axes),
        _family("indi", indi.Indi, UNPACED_BAUD, indi.stop_axes),
        _family("alpaca", alpaca.Alpaca, 10_000_000, alpaca.stop_axes, connects=True),
        _family("skywatcher", skywatcher.SkyWatcher, 9600, skywatcher.stop_axes),
        _family("lx200", lx200.Lx200, 9600, lx200.stop_axes),
        _family("ioptron", ioptron.IOptron, 9600, ioptron.stop_axes),
        _family("flir_ptu", flir_ptu.FlirPtu, 9600, flir_ptu.stop_axes),
        _family("pelco_d", pelco_d.PelcoD, 2400, pelco_d.stop_axes),
        _family("rot1prog", spid.Rot1Prog, 1200, spid.stop_azimuth, elevation=False),
        _family("rot2prog", spid.Rot2Prog, 600, spid.stop_axes),
        _family("md01", spid.Md01, 9600, spid.stop_axes),
    )
)
