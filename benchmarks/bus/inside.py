"""What a message of the bus costs inside a process: envelope, the bus of lockstep, recording.

`python -m benchmarks.bus.inside [--json]`. Best of five rounds, since a shared machine only ever adds time.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.bus.contest import BODY
from controller.bus.envelope import frame, unframe
from controller.bus.local import LocalBus
from controller.bus.topics import POINTING_STATE
from controller.record import Recorder

MESSAGES_PER_S = 400  # of a station that tracks


class Standing:
    """A clock that is moved by hand."""

    realtime, t_ns = False, 1_790_000_000_000_000_000

    def now_ns(self) -> int:
        return self.t_ns

    utc_ns = now_ns

    def sleep_until(self, t_ns: int) -> None:
        self.t_ns = max(self.t_ns, t_ns)


def best_us(action: Callable[[], object], count: int, rounds: int = 5) -> float:
    """Microseconds of one call, in the best round."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(count):
            action()
        best = min(best, time.perf_counter() - start)
    return best / count * 1e6


def in_process(recording: bool) -> float:
    """One publish to six ports, two of which read it; with or without a recording."""
    clock = Standing()
    bus = LocalBus(clock, 1)
    ports = [bus.port(name) for name in ("station", "pointing", "tracking", "safety", "link", "bench")]

    def publish() -> None:
        ports[1].publish(POINTING_STATE, BODY)
        ports[0].fresh(POINTING_STATE)
        ports[3].fresh(POINTING_STATE)
        clock.t_ns += 1_000_000_000 // MESSAGES_PER_S

    with tempfile.TemporaryDirectory() as folder, Recorder(Path(folder) / "run.mcap") as recorder:
        if recording:
            bus.tap(recorder.write)
            bus.tap(lambda topic, envelope: recorder.tick(clock.t_ns) and None)
        return best_us(publish, 2000)


def measure() -> dict[str, float]:
    clock = Standing()
    port = LocalBus(clock, 1).port("pointing")
    envelope = port.writer.telemetry(POINTING_STATE, BODY, 1)
    data = frame(envelope)
    plain, recorded = in_process(False), in_process(True)
    return {
        "body_encode_us": best_us(lambda: msgspec.msgpack.encode(BODY), 20000),
        "envelope_encode_us": best_us(lambda: frame(envelope), 20000),
        "envelope_decode_us": best_us(lambda: unframe(data), 20000),
        "publish_to_six_ports_us": plain,
        "record_us": recorded - plain,
        "share_of_a_simulated_second": recorded * MESSAGES_PER_S * 1e-6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    result = measure()
    if parser.parse_args().json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"  {name:<30}{value:10.4g}")


if __name__ == "__main__":
    main()
