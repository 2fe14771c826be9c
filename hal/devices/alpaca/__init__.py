"""ASCOM Alpaca: telescopes behind somebody else's web server."""

from hal.devices.alpaca.telescope import Alpaca, stop_axes

__all__ = ["Alpaca", "stop_axes"]
