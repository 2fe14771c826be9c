"""What a mount model leaves: arrows over the sky, and both errors against azimuth and elevation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from controller.cli.mount import ARCSEC_PER_RAD, across_and_along
from controller.cli.pass_plot import FORMATS
from controller.errors import BoresightError

if TYPE_CHECKING:
    from controller.pointing.mount_fit import Fit
    from controller.pointing.observation import Observation


def draw(seen: Sequence[Observation], found: Fit, title: str, path: Path) -> None:
    """Write the plot; the file's name ends in .png, .pdf or .svg. Stars that were not believed are hollow."""
    if path.suffix not in FORMATS:
        raise BoresightError(f"{path}: a plot is written as {', '.join(FORMATS)}; give a name that ends so.")
    from matplotlib.figure import Figure

    from controller.pointing.mount_fit import REJECTED

    azimuth = np.array([o.azimuth_rad for o in seen])
    elevation_deg = np.degrees([o.elevation_rad for o in seen])
    left = found.residuals_rad * ARCSEC_PER_RAD
    good = found.weights >= REJECTED
    figure = Figure(figsize=(12.0, 6.0), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1.1, 1.0))
    sky: Any = figure.add_subplot(grid[:, 0], projection="polar")
    sky.set_theta_zero_location("N")
    sky.set_theta_direction(-1)
    sky.set_rlim(90.0, 0.0)
    sky.set_rgrids([0, 30, 60], labels=["0°", "30°", "60°"], color="0.5")
    sky.scatter(azimuth, elevation_deg, s=14, c=["C0" if one else "none" for one in good], edgecolors="C0")
    scale = 10.0 / max(1e-6, float(np.hypot(*left[good].T).max()))  # the longest arrow is ten degrees long
    for i in np.nonzero(good)[0].tolist():
        x, y = found.model.frame.on_sky(seen[i].azimuth_rad, seen[i].elevation_rad, (left[i, 0], left[i, 1]))
        to = elevation_deg[i] + scale * y
        turn = np.radians(scale * x) / max(0.2, np.cos(np.radians(elevation_deg[i])))
        sky.annotate("", (azimuth[i] + turn, to), (azimuth[i], elevation_deg[i]), arrowprops={"arrowstyle": "->"})
    sky.set_title(f"{title}; 10° of arrow are {10 / scale:.1f}″")
    for row, (name, angle) in enumerate((("azimuth", np.degrees(azimuth) % 360), ("elevation", elevation_deg))):
        axes: Any = figure.add_subplot(grid[row, 1])
        for column, label in enumerate(across_and_along(found)):
            axes.plot(angle[good], left[good, column], "o", markersize=4, color=f"C{column}", label=label)
        axes.axhspan(*(sign * found.noise_rad * ARCSEC_PER_RAD for sign in (-1, 1)), color="0.92")
        axes.set_xlabel(f"{name}, degrees")
        axes.set_ylabel("left, arc seconds")
        axes.grid(alpha=0.3)
    axes.legend(loc="best", fontsize="small")
    figure.savefig(path, dpi=120)
