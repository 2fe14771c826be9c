"""A file of positions of a real satellite, without its elements."""

from __future__ import annotations

import numpy as np

from controller.pointing.elements import built_in_elements, find

START, STEP_S, ROWS = "2025-10-04T12:30:00", 30, 60


def starlink_oem(path, rows=ROWS):
    """STARLINK-1008 (over the OGS at 12:44 that day) as an OEM in TEME axes, half an hour long."""
    one = find(built_in_elements(), "STARLINK-1008")
    t = np.datetime64(START, "ns").astype(np.int64) + np.arange(rows, dtype=np.int64) * STEP_S * 10**9
    place = one.position_m(t) / 1e3
    lines = [
        f"{str(np.datetime64(int(when), 'ns'))[:23]} {x:.9f} {y:.9f} {z:.9f} 0 0 0"
        for when, (x, y, z) in zip(t, place, strict=True)
    ]
    head = (
        "CCSDS_OEM_VERS = 2.0\nCREATION_DATE = 2025-10-04T00:00:00\nORIGINATOR = T\nMETA_START\nOBJECT_NAME = STAR\n"
        "CENTER_NAME = EARTH\nREF_FRAME = TEME\nTIME_SYSTEM = UTC\nINTERPOLATION = LAGRANGE\nINTERPOLATION_DEGREE = 9\n"
        "META_STOP\n"
    )
    path.write_text(head + "\n".join(lines) + "\n")
    return path
