"""Passes on a polar plot: zenith in the middle, horizon around it, north up, east to the right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from controller.errors import BoresightError

if TYPE_CHECKING:
    from controller.pointing.plan import Plan

FORMATS = (".png", ".pdf", ".svg")
POINTS = 200


def draw(plans: Sequence[Plan], mask_rad: float, title: str, path: Path) -> None:
    """Write the tracks of some passes; the file's name ends in .png, .pdf or .svg."""
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
