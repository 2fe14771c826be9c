"""What the emulated bench leaves out. Shown in every simulated report; docs/not-modelled.md is this list."""

from __future__ import annotations

_LIST = """
Wavefront beyond tilt: turbulence moves the spot and makes it twinkle; it does not break it up. Fibre coupling
therefore loses less than it would without adaptive optics.

Scintillation on the uplink: the satellite sees a steady beam inside the capture radius; in truth the uplink fades
more than the downlink.

The satellite's own pointing: it answers whenever it is lit, and its beam is on us at once; a real terminal has an
acquisition of its own, a field of view and jitter.

Flexure and temperature: the mount's errors are rigid terms, worm, play, friction and wind. The tube does not sag,
focus stays, and so does the angle between camera and quad cell.

Stray light: the tracking camera's background is constant; there is no gradient near Sun or Moon, no dome, no shutter
that is closed.

Cloud as more than a factor: a cloud is a window of time with a transmission; it has no shape, edge or scattering.

Dispersion inside a band: each wavelength has one refraction; the beacon's line and the star filter have no width.

Air for radio waves: an antenna's path is bent as for light; vapour bends radio more, 10 hPa of it by 0.03
degrees at 5 degrees of elevation.

Detector defects: the camera has shot and read noise and saturates; it has no hot pixels, no smear and no lag.

Cables and computers: lines are paced and devices are late as stated, but a byte is lost only when a fault says so;
in lockstep, computing takes no time.

Modulation: received power is all there is of the link: no bits, no coding, no clock recovery.
"""


def _items() -> tuple[tuple[str, str], ...]:
    pairs = (" ".join(paragraph.split()).split(": ", 1) for paragraph in _LIST.strip().split("\n\n"))
    return tuple((name, text[0].upper() + text[1:]) for name, text in pairs)


UNMODELLED: tuple[tuple[str, str], ...] = _items()
