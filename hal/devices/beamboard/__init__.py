"""Our own beam board: steering mirror, quad cell, point-ahead element, emission enable line, 10 kHz loop in firmware.

The protocol is described in firmware/core/bs_frame.h (frames) and by the board itself (its data dictionary).
"""

from hal.devices.beamboard.board import BeamBoard

__all__ = ["BeamBoard"]
