"""A paced loop whose telemetry a hundred clients read, 50,000 messages a second in all, while one of them is stopped.

`python -m benchmarks.bus.load [--json] [--page] [--seconds S]` (docs/benchmarks.md). The loop is a service like the
station's (250 Hz, two topics a cycle, SCHED_FIFO where allowed) in its own process; its clients are SUB sockets in four
others, and one more client is stopped with SIGSTOP for a while. Told for each phase: steps, late steps, memory of the
loop's process, what the clients got and missed. A step is late when the one before it ended after it was due.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import zmq

from benchmarks.bus.contest import BODY, end_with_input
from benchmarks.bus.page import FLOOD, flood, write_section
from benchmarks.checkout import commit
from controller.bus.client import Client
from controller.bus.endpoints import static_table
from controller.bus.envelope import unframe
from controller.bus.socket_port import SocketPort
from controller.bus.topics import POINTING_STATE, SERVICE_HEARTBEAT, TRACKING_FINE, FineState
from controller.services.host import take_priority
from controller.services.service import Service
from hal.clock import RealClock

NAME = "pointing"
PERIOD_S = 0.004
CROWDS, CLIENTS = 4, 25
ZERO = (0.0, 0.0)
FINE = FineState(1, "track", True, False, ZERO, ZERO, 1.0, ZERO, ZERO, 0, 40, "closed")
PAGE = os.sysconf("SC_PAGESIZE")


class Loop(Service):
    """Publishes its state twice a cycle and obeys nobody."""

    name = NAME
    period_s = PERIOD_S

    def cycle(self) -> None:
        self.port.requests()
        self.port.publish(POINTING_STATE, BODY)
        self.port.publish(TRACKING_FINE, FINE)


def loop(base_port: int) -> None:
    threading.Thread(target=end_with_input, daemon=True).start()
    warning = take_priority(1)
    clock = RealClock()
    port = SocketPort(NAME, clock, static_table(base_port=base_port, services=(NAME,)))
    print(json.dumps(warning or "SCHED_FIFO"), flush=True)
    Loop(clock, port).run()


def crowd(base_port: int) -> None:
    """Subscribers that count; a line on the input asks for, and resets, the counts."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    poller = zmq.Poller()
    endpoint = static_table(base_port=base_port, services=(NAME,))[NAME].tlm
    for _ in range(CLIENTS):
        socket = context.socket(zmq.SUB)
        for topic in (POINTING_STATE, TRACKING_FINE):
            socket.subscribe(topic.name.encode() + b"\0")
        socket.connect(endpoint)
        poller.register(socket, zmq.POLLIN)
    poller.register(sys.stdin, zmq.POLLIN)
    print("null", flush=True)
    received, missed, last = 0, 0, {}
    while True:
        for socket, _ in poller.poll():
            if isinstance(socket, int):
                if not sys.stdin.readline():
                    return
                print(json.dumps([received, missed]), flush=True)
                received = missed = 0
                continue
            for _ in range(100):  # and then look at the others, and at the input
                try:
                    envelope = unframe(socket.recv(zmq.NOBLOCK))
                except zmq.Again:
                    break
                key = (socket, envelope.m)
                received += 1
                missed += max(0, envelope.seq - last.get(key, envelope.seq - 1) - 1)
                last[key] = envelope.seq


def sleeper(base_port: int) -> None:
    """A whole client, that will be stopped; a line on the input asks for what it got and what it knows it missed."""
    with Client(static_table(base_port=base_port, services=(NAME,))) as client:
        client.subscribe(POINTING_STATE)
        print("null", flush=True)
        poller = zmq.Poller()
        poller.register(sys.stdin, zmq.POLLIN)
        while True:
            client.pause(0.02)
            if poller.poll(0):
                if not sys.stdin.readline():
                    return
                sample = client.store.latest(POINTING_STATE)
                seq = 0 if sample is None else sample.seq
                print(json.dumps([client.store.gaps[POINTING_STATE.name], seq]), flush=True)


