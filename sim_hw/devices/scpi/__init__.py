"""One SCPI core for every emulated instrument, free of any transport.

Written from IEEE 488.2-1992 (message exchange, status byte, common commands) and SCPI-1999 volume 1 (headers,
parameters) and volume 2 chapter 21 (error numbers).
"""

from sim_hw.devices.scpi.core import Scpi
from sim_hw.devices.scpi.errors import ScpiError
from sim_hw.devices.scpi.exchange import Exchange
from sim_hw.devices.scpi.status import Register
from sim_hw.devices.scpi.values import Choice, Number, boolean, nr3

__all__ = ["Choice", "Exchange", "Number", "Register", "Scpi", "ScpiError", "boolean", "nr3"]
