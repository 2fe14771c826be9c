"""Every reader of positions and elements, as `boresight` finds it by the content of a file."""

from __future__ import annotations

import struct
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import erfa
import numpy as np
from fuzz_target import Feed, Target

from controller.errors import BoresightError
from controller.pointing.ephemeris import opm
from controller.pointing.ephemeris.bodies import read_kernel
from controller.pointing.ephemeris.files import parse_ephemerides

ROWS = range(4)
OEM = "\n".join(
    (
        "CCSDS_OEM_VERS = 2.0",
        "META_START\nOBJECT_NAME = A\nCENTER_NAME = EARTH\nREF_FRAME = EME2000\nTIME_SYSTEM = TDB",
        "INTERPOLATION = HERMITE\nINTERPOLATION_DEGREE = 7\nMETA_STOP",
        *(f"2026-01-01T00:0{i}:00 {7000 + i} {i} 0 0 7.5 0" for i in ROWS),
        "COVARIANCE_START\nEPOCH = 2026-01-01T00:00:00\nCOV_REF_FRAME = RTN\n1\n2 3\n4 5 6\nCOVARIANCE_STOP\n",
    )
)
OEM_XML = (
    "<oem id='CCSDS_OEM_VERS' version='2.0'><body><segment><metadata><OBJECT_NAME>A</OBJECT_NAME>"
    "<CENTER_NAME>EARTH</CENTER_NAME><REF_FRAME>ICRF</REF_FRAME><TIME_SYSTEM>UTC</TIME_SYSTEM></metadata><data>"
    + "".join(
        f"<stateVector><EPOCH>2026-01-01T00:0{i}:00</EPOCH><X>7000</X><Y>{i}</Y><Z>0</Z><X_DOT>0</X_DOT>"
        "<Y_DOT>7.5</Y_DOT><Z_DOT>0</Z_DOT></stateVector>"
        for i in ROWS
    )
    + "</data></segment></body></oem>"
)
OPM = (
    "CCSDS_OPM_VERS = 2.0\nOBJECT_NAME = A\nCENTER_NAME = EARTH\nREF_FRAME = GCRF\nTIME_SYSTEM = UTC\n"
    "EPOCH = 2026-01-01T00:00:00\nX = 7000\nY = 0\nZ = 0\nX_DOT = 0\nY_DOT = 7.5\nZ_DOT = 1\nCX_X = 1\n"
)
CPF = (
    "H1 CPF 2 TST 2026 1 1 0 1 1 ariel\nH2 1 2 3 2026 1 1 0 0 0 2026 1 1 0 9 0 60 1 1 0 0 0 1\nH9\n"
    + "".join(f"10 0 61041 {60 * i}.000000 0 7000000.0 {7000.0 * i} 1.0\n" for i in ROWS)
    + "99\n"
)
OMM = (
    "CCSDS_OMM_VERS = 2.0\nOBJECT_NAME = A\nEPOCH = 2026-01-01T00:00:00\nMEAN_MOTION = 15.5\nECCENTRICITY = .001\n"
    "INCLINATION = 51\nRA_OF_ASC_NODE = 1\nARG_OF_PERICENTER = 2\nMEAN_ANOMALY = 3\nNORAD_CAT_ID = 5\nBSTAR = 0\n"
    "MEAN_MOTION_DOT = 0\nMEAN_MOTION_DDOT = 0\n"
)
OMM_JSON = (
    '[{"OBJECT_NAME":"A","EPOCH":"2026-01-01T00:00:00","MEAN_MOTION":15.5,"ECCENTRICITY":0.1,"INCLINATION":1,'
    '"RA_OF_ASC_NODE":1,"ARG_OF_PERICENTER":2,"MEAN_ANOMALY":3,"BSTAR":0,"MEAN_MOTION_DOT":0,"MEAN_MOTION_DDOT":0}]'
)
OMM_CSV = (
    "OBJECT_NAME,EPOCH,MEAN_MOTION,ECCENTRICITY,INCLINATION,RA_OF_ASC_NODE,ARG_OF_PERICENTER,MEAN_ANOMALY,"
    "NORAD_CAT_ID,BSTAR,MEAN_MOTION_DOT,MEAN_MOTION_DDOT\nA,2026-01-01T00:00:00,15.5,0.1,1,1,2,3,5,0,0,0\n"
)
STATES = "# frame = GCRF\nt_utc,x_m,y_m,z_m,vx_m_s,vy_m_s,vz_m_s,sigma_m\n" + "".join(
    f"2026-01-01T00:0{i}:00,7e6,{i},0,0,7500,0,10\n" for i in ROWS
)
DESCRIBED = '[target]\nkind = "site"\nbody = "mars"\nlatitude_deg = 4.6\nlongitude_deg = 137.4\nheight_m = -4500\n'
SP3 = (
    "#dV2026  1  1  0  0  0.00000000       4 ORBIT IGS20 FIT TST\n## 2400 0 60 61041 0\n%c L  cc GPS ccc\n"
    + "".join(
        f"*  2026  1  1  0  {i}  0.00000000\nPL52   7000.000000 {i:13.6f}      1.000000\nVL52      0.000000  75000.0"
        "      0.0      \n"
        for i in ROWS
    )
    + "EOF\n"
)
SOONER_S = 60.0  # an OPM is carried on for this long here: the integration is the same every step, and slow


