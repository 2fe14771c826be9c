"""The emulated camera by itself: its time, its noise and its memory depend on its seed and on simulated time alone."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from sim_hw.devices.u3v import CONTROL_IN, CONTROL_OUT, STREAM_IN, U3vCamera
from sim_hw.scene.frame import Sensor
from sim_hw.timeline import Timeline
from sim_hw.wires.contract import UsbStall

MS = 1_000_000


def camera(seed: int = 1) -> tuple[Timeline, U3vCamera, list[tuple[int, int]]]:
    timeline, exposures = Timeline(), []

    def spots(t0_ns: int, t1_ns: int) -> list[tuple[float, float, float]]:
        assert t1_ns == timeline.now_ns  # it asks when the exposure is just over
        exposures.append((t0_ns, t1_ns))
        return [(1e-5 * len(exposures), 0.0, 1e7)]

    emulated = U3vCamera(timeline, spots, np.random.default_rng(seed), Sensor(width_px=64, height_px=64))
    return timeline, emulated, exposures


def write(emulated: U3vCamera, address: int, value: int) -> None:
    emulated.memory.write(address, struct.pack("<I", value))


def run(emulated: U3vCamera) -> None:
    """Stream the full sensor, 8192 bytes a frame, freely at 50 frames a second."""
    write(emulated, 0x3003C, 1)
    write(emulated, 0x30040, 0)
    write(emulated, 0x201C, 8192)
    write(emulated, 0x2020, 1)
    write(emulated, 0x2004, 1)
    write(emulated, 0x30030, 1)


def stream(step_ns: int, seed: int = 1) -> list[bytes]:
    timeline, emulated, _ = camera(seed)
    run(emulated)
    transfers = []
    while timeline.now_ns < 200 * MS:
        timeline.advance(timeline.now_ns + step_ns)
        while (data := emulated.bulk_in(STREAM_IN, 8192)) is not None:
            transfers.append(data)
    return transfers


def test_the_same_seed_streams_the_same_bytes_however_time_is_cut() -> None:
    fine = stream(100_000)
    assert len(fine) == 3 * 10  # frames leave at 6.6 ms, 26.6 ms ... 186.6 ms
    assert stream(5 * MS) == fine
    assert stream(100_000, seed=2) != fine


def test_exposures_begin_at_the_rate_and_last_as_long_as_they_are_set() -> None:
    timeline, emulated, exposures = camera()
    emulated.memory.write(0x30020, struct.pack("<d", 2000.0))
    run(emulated)
    timeline.advance(70 * MS)
    assert exposures == [(t, t + 2 * MS) for t in (1 * MS, 21 * MS, 41 * MS, 61 * MS)]


def test_a_frame_leaves_after_exposure_read_out_and_its_time_on_the_bus() -> None:
    timeline, emulated, _ = camera()
    left: list[int] = []
    emulated.changed = lambda: left.append(timeline.now_ns)
    run(emulated)
    timeline.advance(20 * MS)
    # 1 ms to the first exposure, 5 ms of it, 0.1 ms and 64 rows of 8 us, 8192 bytes at 350 MB/s
    assert left == [6 * MS + 100_000 + 64 * 8_000 + round(8192 / 350e6 * 1e9)]


def test_what_the_host_does_not_fetch_is_dropped_and_leaves_a_gap() -> None:
    timeline, emulated, _ = camera()
    run(emulated)
    timeline.advance(500 * MS)
    blocks = []
    for _ in range(5):
        leader = emulated.bulk_in(STREAM_IN, 8192)
        if leader is None:
            timeline.advance(timeline.now_ns + 20 * MS)
            leader = emulated.bulk_in(STREAM_IN, 8192)
        assert leader is not None
        blocks.append(struct.unpack_from("<Q", leader, 8)[0])
        emulated.bulk_in(STREAM_IN, 8192)
        emulated.bulk_in(STREAM_IN, 8192)
    assert blocks[:4] == [0, 1, 2, 3]
    assert blocks[4] > 20


def test_a_small_read_takes_a_piece_and_the_rest_follows() -> None:
    timeline, emulated, _ = camera()
    run(emulated)
    timeline.advance(20 * MS)
    parts = [emulated.bulk_in(STREAM_IN, n) for n in (20, 32, 8000, 8000, 100)]
    assert [len(part or b"") for part in parts] == [20, 32, 8000, 192, 32]


def test_disabling_the_stream_drops_what_waits_and_stopping_ends_it() -> None:
    timeline, emulated, exposures = camera()
    run(emulated)
    timeline.advance(50 * MS)
    write(emulated, 0x2004, 0)
    assert emulated.bulk_in(STREAM_IN, 8192) is None
    write(emulated, 0x30034, 1)
    seen = len(exposures)
    timeline.advance(500 * MS)
    assert len(exposures) == seen
    assert timeline.next_event_ns() is None


def test_its_clock_has_an_offset_and_the_drift_of_a_crystal() -> None:
    drifts = []
    for seed in range(20):
        _, emulated, _ = camera(seed)
        hour_ns = 3_600_000 * MS
        drifts.append((emulated.device_time_ns(hour_ns) - emulated.device_time_ns(0)) / hour_ns - 1)
        assert emulated.device_time_ns(0) > 0
    assert max(map(abs, drifts)) <= 20e-6
    assert np.std(drifts) > 5e-6


def test_commands_are_answered_in_order_some_time_after_they_came() -> None:
    timeline, emulated, _ = camera()
    for number in range(3):
        emulated.bulk_out(
            CONTROL_OUT, struct.pack("<IHHHHQHH", 0x43563355, 0x4000, 0x0800, 12, number + 1, 0x1D8, 0, 8)
        )
    assert emulated.bulk_in(CONTROL_IN, 1024) is None
    arrived = []
    emulated.changed = lambda: arrived.append(timeline.now_ns)
    timeline.advance(5 * MS)
    assert [struct.unpack_from("<H", emulated.bulk_in(CONTROL_IN, 1024) or b"", 10)[0] for _ in range(3)] == [1, 2, 3]
    assert all(gap >= 150_000 for gap in np.diff([0, *arrived]))


def test_endpoint_zero_has_no_requests_of_its_own() -> None:
    _, emulated, _ = camera()
    with pytest.raises(UsbStall):
        emulated.control(0xC0, 1, 0, 0, b"", 4)
