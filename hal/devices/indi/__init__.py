"""A telescope behind an INDI server, whatever its own protocol is."""

from hal.devices.indi.telescope import Indi, stop_axes

__all__ = ["Indi", "stop_axes"]
