"""What Hamlib 4.7.2 writes, packet by packet, to every emulator that its backends know, on a pty and over TCP.

Debian 12 has Hamlib 4.5.4, which tests/strangers runs. The packets are those that rotctl 4.7.2, built from the tag of
its repository, was seen to send for `p`, `P 175 50` and `S`. Of the backends that both versions have, 202 and 204 alone
differ on the wire: 4.5.4 asks for both angles in one line, 4.7.2 in two.
"""

from __future__ import annotations

import os
import select
import socket
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest
from ideal_axes import IdealAxes
from reactor_loop import Loop
from rotators import FAMILIES, LIMITS

from hal.clock import RealClock
from sim_hw.devices.easycomm import EasyComm
from sim_hw.devices.easycomm_standard import EasyCommStandard
from sim_hw.devices.nexstar import NexStar
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort
from sim_hw.wires.tcp import TcpServer

GUARD_S = 20.0
BAUD = 9600
Exchanges = list[tuple[bytes, bytes | int]]  # a packet, and its answer or how many bytes of it come

SPID_STATUS = b"W" + bytes(10) + b"\x1f "
SPID_STOP = b"W" + bytes(10) + b"\x0f "
ROT2_HERE, MD01_HERE = b"W\5\4\0\0\2\4\0\5\0\2 ", b"W\5\4\0\0\n\4\0\5\0\n "
EASYCOMM: Exchanges = [(b"AZ\n", b"AZ180.0\n"), (b"EL\n", b"EL45.0\n")]
EASYCOMM_GO: Exchanges = [(b"AZ175.0 EL50.0\n", b"")]
LX200: Exchanges = [(b":GVP#", b"LX2001#"), (b":AL#:So00#:Sh90#", b""), (b":GZ#:GA#", b"180\xdf00:00#+45\xdf00:00#")]
IOPTRON: Exchanges = [
    (b":MountInfo#", b"5035"),
    (b":ST0#", b"1"),
    (b":SAL-01#", b"1"),
    (b":GAC#", b"+16200000064800000#"),
]
FLIR: Exchanges = [
    (b"ED\n", b"ED\n*\r\n"),
    (b"FT\n", b"*\r\n"),
    (b"PR\n", b"* 46.2857\r\n"),
    (b"TR\n", b"* 46.2857\r\n"),
    (b"PP\n", b"* 14000\r\n"),
    (b"TP\n", b"* 3500\r\n"),
]
SKYWATCHER: Exchanges = [
    (b":F1\r", b"=\r"),
    (b":F2\r", b"=\r"),
    (b":j1\r", b"=00D28F\r"),
    (b":a1\r", b"=00A41F\r"),
    (b":j2\r", b"=80F483\r"),
    (b":a2\r", b"=00A41F\r"),
]
SKYWATCHER_GO: Exchanges = [
    (b":K1\r", b"=\r"),
    (b":K2\r", b"=\r"),
    (b":f2\r", b"=101\r"),
    (b":G200\r", b"=\r"),
    (b":S2006584\r", b"=\r"),
    (b":J2\r", b"=\r"),
    (b":f1\r", b"=101\r"),
    (b":G100\r", b"=\r"),
    (b":S180618F\r", b"=\r"),
    (b":J1\r", b"=\r"),
]
#: Backend and emulator: what is asked of it at azimuth 180, elevation 45, what sends it on its way, and what stops it.
TRANSCRIPTS: dict[str, tuple[Exchanges, Exchanges, Exchanges]] = {
    "201 easycomm1": ([], [(b"AZ175.0 EL50.0 UP000 XXX DN000 XXX\n", b"")], [(b"SA SE \n", b"")]),
    "202 easycomm2": (EASYCOMM, EASYCOMM_GO, [(b"SA SE \n", b"")]),
    "202 easycomm": (EASYCOMM, EASYCOMM_GO, [(b"SA SE \n", 15)]),
    "204 easycomm3": (EASYCOMM, EASYCOMM_GO, [(b"SA SE \n", b"")]),
    "601 gs232a": ([(b"C2\r", b"+0180+0045\r\n")], [(b"W175 050\r", b"\r")], [(b"S\r", b"\r")]),
    "603 gs232b": (
        [(b"C2\r", b"AZ=180  EL=045\r\n")],
        [(b"W175 050\r", b"\r"), (b"\r", b"")],
        [(b"S\r", b"\r"), (b"\r", b"")],
    ),
    "901 rot2prog": ([(SPID_STATUS, ROT2_HERE)], [(b"W1070\x020820\x02/ ", b"")], [(SPID_STOP, 12)]),
    "902 rot1prog": ([(SPID_STATUS, b"W\5\4\0 ")], [(b"W5350" + bytes(6) + b"/ ", b"")], [(SPID_STOP, 5)]),
    "903 md01": ([(SPID_STATUS, MD01_HERE)], [(b"W5350\n4100\n/ ", 12)], [(SPID_STOP, 12)]),
    "1401 nexstar": ([(b"Z", b"8000,2000#")], [(b"B7C71,238E", b"#")], [(b"M", b"#")]),
    "1801 lx200": (LX200, [(b":Sz 175*00#:Sa+50*00#:MA#", b"110")], [(b":Q#", b"")]),
    "1901 ioptron": (
        IOPTRON,
        [(b":Sz063000000#", b"1"), (b":Sa+18000000#", b"1"), (b":MS#", b"1"), (b":ST0#", b"1")],
        [(b":Q#", b"1"), (b":ST0#", b"1")],
    ),
    "2501 flir_ptu": (FLIR, [(b"PP13611 TP-1111\n", b"*\r\n*\r\n")], [(b"H\n", b"*\r\n")]),
    "2801 skywatcher": (SKYWATCHER, SKYWATCHER_GO, [(b":K1\r", b"=\r"), (b":K2\r", b"=\r")]),
}