class Part:
    """One of these in a process."""

    def __init__(self, role: str, base_port: int) -> None:
        command = [sys.executable, "-m", "benchmarks.bus.load", "--role", role, "--base-port", str(base_port)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.told = self.read()

    def read(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.read()

    @property
    def rss_mb(self) -> float:
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * PAGE / 1e6

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def measure(seconds: float) -> dict[str, Any]:
    base_port = random.randrange(10000, 30000)
    parts: list[Part] = []
    phases: dict[str, Any] = {}

    def part(role: str) -> Part:
        parts.append(Part(role, base_port))
        return parts[-1]

    try:
        looping = part("loop")
        with Client(static_table(base_port=base_port, services=(NAME,))) as watcher:

            def phase(name: str, crowds: list[Part]) -> None:
                watcher.pause(0.3)
                for one in crowds:
                    one.ask()
                began, before = time.monotonic(), watcher.store.latest(SERVICE_HEARTBEAT)
                watcher.pause(seconds)
                after, lasted_s = watcher.store.latest(SERVICE_HEARTBEAT), time.monotonic() - began
                assert before is not None
                assert after is not None
                counts = [one.ask() for one in crowds]
                phases[name] = {
                    "steps": after.body.cycles - before.body.cycles,
                    "late_steps": after.body.late_steps - before.body.late_steps,
                    "rss_mb": looping.rss_mb,
                    "delivered_per_s": sum(received for received, _ in counts) / lasted_s,
                    "missed": sum(missed for _, missed in counts),
                }

            if watcher.wait_for(SERVICE_HEARTBEAT, timeout_s=10.0) is None:
                raise RuntimeError("the loop did not start")
            phase("alone", [])
            crowds = [part("crowd") for _ in range(CROWDS)]
            stopped = part("sleeper")
            phase("100 clients", crowds)
            gaps, seq = stopped.ask()
            stopped.process.send_signal(signal.SIGSTOP)
            phase("100 clients, one more stopped", crowds)
            phase("the same, later", crowds)
            stopped.process.send_signal(signal.SIGCONT)
            watcher.pause(1.0)
            gaps_after, seq_after = stopped.ask()
            phase("continued", crowds)
            gaps_end, seq_end = stopped.ask()
    finally:
        for one in parts:
            one.close()
    return {
        "commit": commit(),
        "loop": {"period_s": PERIOD_S, "priority": looping.told},
        "clients": CROWDS * CLIENTS,
        "phases": phases,
        "stopped": {
            "gaps_before": gaps,
            "gaps_counted": gaps_after - gaps,
            "sequence_moved": seq_after - seq,
            "gaps_afterwards": gaps_end - gaps_after,
            "sequence_goes_on": seq_end > seq_after,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--page", action="store_true", help="write the section of docs/benchmarks.md")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each phase")
    parser.add_argument("--role", choices=("loop", "crowd", "sleeper"))
    parser.add_argument("--base-port", type=int, default=0)
    words = parser.parse_args()
    if words.role:
        {"loop": loop, "crowd": crowd, "sleeper": sleeper}[words.role](words.base_port)
        return
    result = measure(words.seconds)
    if words.page:
        write_section(FLOOD, flood(result, words.seconds))
    if words.json:
        print(json.dumps(result))
        return
    print(f"loop: {1 / PERIOD_S:g} Hz, {result['loop']['priority']}; {result['clients']} clients")
    for name, row in result["phases"].items():
        print(
            f"  {name:<32}{row['late_steps']:>6} of {row['steps']} steps late, {row['rss_mb']:.1f} MB, "
            f"{row['delivered_per_s']:.0f} messages/s delivered, {row['missed']} missed"
        )
    print(f"  the one that was stopped: {result['stopped']}")


if __name__ == "__main__":
    main()
