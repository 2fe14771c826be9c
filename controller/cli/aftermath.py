"""The summary of a pass that was flown in real time: the bench knows the truth, the recording the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from controller.errors import BoresightError

if TYPE_CHECKING:
    from controller.cli.bench import Bench
    from controller.pointing.passes import Pass


def write_aftermath(run_dir: Path, bench: Bench, coming: Pass, seed: int) -> Path:
    """Write summary.json and truth.npz beside the newest recording, which becomes recording.mcap.

    Raises BoresightError when nothing was recorded.
    """
    import numpy as np

    from controller.cli.factories import observer_of
    from controller.cli.flown import heard
    from controller.cli.summary import summary_of
    from controller.pointing.plan import AxisLimits, plan
    from controller.record import rename_run

    recordings = sorted(run_dir.glob("*.mcap"), key=lambda path: path.stat().st_mtime_ns)
    if not recordings:
        raise BoresightError(f"{run_dir} holds no recording: no station has run against this bench.")
    recording = rename_run(recordings[-1], "recording")
    rig = bench.rig
    limits = AxisLimits.of(rig)
    flown = heard(recording, bench, plan(coming, observer_of(rig), limits))
    summary = summary_of(flown, seed)
    np.savez_compressed(run_dir / "truth.npz", fine_10khz_rad=bench.world.fine_capture_rad().astype(np.float32))
    path = run_dir / "summary.json"
    path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return path
