"""A subscriber that is stopped costs the loop nothing, the others nothing, and memory a bounded amount."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import zmq

from controller.bus.endpoints import Table
from controller.bus.envelope import body_as, unframe
from controller.bus.socket_port import SocketPort
from controller.bus.topics import STATION_EVENT, StationEvent
from hal.clock import NS, Deadline, RealClock

OTHERS = 4
BURSTS, BURST = 150, 100
TEXT = "x" * 2000
FULL_AFTER = 50  # bursts: ring, and what libzmq keeps for a subscriber
MEMORY_MAX = 4_000_000  # of the 20 MB that are sent from then on
PATIENCE_NS = 2 * NS  # for a burst, on a machine that does other things, too; a wait for a subscriber has no end

SUBSCRIBER = """
import json, sys
from controller.bus.client import Client
from controller.bus.endpoints import Endpoints
from controller.bus.topics import STATION_EVENT

table = {name: Endpoints(*at) for name, at in json.loads(sys.argv[1]).items()}
seen, ready = [], False
with Client(table) as client:
    while not seen or seen[-1].body.message != "end":
        client.pause(0.01)
        seen += client.store.drain(STATION_EVENT)
        if seen and not ready:
            ready = print("ready", flush=True) is None
    print(json.dumps([seen[0].seq, seen[-1].seq, len(seen), client.store.gaps[STATION_EVENT.name]]), flush=True)
"""


@contextmanager
def subscriber(table: Table) -> Iterator[subprocess.Popen[str]]:
    where = json.dumps({name: [at.cmd, at.ctl, at.tlm] for name, at in table.items()})
    process = subprocess.Popen([sys.executable, "-c", SUBSCRIBER, where], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str], say: Callable[[], None]) -> str:
    """The next line of the process, while we go on saying something."""
    assert process.stdout is not None
    poller = zmq.Poller()
    poller.register(process.stdout, zmq.POLLIN)
    deadline = Deadline(RealClock(), 20.0)
    while not poller.poll(10):
        assert not deadline.expired, "the subscriber said nothing"
        say()
    return process.stdout.readline()


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_a_stopped_subscriber_costs_bounded_memory_no_step_and_no_other_subscriber_anything(
    port: Callable[..., SocketPort], table: Table, clock: RealClock
) -> None:
    sender = port("link")
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    others = [context.socket(zmq.SUB) for _ in range(OTHERS)]
    for other in others:
        other.setsockopt(zmq.RCVTIMEO, 10_000)
        other.subscribe(STATION_EVENT.name.encode() + b"\0")
        other.connect(table["link"].tlm)

    def say(text: str) -> None:
        sender.publish(STATION_EVENT, StationEvent("info", "LOAD", text))

    try:
        with subscriber(table) as stopped:
            assert said(stopped, lambda: say("begin")) == "ready\n"
            stopped.send_signal(signal.SIGSTOP)
            say("from here")
            for other in others:
                while body_as(unframe(other.recv()), StationEvent).message != "from here":
                    pass
            before = late_steps = got = 0
            for burst in range(BURSTS):
                if burst == FULL_AFTER:
                    before = rss_bytes()
                began_ns = clock.now_ns()
                for _ in range(BURST):
                    say(TEXT)
                sender.drain(STATION_EVENT)
                late_steps += clock.now_ns() - began_ns > PATIENCE_NS
                got += sum(len(other.recv()) > len(TEXT) for other in others for _ in range(BURST))
            grown = rss_bytes() - before
            stopped.send_signal(signal.SIGCONT)
            first, last, received, gaps = json.loads(said(stopped, lambda: say("end")))
    finally:
        for other in others:
            other.close(0)
        context.term()
    assert late_steps == 0
    assert got == OTHERS * BURSTS * BURST, "the others missed something"
    assert grown < MEMORY_MAX
    assert gaps > 0, "it was not stopped for long enough to lose anything"
    assert received + gaps == last - first + 1, "a gap that nobody counted"
    assert last > BURSTS * BURST, "what came after it was continued did not arrive"