def emulator(name: str, axes: IdealAxes) -> Any:
    others: dict[str, Callable[..., Any]] = {
        "easycomm": EasyComm,
        "easycomm1": partial(EasyCommStandard, level=1),
        "nexstar": lambda timeline, mount, **limits: NexStar(timeline, mount, np.random.default_rng(5), **limits),
    }
    if name in others:
        return others[name](axes.timeline, axes, **LIMITS)
    return FAMILIES[name].emulator(axes.timeline, axes)


class Host:
    """The far end of a wire, as Hamlib has it: a file descriptor."""

    def __init__(self, fd: int, axes: IdealAxes) -> None:
        self.axes = axes
        self._fd, self._clock = fd, RealClock()

    def play(self, exchanges: Exchanges) -> list[tuple[bytes, bytes | int]]:
        """What was answered, in the shape of what should be."""
        heard: Exchanges = []
        for packet, answer in exchanges:
            os.write(self._fd, packet)
            wanted = answer if isinstance(answer, int) else len(answer)
            got = self._take(wanted)
            heard.append((packet, len(got) if isinstance(answer, int) else got))
        return heard

    def until(self, so: Callable[[], bool]) -> bool:
        end_ns = self._clock.now_ns() + round(GUARD_S * NS)
        while not (met := so()) and self._clock.now_ns() < end_ns:
            self._clock.sleep_until(self._clock.now_ns() + NS // 500)
        return met

    def _take(self, wanted: int) -> bytes:
        got = b""
        while len(got) < wanted and select.select([self._fd], [], [], GUARD_S)[0]:
            got += os.read(self._fd, wanted - len(got))
        return got


@contextmanager
def on_a_pty(loop: Loop, axes: IdealAxes, device: Any) -> Iterator[int]:
    port = loop.call(lambda: PtyPort(SerialLine(axes.timeline, device, BAUD), loop.reactor))
    fd = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd)
    try:
        yield fd
    finally:
        os.close(fd)
        loop.call(port.close)


@contextmanager
def over_tcp(loop: Loop, axes: IdealAxes, device: Any) -> Iterator[int]:
    server = loop.call(lambda: TcpServer(loop.reactor, device))
    try:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            yield connection.fileno()
    finally:
        loop.call(server.close)


@pytest.fixture(params=[on_a_pty, over_tcp])
def host(request: pytest.FixtureRequest, transcript: str) -> Iterator[Host]:
    axes = IdealAxes(Timeline(), azimuth_deg=180.0, elevation_deg=45.0)
    with Loop(axes.timeline) as loop, request.param(loop, axes, emulator(transcript.split()[1], axes)) as fd:
        yield Host(fd, axes)


@pytest.mark.parametrize("transcript", TRANSCRIPTS)
def test_the_packets_of_hamlib_4_7_are_answered_and_obeyed(transcript: str, host: Host) -> None:
    asks, goes, stops = TRANSCRIPTS[transcript]
    assert host.play(asks) == asks
    assert host.play(goes) == goes
    assert host.until(lambda: any(host.axes.rate))
    assert host.play(stops) == stops
    assert host.until(lambda: not any(host.axes.rate))


@pytest.mark.parametrize("transcript", ["202 easycomm2", "202 easycomm", "204 easycomm3"])
def test_a_target_and_the_questions_after_it_may_come_in_one_packet(transcript: str, host: Host) -> None:
    """As 4.7.2 sends them over TCP when it is told the next thing before the first has gone out."""
    merged: Exchanges = [(b"AZ175.0 EL50.0\nAZ\nEL\n", b"AZ180.0\nEL45.0\n")]
    assert host.play(merged) == merged
    assert host.until(lambda: any(host.axes.rate))
