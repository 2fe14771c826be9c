# ruff: noqa: E501, PT017 (files within lines; damage may also be harmless)
"""Damaged ephemeris files: whatever comes of them, it is positions or one sentence."""

from __future__ import annotations

import random
import warnings

import erfa
import numpy as np
import pytest

from controller.errors import BoresightError
from controller.pointing.ephemeris.files import load_ephemerides

ROWS = range(8)
SEEDS = {
    "oem": "CCSDS_OEM_VERS = 2.0\nCREATION_DATE = 2026-01-01T00:00:00\nORIGINATOR = T\nMETA_START\nOBJECT_NAME = A\n"
    "CENTER_NAME = EARTH\nREF_FRAME = EME2000\nTIME_SYSTEM = TDB\nINTERPOLATION = HERMITE\nINTERPOLATION_DEGREE = 7\n"
    "META_STOP\n"
    + "".join(f"2026-01-01T00:0{i}:00 {7000 + i} {i} 0 0 7.5 0\n" for i in ROWS)
    + "COVARIANCE_START\nEPOCH = 2026-01-01T00:00:00\nCOV_REF_FRAME = RTN\n1\n2 3\n4 5 6\nCOVARIANCE_STOP\n",
    "oem xml": "<oem id='CCSDS_OEM_VERS' version='2.0'><body><segment><metadata><OBJECT_NAME>A</OBJECT_NAME>"
    "<CENTER_NAME>EARTH</CENTER_NAME><REF_FRAME>ICRF</REF_FRAME><TIME_SYSTEM>UTC</TIME_SYSTEM></metadata><data>"
    + "".join(
        f"<stateVector><EPOCH>2026-01-01T00:0{i}:00</EPOCH><X>7000</X><Y>{i}</Y><Z>0</Z><X_DOT>0</X_DOT>"
        "<Y_DOT>7.5</Y_DOT><Z_DOT>0</Z_DOT></stateVector>"
        for i in ROWS
    )
    + "</data></segment></body></oem>",
    "opm": "CCSDS_OPM_VERS = 2.0\nOBJECT_NAME = A\nCENTER_NAME = EARTH\nREF_FRAME = GCRF\nTIME_SYSTEM = UTC\n"
    "EPOCH = 2026-01-01T00:00:00\nX = 7000\nY = 0\nZ = 0\nX_DOT = 0\nY_DOT = 7.5\nZ_DOT = 1\nCX_X = 1\n",
    "cpf": "H1 CPF 2 TST 2026 1 1 0 1 1 ariel\nH2 1 2 3 2026 1 1 0 0 0 2026 1 1 0 9 0 60 1 1 0 0 0 1\nH9\n"
    + "".join(f"10 0 61041 {60 * i}.000000 0 7000000.0 {7000.0 * i} 1.0\n" for i in ROWS)
    + "99\n",
    "omm": "CCSDS_OMM_VERS = 2.0\nOBJECT_NAME = A\nEPOCH = 2026-01-01T00:00:00\nMEAN_MOTION = 15.5\nECCENTRICITY = .001\n"
    "INCLINATION = 51\nRA_OF_ASC_NODE = 1\nARG_OF_PERICENTER = 2\nMEAN_ANOMALY = 3\nNORAD_CAT_ID = 5\nBSTAR = 0\n"
    "MEAN_MOTION_DOT = 0\nMEAN_MOTION_DDOT = 0\n",
    "omm json": '[{"OBJECT_NAME":"A","EPOCH":"2026-01-01T00:00:00","MEAN_MOTION":15.5,"ECCENTRICITY":0.1,"INCLINATION":1,'
    '"RA_OF_ASC_NODE":1,"ARG_OF_PERICENTER":2,"MEAN_ANOMALY":3,"BSTAR":0,"MEAN_MOTION_DOT":0,"MEAN_MOTION_DDOT":0}]',
    "states": "# frame = GCRF\nt_utc,x_m,y_m,z_m,vx_m_s,vy_m_s,vz_m_s,sigma_m\n"
    + "".join(f"2026-01-01T00:0{i}:00,7e6,{i},0,0,7500,0,10\n" for i in ROWS),
    "described": '[target]\nkind = "site"\nbody = "mars"\nlatitude_deg = 4.6\nlongitude_deg = 137.4\nheight_m = -4500\n',
    "sp3": "#dV2026  1  1  0  0  0.00000000       8 ORBIT IGS20 FIT TST\n## 2400 0 60 61041 0\n%c L  cc GPS ccc\n"
    + "".join(
        f"*  2026  1  1  0  {i}  0.00000000\nPL52   7000.000000 {i:13.6f}      1.000000\nVL52      0.000000  75000.0"
        "      0.0      \n"
        for i in ROWS
    )
    + "EOF\n",
}
ALPHABET = "0123456789.-+eE =,:<>[]{}\"'\nTZxXNaIiCPFH_#\u00e9\x00"


def damaged(text, chance):
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(len(text)), chance.choice((0, 1, 1, 3, 40))
        new = "".join(chance.choice(ALPHABET) for _ in range(chance.choice((0, 1, 1, 2, 8))))
        text = text[:at] + new + text[at + length :] or " "
    return text


@pytest.mark.parametrize("name", SEEDS)
def test_a_whole_file_is_read_and_damage_is_one_sentence(tmp_path, name):
    path = tmp_path / "file"
    path.write_text(SEEDS[name])
    assert len(load_ephemerides(path)) == 1
    chance = random.Random(name)
    refused = 0
    for _ in range(300):
        path.write_text(damaged(SEEDS[name], chance))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.simplefilter("ignore", erfa.ErfaWarning)  # years for which no leap seconds are announced
                for target in load_ephemerides(path):
                    middle = np.array([(target.start_utc_ns + target.end_utc_ns) // 2])
                    if target.known(middle).all():
                        assert target.position_m(middle).shape == (1, 3)
        except BoresightError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 30
