"""The rotators that can stand for the gimbal of a bench, by the names that rig files call them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sim_hw.devices.alpaca import Alpaca
from sim_hw.devices.easycomm import EasyComm
from sim_hw.devices.easycomm_standard import EasyCommStandard
from sim_hw.devices.flir_ptu import FlirPtu
from sim_hw.devices.gs232 import Gs232
from sim_hw.devices.indi import Indi
from sim_hw.devices.ioptron import IOptron
from sim_hw.devices.lx200 import Lx200
from sim_hw.devices.pelco_d import PelcoD
from sim_hw.devices.rotctld import Rotctld
from sim_hw.devices.skywatcher import SkyWatcher
from sim_hw.devices.spid import Spid
from sim_hw.wires.contract import SerialDevice

#: Called with Timeline, Mount, `rate_max_rad_s` and `acceleration_max_rad_s2`.
ROTATORS: dict[str, Callable[..., SerialDevice]] = {
    "alpaca": Alpaca,
    "easycomm": EasyComm,
    "easycomm2": partial(EasyCommStandard, level=2),
    "easycomm3": partial(EasyCommStandard, level=3),
    "gs232a": partial(Gs232, dialect="A"),
    "gs232b": partial(Gs232, dialect="B"),
    "rot1prog": partial(Spid, model="rot1prog"),
    "rot2prog": partial(Spid, model="rot2prog"),
    "rotctld": Rotctld,
    "indi": Indi,
    "skywatcher": SkyWatcher,
    "lx200": Lx200,
    "pelco_d": PelcoD,
    "flir_ptu": FlirPtu,
    "ioptron": IOptron,
    "md01": partial(Spid, model="md01"),
}
