"""`boresight rig frames dark|flat`: mean frames that correct what the camera shows, kept in the run directory."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.connect import DEFAULT_RIG, DEFAULT_RUN_DIR, RigOption, RunDirOption
from controller.cli.rig import app, resolve_one, station_clock

if TYPE_CHECKING:
    from controller.tracking.frames import MeanFrame


class Kind(StrEnum):
    """Which frame."""

    DARK = "dark"
    FLAT = "flat"


@app.command()
def frames(
    kind: Annotated[Kind, typer.Argument(help="dark: telescope covered; flat: evenly lit.")],
    rig: RigOption = DEFAULT_RIG,
    run_dir: RunDirOption = DEFAULT_RUN_DIR,
    count: Annotated[int, typer.Option("--count", help="Frames to average.", min=2, max=10_000)] = 50,
    exposure: Annotated[float | None, typer.Option("--exposure", help="Seconds; default: the rig file's.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Take a dark or a flat frame, look whether it is one, and keep it with a picture.

    Tracking corrects its frames by them from its next start on. A dark frame holds for its exposure only.
    """
    from rich.progress import Progress

    from controller.tracking import frames as mean_frames
    from hal.rig import as_terminal, open_device

    described, clock = as_terminal(resolve_one(rig, "camera", run_dir)), station_clock(rig, run_dir)
    section = described.camera
    exposure_s = exposure or section.exposure_s
    camera = open_device(described, "camera", clock)
    try:
        with Progress(transient=True, disable=json_output) as progress:
            task = progress.add_task(f"{kind} frame", total=count)
            rate_hz = min(section.frame_rate_hz, 1 / exposure_s)
            mean = mean_frames.average(
                camera, exposure_s, rate_hz, count, lambda done: progress.update(task, completed=done)
            )
    finally:
        camera.close()
    (mean_frames.refuse_dark if kind is Kind.DARK else mean_frames.refuse_flat)(mean)
    path = run_dir / f"{kind}.npz"
    mean_frames.save(mean, path)
    picture = path.with_suffix(".png")
    _draw(kind, mean, picture, "camera" in described.emulated)
    height, width = mean.image.shape
    told = {
        "file": str(path),
        "picture": str(picture),
        "width_px": width,
        "height_px": height,
        "exposure_s": mean.exposure_s,
        "count": mean.count,
        "mean_counts": float(mean.image.mean()),
        "noise_counts": mean.noise_counts,
    }
    if json_output:
        typer.echo(json.dumps(told, indent=2))
    else:
        typer.echo(
            f"{kind} frame of {mean.count} x {mean.exposure_s:g} s: mean {told['mean_counts']:.1f} counts, noise of a "
            f"pixel {mean.noise_counts:.1f} counts: {path}, {picture}"
        )


def _draw(kind: Kind, mean: MeanFrame, path: Path, simulated: bool) -> None:
    import matplotlib as mpl
    import numpy as np

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 6), layout="constrained")
    low, high = np.percentile(mean.image, (0.5, 99.5))
    shown = axes.imshow(mean.image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    figure.colorbar(shown, ax=axes, label="counts")
    axes.set_xlabel("x, px")
    axes.set_ylabel("y, px")
    axes.set_title(f"{kind} frame, {mean.count} x {mean.exposure_s:g} s{', simulated' if simulated else ''}")
    figure.savefig(path, dpi=110)
    plt.close(figure)
