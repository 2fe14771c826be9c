"""What a report needs of a pass folder: the recording's topics as arrays, the summary, and truth where there is any."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.errors import BoresightError
from controller.record import OnDamage, fields_expected, ignore, read_run

Array = NDArray[np.float64]
NS = 1e9

# Topic -> fields that are drawn. Pairs become two columns.
FIELDS: dict[str, tuple[str, ...]] = {
    "pointing/state": (
        "azimuth_rad",
        "elevation_rad",
        "target_azimuth_rad",
        "target_elevation_rad",
        "range_m",
        "deviation_rad",
        "correction_rad",
    ),
    "tracking/coarse": ("error_rad", "estimate_rad", "sigma_rad", "detected", "snr"),
    "tracking/fine": ("quad_rms_rad", "mirror_mean_rad", "offload_rad", "saturated_ticks", "enabled"),
    "link/state": ("received_power_w", "threshold_w"),
    "sim/truth/line_of_sight": (
        "target_azimuth_rad",
        "target_elevation_rad",
        "range_m",
        "coarse_error_rad",
        "total_error_rad",
        "fine_error_rad",
        "transmit_error_rad",
        "mirror_rad",
        "received_power_w",
        "beacon_on",
        "emitting",
    ),
}


class ReportError(BoresightError):
    """A report cannot be made; the message names the file."""


@dataclass(frozen=True, slots=True)
class Span:
    """One stay in a mode, seconds."""

    mode: str
    start_s: float
    end_s: float
    reason: str


@dataclass(slots=True)
class Series:
    """One topic: times in seconds, and each field as (n,) or (n, 2)."""

    t_s: Array
    columns: dict[str, Array]

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]


@dataclass(slots=True)
class Pass:
    """Everything a report shows. Time zero is `t0_utc_ns`: the start of the pass, or of the recording."""

    t0_utc_ns: int
    simulated: bool
    series: dict[str, Series]
    modes: list[Span]
    events: list[tuple[float, str, str, str]]  # seconds, level, code, message
    summary: dict[str, Any] = field(default_factory=dict)
    fine_rad: Array | None = None  # (n, 2), 10 kHz
    target: str = ""

    @property
    def optical(self) -> bool:
        """False for the open loop of an antenna: nothing was heard of a camera, a mirror or a power meter."""
        return any(topic in self.series for topic in ("tracking/coarse", "tracking/fine", "link/state"))

    def get(self, topic: str) -> Series | None:
        """A topic that has at least two samples."""
        found = self.series.get(topic)
        return found if found is not None and len(found.t_s) > 1 else None


def load(source: Path, damaged: OnDamage = ignore) -> Pass:
    """Read a pass folder (recording.mcap, and summary.json and truth.npz where they exist) or a recording alone.

    `damaged` is told what of the recording cannot be read. Raises ReportError, and RecordingError.
    """
    recording = source if source.is_file() else source / "recording.mcap"
    if not recording.exists():
        raise ReportError(f"{source}: there is no recording.mcap in this folder; give the folder of a pass.")
    with fields_expected(recording):
        return _load(source, recording, damaged)


def _load(source: Path, recording: Path, damaged: OnDamage) -> Pass:
    rows: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    modes: list[tuple[int, str, str, str, int]] = []
    events: list[tuple[int, str, str, str]] = []
    simulated, first_ns, last_ns = False, 0, 0
    for message in read_run(recording, damaged):
        body = message.body
        simulated = simulated or message.simulated
        first_ns, last_ns = first_ns or message.log_time_ns, message.log_time_ns
        if message.topic in FIELDS:
            rows[message.topic].append((body["t_utc_ns"], body))
        elif message.topic == "station/mode":
            changed = not modes or modes[-1][1] != body["mode"]
            if changed:
                modes.append(
                    (message.log_time_ns, body["mode"], body["reason"], body["target"], body["pass_start_utc_ns"])
                )
        elif message.topic == "station/event":
            events.append((message.log_time_ns, body["level"], body["code"], body["message"]))
    if not first_ns:
        raise ReportError(f"{recording}: the recording is empty; nothing was published before it ended.")
    starts = [start_ns for *_, start_ns in modes if start_ns]
    t0_ns = starts[0] if starts else first_ns
    return Pass(
        t0_utc_ns=t0_ns,
        simulated=simulated,
        series={topic: _series(found, FIELDS[topic], t0_ns) for topic, found in rows.items()},
        modes=_spans(modes, last_ns, t0_ns),
        events=[((t_ns - t0_ns) / NS, level, code, text) for t_ns, level, code, text in events],
        summary=_summary(source / "summary.json"),
        fine_rad=_fine(source / "truth.npz"),
        target=next((target for *_, target, _ in modes if target), ""),
    )


def _series(rows: list[tuple[int, dict[str, Any]]], fields: tuple[str, ...], t0_ns: int) -> Series:
    t_s = np.array([(t_ns - t0_ns) / NS for t_ns, _ in rows])
    columns = {name: np.array([_number(body[name]) for _, body in rows], dtype=np.float64) for name in fields}
    return Series(t_s, columns)


def _number(value: Any) -> Any:
    if isinstance(value, list):
        return [np.nan if item is None else item for item in value]
    return np.nan if value is None else value


def _spans(modes: list[tuple[int, str, str, str, int]], last_ns: int, t0_ns: int) -> list[Span]:
    ends = [row[0] for row in modes[1:]] + [last_ns]
    return [
        Span(mode, (t_ns - t0_ns) / NS, (end_ns - t0_ns) / NS, reason)
        for (t_ns, mode, reason, _, _), end_ns in zip(modes, ends, strict=True)
    ]


def _summary(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ReportError(f"{file}: is not JSON ({error}); remove it or run the pass again.") from None
    return found if isinstance(found, dict) else {}


def _fine(file: Path) -> Array | None:
    if not file.exists():
        return None
    with np.load(file) as arrays:
        return np.asarray(arrays["fine_10khz_rad"], dtype=np.float64) if "fine_10khz_rad" in arrays else None
