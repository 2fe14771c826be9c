"""What a message of the bus costs: envelope, in-process bus, recording, and a command beside raw pyzmq.

`python benchmarks/bus.py [--json]`. Best of five rounds, since a shared machine only ever adds time.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import zmq

from controller.bus.client import Client
from controller.bus.endpoints import static_table
from controller.bus.envelope import frame, unframe
from controller.bus.holder import leased
from controller.bus.inbox import LEASE_METHODS
from controller.bus.lease_desk import LeaseDesk
from controller.bus.local import LocalBus
from controller.bus.port import Reply
from controller.bus.socket_port import SocketPort, wait
from controller.bus.topics import POINTING_STATE, SERVICE_HEARTBEAT, Heartbeat, PointingState
from controller.record import Recorder
from hal.clock import RealClock

ZERO = (0.0, 0.0)
BODY = PointingState(1, "track", *([0.123456789] * 9), ZERO, ZERO, ZERO, ZERO, 0.075, True)
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


def command_us() -> float:
    """A command to a service that does nothing but answer, through every check."""
    table = static_table(base_port=random.randrange(10000, 30000), services=("station",))
    clock, stop, ready = RealClock(), threading.Event(), threading.Event()

    def serve() -> None:
        port = SocketPort("station", clock, table)
        desk = LeaseDesk(clock, port)
        sockets = [port._server._ctl, port._server._cmd, port._publisher._socket]
        port.publish(SERVICE_HEARTBEAT, Heartbeat(clock.utc_ns(), 0, 0))
        ready.set()
        while not stop.is_set():
            wait(sockets, 10)
            desk.turn()
            for request in port.requests():
                leases = request.method in LEASE_METHODS
                port.answer(request, desk.obey(request) if leases else desk.over(request) or Reply("", "done"))
        port.close()

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait()
    with Client(table) as client, leased(client, "station", "a benchmark", 30.0) as lease:
        assert not client.call("station", "station.nothing", lease=lease).code
        spent = best_us(lambda: client.call("station", "station.nothing", lease=lease), 200)
    stop.set()
    thread.join()
    return spent


def raw_us() -> float:
    """The same bytes through a bare DEALER and ROUTER, between two threads."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router, dealer = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    port = router.bind_to_random_port("tcp://127.0.0.1")
    router.setsockopt(zmq.RCVTIMEO, 100)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                router.send_multipart(router.recv_multipart())
            except zmq.Again:
                continue

    thread = threading.Thread(target=serve)
    thread.start()
    dealer.connect(f"tcp://127.0.0.1:{port}")

    def ask() -> None:
        dealer.send(b"x" * 120)
        dealer.recv()

    spent = best_us(ask, 200)
    stop.set()
    thread.join()
    context.destroy(0)
    return spent


def measure() -> dict[str, float]:
    clock = Standing()
    port = LocalBus(clock, 1).port("pointing")
    envelope = port.writer.telemetry(POINTING_STATE, BODY, 1)
    data = frame(envelope)
    plain, recorded = in_process(False), in_process(True)
    command, raw = command_us(), raw_us()
    return {
        "body_encode_us": best_us(lambda: msgspec.msgpack.encode(BODY), 20000),
        "envelope_encode_us": best_us(lambda: frame(envelope), 20000),
        "envelope_decode_us": best_us(lambda: unframe(data), 20000),
        "publish_to_six_ports_us": plain,
        "record_us": recorded - plain,
        "share_of_a_simulated_second": recorded * MESSAGES_PER_S * 1e-6,
        "command_us": command,
        "raw_pyzmq_us": raw,
        "command_over_raw": command / raw,
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
