"""Passes on a polar plot: zenith in the middle, horizon around it, north up, east to the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from controller.errors import BoresightError

if TYPE_CHECKING:
    from controller.geometry.horizon import HorizonMask
    from controller.pointing.plan import Plan
    from hal.rig import Rig

FORMATS = (".png", ".pdf", ".svg")
POINTS = 200


def horizons_of(rig: Rig) -> dict[str, HorizonMask]:
    """The horizon masks of a rig, by what they are called in the plot. Raises HorizonError."""
    from controller.geometry.horizon import load_horizon
    from hal.rig import HORIZON, MOTION

    named = {"no emission below": HORIZON, "no motion below": MOTION}
    return {name: load_horizon(rig.companions[key]) for name, key in named.items() if key in rig.companions}


def draw(
    plans: Sequence[Plan], mask_rad: float, title: str, path: Path, horizons: Mapping[str, HorizonMask] | None = None
) -> None:
    """Write the tracks of some passes, and masks; the file's name ends in .png, .pdf or .svg."""
    if path.suffix not in FORMATS:
        raise BoresightError(f"{path}: a plot is written as {', '.join(FORMATS)}; give a name that ends so.")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 7.0), layout="constrained")
    axes: Any = figure.add_subplot(projection="polar")
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    axes.set_rlim(90.0, 0.0)
    axes.set_rgrids([0, 15, 30, 45, 60, 75], labels=["0°", "15°", "30°", "45°", "60°", "75°"], color="0.5")
    axes.fill_between(np.linspace(0, 2 * np.pi, 100), 0.0, np.degrees(mask_rad), color="0.9")
    around = np.radians(np.linspace(0.0, 360.0, 3601))
    for (name, horizon), style in zip((horizons or {}).items(), ("--", "-"), strict=False):
        edge = [max(0.0, np.degrees(horizon.at(azimuth))) for azimuth in around]
        axes.plot(around, edge, style, color="0.4", linewidth=1.0, label=name)
    for plan in plans:
        target = plan.target
        times = np.linspace(target.rise_utc_ns, target.set_utc_ns, POINTS).astype(np.int64)
        azimuth, elevation = plan.trajectory.sample(times)[:, :2].T
        (line,) = axes.plot(azimuth, np.degrees(elevation), label=target.elements.name, linewidth=1.2)
        axes.plot(azimuth[0], np.degrees(elevation[0]), marker="o", color=line.get_color(), markersize=4)
    axes.set_title(title)
    if len(plans) <= 20:
        figure.legend(loc="outside lower center", ncols=4, fontsize="x-small", title="● rise", frameon=False)
    figure.savefig(path, dpi=150)
