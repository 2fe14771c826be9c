"""Hamlib's rotctld on our emulator with our client on rotctld; and Hamlib's client on our emulated rotctld."""

from __future__ import annotations

import math
import socket
import subprocess
from collections.abc import Callable, Iterator

import pytest
from ideal_axes import IdealAxes
from reactor_loop import Loop
from rotators import FAMILIES, LIMITS

from hal.clock import RealClock
from hal.conformance import SUITES, Terms, run_suite
from hal.devices.rotctld import Rotctld
from hal.errors import DeviceError
from sim_hw.devices import rotctld as emulated
from sim_hw.timeline import NS, Timeline
from sim_hw.wires.line import SerialLine
from sim_hw.wires.pty import PtyPort
from sim_hw.wires.tcp import TcpServer

pytestmark = pytest.mark.stranger

DEG = math.radians(1.0)
BAUD = 9600  # slower, Hamlib 4.5.4 takes the CR after its stop for the next answer
BEHIND = {"gs232b": 603, "easycomm2": 202}  # the rotator that rotctld drives, by Hamlib's model


class Chain:
    """Our client, Hamlib's rotctld, our emulator."""

    def __init__(self, resource: str, axes: IdealAxes, line: SerialLine, loop: Loop) -> None:
        self.resource, self.axes, self.line, self.loop = resource, axes, line, loop
        self.clock = RealClock()

    def open(self) -> Rotctld:
        return Rotctld(self.resource, 0, self.clock, command_latency_s=0.1, **LIMITS)

    def until(self, so: Callable[[], bool]) -> bool:
        for _ in range(200):
            if so():
                return True
            self.clock.sleep_until(self.clock.now_ns() + NS // 20)
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def listening(process: subprocess.Popen[bytes], port: int) -> bool:
    clock = RealClock()
    for _ in range(200):
        assert process.poll() is None, "rotctld ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            clock.sleep_until(clock.now_ns() + NS // 20)
        else:
            return True
    return False


@pytest.fixture(params=BEHIND)
def chain(request: pytest.FixtureRequest, program: Callable[[str, str], str]) -> Iterator[Chain]:
    family, timeline, tcp = FAMILIES[request.param], Timeline(), free_port()
    axes = IdealAxes(timeline, azimuth_deg=180.0, elevation_deg=45.0)
    line = SerialLine(timeline, family.emulator(timeline, axes), BAUD)
    with Loop(timeline) as loop:
        port = loop.call(lambda: PtyPort(line, loop.reactor))
        words = [program("rotctld", "libhamlib-utils"), "-m", str(BEHIND[request.param]), "-r", port.path]
        words += ["-s", str(BAUD), "-T", "127.0.0.1", "-t", str(tcp)]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            assert listening(process, tcp)
            yield Chain(f"tcp://127.0.0.1:{tcp}", axes, line, loop)
            process.terminate()
        loop.call(port.close)


def test_our_client_does_what_its_trait_says_on_hamlibs_rotctld(chain: Chain) -> None:
    report = run_suite("gimbal", SUITES["gimbal"], chain.open, chain.clock, Terms(motion=False))
    assert [f"{f.sentence}: {f.detail}" for f in report.findings if f.verdict == "fail"] == []
    assert sum(f.verdict == "pass" for f in report.findings) >= 5


def test_our_client_moves_the_rotator_behind_hamlibs_rotctld(chain: Chain) -> None:
    rotator = chain.open()
    rotator.go_to(175 * DEG, 50 * DEG)

    def there() -> bool:
        here = rotator.position()
        return abs(here.azimuth_rad - 175 * DEG) < 0.1 * DEG and abs(here.elevation_rad - 50 * DEG) < 0.1 * DEG

    assert chain.until(there)
    rotator.close()


def test_our_client_stops_the_rotator_behind_hamlibs_rotctld(chain: Chain) -> None:
    rotator = chain.open()
    rotator.go_to(300 * DEG, 80 * DEG)
    assert chain.until(lambda: any(chain.axes.rate))
    rotator.stop()
    assert chain.until(lambda: not any(chain.axes.rate))
    assert chain.axes.angle[0] < 200 * DEG
    rotator.close()


def test_a_rotator_that_rotctld_has_lost_is_named_by_our_client(chain: Chain) -> None:
    rotator = chain.open()
    chain.loop.call(chain.line.hang_up)

    def named() -> bool:
        try:
            rotator.position()
        except DeviceError as error:
            return "rotctld answers 'p' with error -" in str(error)
        except Exception:
            return False
        return False

    assert chain.until(named)
    rotator.close()


@pytest.fixture
def rotctl(program: Callable[[str, str], str]) -> Iterator[Callable[..., list[str]]]:
    path, timeline = program("rotctl", "libhamlib-utils"), Timeline()
    axes = IdealAxes(timeline, azimuth_deg=180.0, elevation_deg=45.0)
    with Loop(timeline) as loop:
        server = loop.call(lambda: TcpServer(loop.reactor, emulated.Rotctld(timeline, axes, **LIMITS)))

        def run(*commands: str) -> list[str]:
            words = [path, "-m", "2", "-r", f"127.0.0.1:{server.port}", *commands]
            done = subprocess.run(words, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout.split()

        yield run
        loop.call(server.close)


def test_hamlibs_client_drives_our_emulated_rotctld(rotctl: Callable[..., list[str]]) -> None:
    """In one session: a server of one host at a time may not have seen the last one leave."""
    asked = rotctl("p", "P", "175", "50", "pause", "3", "p", "S", "p")
    assert asked == ["180.00", "45.00", "175.00", "50.00", "175.00", "50.00"]
