"""A replay of a real night says all that a real laser would need, and no vote takes its word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.bus.client import Client
from controller.bus.endpoints import static_table
from controller.bus.envelope import Envelope, pack
from controller.bus.topics import (
    POINTING_STATE,
    SERVICE_HEARTBEAT,
    STATION_LEASE,
    STATION_MODE,
    TRACKING_COARSE,
    TRACKING_FINE,
    Heartbeat,
)
from controller.record import Recorder
from controller.replay import Replay
from controller.safety.inputs import Reading
from controller.safety.votes import ballot
from hal.clock import NS, RealClock

TOPICS = {
    "mode": STATION_MODE,
    "pointing": POINTING_STATE,
    "coarse": TRACKING_COARSE,
    "fine": TRACKING_FINE,
    "leases": STATION_LEASE,
    "heartbeats": SERVICE_HEARTBEAT,
}


@pytest.mark.parametrize("name", TOPICS)
def test_one_replayed_state_among_real_ones_forbids_a_real_laser(
    name: str, good: Any, tmp_path: Path, free_base_port: Callable[[int], int]
) -> None:
    topic, body = TOPICS[name], Heartbeat(1, 1, 0) if name == "heartbeats" else getattr(good, name)
    source = "pointing" if name == "heartbeats" else topic.name.partition("/")[0]
    base_port, path = free_base_port(1 + 3 * 8), tmp_path / "night.mcap"
    with Recorder(path) as recorder:
        for step in range(25):
            envelope = Envelope(v=1, k="tlm", m=topic.name, src=source, t=(1 + step) * NS // 50, b=pack(body))
            recorder.write(topic.name, envelope)
    with Client(static_table(base_port=base_port)) as client, Replay(path, RealClock(), base_port=base_port) as replay:
        client.subscribe(topic)
        replay.run()
        sample = client.wait_for(topic, timeout_s=5.0)
    assert sample is not None
    real = replace(good.limits, laser_emulated=False, enclosed_bench=True)
    inputs = good.inputs(simulated=False, realtime=True)
    assert ballot(inputs, real).unanimous
    read = Reading(sample.body, 0.01, sample.simulated)
    replayed = replace(inputs, **{name: {**inputs.heartbeats, source: read} if name == "heartbeats" else read})
    assert not ballot(replayed, real).unanimous
