"""Covariances of CCSDS messages: the position's 3 x 3 corner, turned into the frame of the positions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from controller.geometry.timescales import Floats, Times
from controller.pointing.ephemeris.ephemeris import EphemerisError, Frame, nearest
from controller.pointing.ephemeris.epochs import parse_epoch, to_tai_ns
from controller.pointing.ephemeris.frames import AXES, axes_of
from controller.pointing.ephemeris.ndm import Item
from controller.pointing.ephemeris.table import Covariance
from controller.pointing.ephemeris.text import number

IN_ORBIT = ("RSW", "RTN", "RIC", "TNW", "TNW_INERTIAL", "RSW_INERTIAL")
CORNER = {"CX_X": (0, 0), "CY_X": (1, 0), "CY_Y": (1, 1), "CZ_X": (2, 0), "CZ_Y": (2, 1), "CZ_Z": (2, 2)}
REST = [f"C{a}_DOT_{b}" for a in "XYZ" for b in ("X", "Y", "Z", "X_DOT", "Y_DOT", "Z_DOT")]


def read_covariances(
    items: Sequence[Item], scale: str, axes: Frame, states: tuple[Times, Floats, Floats], source: str
) -> tuple[list[Covariance], list[str]]:
    """Covariances of one block (rows of a lower triangle, or keys CX_X and so on), and what was left out and why.

    Raises EphemerisError with file and line.
    """
    left_out: list[str] = []
    found: list[Covariance] = []
    epoch: int | None = None
    turn_by: str | None = ""
    rows: list[list[float]] = []
    corner = np.zeros((3, 3))

    def close() -> None:
        if epoch is None or turn_by is None:
            return
        matrix = corner.copy()
        for i, row in enumerate(rows[:3]):
            matrix[i, : len(row)] = row
        matrix = np.tril(matrix) + np.tril(matrix, -1).T
        turn = _turn(turn_by, epoch, states) if turn_by else np.eye(3)
        found.append(Covariance(epoch, turn @ matrix @ turn.T * 1e6))

    for item in items:
        where = f"{source} line {item.line}"
        if item.key == "EPOCH":
            close()
            rows.clear()
            corner[:] = 0.0
            try:
                epoch = int(to_tai_ns([parse_epoch(item.value)], scale)[0])
            except ValueError as error:
                raise EphemerisError(f"{where}: EPOCH: {error}.") from None
        elif item.key == "COV_REF_FRAME":
            turn_by = _frame(item.value, axes, where)
            if turn_by is None:
                left_out.append(f"{where}: a covariance in {item.value} with positions in {axes} is left out.")
        elif item.key == "":
            rows.append([number(word, "a covariance", where) for word in item.value.split()])
            if len(rows[-1]) != len(rows) or len(rows) > 6:
                raise EphemerisError(f"{where}: row {len(rows)} of a lower triangle has {len(rows[-1])} numbers.")
        elif item.key in CORNER:
            corner[CORNER[item.key]] = number(item.value, item.key, where)
        elif item.key not in REST:
            raise EphemerisError(
                f"{where}: {item.key} is no key of a covariance; "
                f"{nearest(item.key, ['EPOCH', 'COV_REF_FRAME', *CORNER, *REST])}"
            )
    close()
    return found, left_out


def _frame(name: str, axes: Frame, where: str) -> str | None:
    """The orbit's own frame; "" for that of the positions; None for another."""
    plain = name.upper()
    if plain in IN_ORBIT:
        return plain
    if plain not in AXES and not plain.startswith(("ITRF", "ICRF")):
        raise EphemerisError(f"{where}: COV_REF_FRAME {name} is not known; {nearest(name, [*AXES, *IN_ORBIT])}")
    return "" if axes_of(name, where) is axes else None


def _turn(name: str, t_tai_ns: int, states: tuple[Times, Floats, Floats]) -> Floats:
    """Columns: the axes of an orbit's own frame, from the nearest state."""
    tai, positions, velocities = states
    nearest_row = int(np.argmin(np.abs(tai - t_tai_ns)))
    r, v = positions[nearest_row], velocities[nearest_row]
    normal = np.cross(r, v)
    normal = normal / np.linalg.norm(normal)
    if name.startswith("TNW"):
        along = v / np.linalg.norm(v)
        return np.column_stack([along, np.cross(normal, along), normal])
    radial = r / np.linalg.norm(r)
    return np.column_stack([radial, np.cross(normal, radial), normal])
