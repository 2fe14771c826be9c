"""SigMF 1.2: received power and the quad cell as sampled signals, annotated with where the terminal pointed.

A topic of a recording has a time a message; SigMF has a rate and a start. So a capture begins wherever the grid that
the previous one started would be wrong by half a sample or more: after a gap, and where a clock has drifted that far.
"""

from __future__ import annotations

import hashlib
import json
import math
from bisect import bisect_left
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from controller.bus.topics import LINK_STATE, POINTING_STATE, STATION_MODE, TRACKING_FINE, Topic
from controller.export import ExportError
from controller.export.utc import utc_text
from controller.export.whole import whole
from controller.record import OnDamage, Recorded, fields_expected, ignore, read_metadata, read_run
from hal.clock import NS

VERSION: Final = "1.2.6"  # of the specification whose schema the tests hold the files against
EXTENSIONS: Final = [
    {"name": "antenna", "version": "1.0.0", "optional": True},
    {"name": "boresight", "version": "1.0.0", "optional": True},  # docs/recording.md
]
META, DATA = ".sigmf-meta", ".sigmf-data"


@dataclass(frozen=True, slots=True)
class Signal:
    """What becomes one SigMF recording: a field of a topic, real or (cross-elevation, elevation) as complex."""

    name: str
    topic: Topic
    datatype: str
    values: Callable[[dict[str, Any]], Iterable[float | None]]
    unit: str
    what: str


SIGNALS: Final = (
    Signal(
        "power",
        LINK_STATE,
        "rf64_le",
        lambda body: (body["received_power_w"],),
        "W",
        "received optical power at the power meter",
    ),
    Signal(
        "quad",
        TRACKING_FINE,
        "cf64_le",
        lambda body: body["quad_mean_rad"],
        "rad",
        "quad cell error since the previous sample, mean; real: cross-elevation, imaginary: elevation",
    ),
)


@dataclass(slots=True)
class Samples:
    """One signal of a recording, in memory: 20 MB an hour for the fastest."""

    times_ns: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    simulated: bool = False

    def take(self, signal: Signal, message: Recorded) -> None:
        """Add a message; what JSON could not hold is no number."""
        self.times_ns.append(message.body["t_utc_ns"])
        self.values.extend(math.nan if value is None else value for value in signal.values(message.body))
        self.simulated |= message.simulated

    def captures(self, rate_hz: float) -> list[int]:
        """Indices at which a capture begins."""
        starts: list[int] = []
        for index, t_ns in enumerate(self.times_ns):
            if not starts or abs((t_ns - self.times_ns[starts[-1]]) * rate_hz / NS - (index - starts[-1])) >= 0.5:
                starts.append(index)
        return starts


def export_sigmf(first: Path, folder: Path, damaged: OnDamage = ignore) -> dict[str, int]:
    """Write NAME_power and NAME_quad, a meta and a data file each; returns samples by the name of the data file.

    `damaged` is told what of the recording cannot be read.

    Raises:
        ExportError: a file exists, or the recording has none of these. RecordingError: it is no recording.
    """
    found = {signal.name: Samples() for signal in SIGNALS}
    pointing: list[tuple[int, dict[str, Any]]] = []
    modes: list[tuple[int, dict[str, Any]]] = []
    with fields_expected(first):
        for message in read_run(first, damaged):
            body = message.body
            if message.topic == POINTING_STATE.name:
                place = {"azimuth_angle": body["azimuth_rad"], "elevation_angle": body["elevation_rad"]}
                pointing.append((body["t_utc_ns"], {f"antenna:{key}": math.degrees(rad) for key, rad in place.items()}))
            elif message.topic == STATION_MODE.name:
                mode = {"core:label": body["mode"], "boresight:target": body["target"]}
                modes.append((message.log_time_ns, mode))
            for signal in SIGNALS:
                if message.topic == signal.topic.name:
                    found[signal.name].take(signal, message)
    written: dict[str, int] = {}
    with ExitStack() as stack:
        for signal in SIGNALS:
            samples = found[signal.name]
            if not samples.times_ns:
                continue
            stem = folder / f"{first.stem}_{signal.name}"
            data_path, meta_path = (stem.with_name(stem.name + suffix) for suffix in (DATA, META))
            data = np.asarray(samples.values, "<f8").tobytes()
            stack.enter_context(whole(data_path)).write_bytes(data)
            head = _global(first, signal, samples, data)
            captures = [
                {"core:sample_start": start, "core:datetime": utc_text(samples.times_ns[start]) + "Z"}
                for start in samples.captures(signal.topic.rate_hz)
            ]
            annotations = _annotations(samples.times_ns, _changes(modes)) + _annotations(samples.times_ns, pointing)
            annotations.sort(key=lambda one: one["core:sample_start"])
            meta = {"global": head, "captures": captures, "annotations": annotations}
            stack.enter_context(whole(meta_path)).write_text(json.dumps(meta, indent=1), encoding="utf-8")
            written[data_path.name] = len(samples.times_ns)
    if not written:
        raise ExportError(f"{first}: neither received power nor quad cell is in it, so there is nothing for SigMF")
    return written


def _global(first: Path, signal: Signal, samples: Samples, data: bytes) -> dict[str, Any]:
    metadata = read_metadata(first)
    station = json.loads(metadata.get("rig", {}).get("settings", "{}")).get("station", {})
    simulated = "SIMULATED: devices were emulated. " if samples.simulated else ""
    head: dict[str, Any] = {
        "core:version": VERSION,
        "core:datatype": signal.datatype,
        "core:sample_rate": signal.topic.rate_hz,
        "core:sha512": hashlib.sha512(data).hexdigest(),
        "core:recorder": f"boresight {metadata.get('boresight', {}).get('version', '')}".strip(),
        "core:description": f"{simulated}{signal.what}, in {signal.unit}",
        "core:extensions": EXTENSIONS,
        "antenna:model": f"terminal of {station.get('name', 'a station')}",
        "antenna:steerable": True,
        "boresight:topic": signal.topic.name,
        "boresight:unit": signal.unit,
        "boresight:simulated": samples.simulated,
    }
    if "latitude_deg" in station:
        place = [station["longitude_deg"], station["latitude_deg"], station["height_m"]]
        head["core:geolocation"] = {"type": "Point", "coordinates": place}
    return head


def _changes(modes: list[tuple[int, dict[str, Any]]]) -> list[tuple[int, dict[str, Any]]]:
    """The first of each stretch that says the same."""
    return [next(stretch) for _, stretch in groupby(modes, key=lambda one: one[1])]


def _annotations(times_ns: list[int], said: list[tuple[int, dict[str, Any]]]) -> list[dict[str, Any]]:
    """What was said holds until the next is, or to the end; what holds for no sample is left out."""
    starts = [bisect_left(times_ns, t_ns) for t_ns, _ in said] + [len(times_ns)]
    return [
        {"core:sample_start": start, "core:sample_count": end - start, **fields}
        for (start, end), (_, fields) in zip(pairwise(starts), said, strict=True)
        if end > start
    ]