def kernel() -> bytes:
    """An SPK of one segment of type 2 with one record (NAIF's DAF and SPK required reading)."""
    head = struct.pack("<8sII60sIII8s", b"DAF/SPK ", 2, 6, b"TEST", 2, 2, 400, b"LTL-IEEE").ljust(1024, b"\0")
    head = head[:699] + b"FTPSTR:\r:\n:\r\n:\r\x00:\x81:\x10\xce:ENDFTP" + head[727:]
    summary = struct.pack("<3d", 0, 0, 1) + struct.pack("<2d6i", -1e6, 1e6, 301, 3, 1, 2, 385, 399)
    words = (0.0, 1e6, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, -1e6, 2e6, 11.0, 1.0)
    return head[:1024] + summary.ljust(1024, b"\0") + b"segment".ljust(1024) + struct.pack(f"<{len(words)}d", *words)


def file(format_of_it: str) -> Callable[[], Feed]:
    """The readers behind `load_ephemerides`; what is accepted is asked for a position, too."""

    def made() -> Feed:
        sooner = partial(opm.carried_on, reach_s=SOONER_S)

        def feed(data: bytes) -> None:
            before = opm.carried_on
            opm.carried_on = sooner  # type: ignore[assignment]
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    warnings.simplefilter("ignore", erfa.ErfaWarning)  # years whose leap seconds nobody has announced
                    for target in parse_ephemerides(data, format_of_it):
                        middle = np.array([(target.start_utc_ns + target.end_utc_ns) // 2])
                        if target.known(middle).all():
                            target.position_m(middle)
            finally:
                opm.carried_on = before

        return feed

    return made


def kernel_file() -> Feed:
    path = Path(tempfile.mkdtemp(prefix="boresight-fuzz-")) / "kernel.bsp"

    def feed(data: bytes) -> None:
        path.write_bytes(data)
        read_kernel(path)

    return feed


SEEDS = {
    "oem": [OEM],
    "oem xml": [OEM_XML],
    "opm": [OPM],
    "cpf": [CPF],
    "omm": [OMM, OMM_JSON, OMM_CSV],
    "states": [STATES],
    "described target": [DESCRIBED],
    "sp3": [SP3],
}
SLOW = 20  # some 0.2 ms an input: CI feeds these a twentieth, the campaign feeds them as the others
EPHEMERIDES = (
    *(
        Target(name, file(name), [text.encode() for text in texts], (BoresightError,), slow=SLOW)
        for name, texts in SEEDS.items()
    ),
    Target("spk kernel", kernel_file, [kernel()], (BoresightError,), slow=SLOW),
)
