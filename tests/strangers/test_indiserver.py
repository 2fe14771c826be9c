"""Our INDI client drives the telescope simulator of INDI's own server, and INDI's own clients our emulated server."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ideal_axes import IdealAxes
from indi_server import PACKAGE, wait_until
from indi_server import Indi as Server
from reactor_loop import Loop
from rotators import FAMILIES, LIMITS

from hal.clock import NS, RealClock
from hal.conformance import SUITES, Terms, run_suite
from hal.devices import indi
from hal.devices.indi.equatorial import horizontal_of, sidereal_deg
from hal.errors import DeviceError
from hal.guardian import Guardian
from sim_hw.devices.indi import Indi as Emulated
from sim_hw.timeline import Timeline
from sim_hw.wires.tcp import TcpSessions

pytestmark = pytest.mark.stranger

DEG = math.radians(1.0)
SITE = 48.0, 11.0, 500.0
HERE_DEG = 0.05  # what the simulator's angles turn with the sky between two of its readings, many times over


@pytest.fixture
def server(program: Callable[[str, str], str], tmp_path: Path) -> Iterator[Server]:
    server = Server(program, tmp_path, "indi_simulator_telescope", "Telescope Simulator")
    try:
        assert server.wait_for("CONNECTION.DISCONNECT", "On", seconds=15)
        yield server
    finally:
        server.close()


def opened(server: Server) -> indi.Indi:
    telescope: indi.Indi = FAMILIES["indi"].open(f"tcp://127.0.0.1:{server.port}", RealClock(), site=SITE)
    return telescope


def arrives(telescope: indi.Indi, azimuth_deg: float, elevation_deg: float) -> bool:
    def there() -> bool:
        here = telescope.position()
        away_rad = (
            math.remainder(here.azimuth_rad - azimuth_deg * DEG, math.tau),
            here.elevation_rad - elevation_deg * DEG,
        )
        return max(map(abs, away_rad)) < HERE_DEG * DEG

    return wait_until(there, 120)


def test_our_client_does_what_its_trait_says_on_indis_telescope_simulator(server: Server) -> None:
    report = run_suite("gimbal", SUITES["gimbal"], lambda: opened(server), RealClock(), Terms(motion=False))
    assert [f"{f.sentence}: {f.detail}" for f in report.findings if f.verdict == "fail"] == []
    assert sum(f.verdict == "pass" for f in report.findings) >= 5


def test_our_client_connects_sends_and_stops_indis_telescope_simulator(server: Server) -> None:
    telescope = opened(server)
    assert telescope.identity["model"] == "Telescope Simulator"
    assert float(server.get("GEOGRAPHIC_COORD.LAT")) == SITE[0]
    telescope.go_to(60 * DEG, 30 * DEG)
    assert server.get("EQUATORIAL_EOD_COORD._STATE") == "Busy"
    telescope.stop()
    assert server.get("EQUATORIAL_EOD_COORD._STATE") == "Idle"
    telescope.go_to(15 * DEG, 47 * DEG)
    assert arrives(telescope, 15, 47)
    # Its declination there, by spherical trigonometry: sin d = sin h sin f + cos h cos f cos A.
    sine = math.sin(47 * DEG) * math.sin(48 * DEG) + math.cos(47 * DEG) * math.cos(48 * DEG) * math.cos(15 * DEG)
    assert float(server.get("EQUATORIAL_EOD_COORD.DEC")) == pytest.approx(math.degrees(math.asin(sine)), abs=HERE_DEG)
    telescope.close()


def test_the_simulator_that_follows_the_stars_once_it_is_there_stands_still_when_it_is_read(server: Server) -> None:
    telescope, clock = opened(server), RealClock()
    telescope.go_to(15 * DEG, 47 * DEG)
    assert arrives(telescope, 15, 47)
    assert wait_until(lambda: bool(telescope.position()) and server.get("EQUATORIAL_EOD_COORD._STATE") == "Idle", 60)
    first = telescope.position()
    clock.sleep_until(clock.now_ns() + 6 * NS)
    last = telescope.position()
    stars_deg = 6 * 15 / 3600
    turned_deg = math.hypot(last.azimuth_rad - first.azimuth_rad, last.elevation_rad - first.elevation_rad) / DEG
    assert turned_deg < stars_deg / 3
    telescope.close()


def test_our_sidereal_time_is_that_of_indis_simulator(server: Server) -> None:
    """Its right ascension plus the angle that its primary axis shows is its sidereal time."""
    telescope = opened(server)
    lst_deg = sidereal_deg(RealClock().utc_ns(), SITE[1])
    azimuth_deg, elevation_deg = horizontal_of(((lst_deg - 85) / 15, 80), SITE[0], lst_deg)  # not far from where it is
    telescope.go_to(azimuth_deg * DEG, elevation_deg * DEG)
    assert arrives(telescope, azimuth_deg, elevation_deg)
    hours = float(server.get("EQUATORIAL_EOD_COORD.RA"))
    lst_deg = sidereal_deg(RealClock().utc_ns(), SITE[1])
    axis_deg = float(server.get("MOUNT_AXES.PRIMARY"))
    hour_angle_deg = math.remainder(lst_deg - 15 * hours, 360)
    assert abs(math.remainder(axis_deg - hour_angle_deg, 180)) < HERE_DEG  # 180: on the pier's other side
    telescope.close()


def test_a_parked_simulator_is_told_to_be_parked_and_is_unparked_by_opening(server: Server) -> None:
    telescope = opened(server)
    server.set("TELESCOPE_PARK_OPTION.PARK_CURRENT=On")  # here
    server.set("TELESCOPE_PARK.PARK=On")
    assert server.wait_for("TELESCOPE_PARK.PARK", "On", seconds=15)
    # Each look of INDI's own client has the server tell everybody everything: who never listens would be far behind.
    assert wait_until(lambda: bool(telescope.position()) and server.get("TELESCOPE_PARK._STATE") == "Ok", 60)
    with pytest.raises(DeviceError, match="its azimuth is parked; say"):
        telescope.go_to(15 * DEG, 47 * DEG)
    telescope.close()
    telescope = opened(server)
    telescope.go_to(15 * DEG, 47 * DEG)
    assert server.get("EQUATORIAL_EOD_COORD._STATE") == "Busy"
    telescope.stop()
    telescope.close()


def test_the_guardian_of_an_owner_that_died_stops_the_simulator(server: Server) -> None:
    with Guardian.start("indi", f"tcp://127.0.0.1:{server.port}", 9600) as guardian:
        telescope = opened(server)
        telescope.go_to(200 * DEG, 30 * DEG)
        telescope.close()
        assert server.get("EQUATORIAL_EOD_COORD._STATE") == "Busy"
        assert guardian.release(wait_s=30)
    assert server.get("EQUATORIAL_EOD_COORD._STATE") == "Idle"


def test_angles_of_before_a_disconnection_at_the_server_are_an_error(server: Server) -> None:
    telescope = opened(server)
    server.set("CONNECTION.DISCONNECT=On")
    assert server.wait_for("CONNECTION.DISCONNECT", "On", seconds=15)
    with pytest.raises(DeviceError, match="was disconnected at the server"):
        telescope.position()
    telescope.close()


@pytest.mark.parametrize("equatorial", [False, True], ids=["horizontal", "equatorial"])
def test_indis_own_clients_drive_our_emulated_server(program: Callable[[str, str], str], equatorial: bool) -> None:
    timeline = Timeline(RealClock().utc_ns())
    axes = IdealAxes(timeline, azimuth_deg=180.0, elevation_deg=45.0)
    device = Emulated(timeline, axes, equatorial=equatorial, **LIMITS)
    set_, get = program("indi_setprop", PACKAGE), program("indi_getprop", PACKAGE)
    with Loop(timeline) as loop:
        sessions = loop.call(lambda: TcpSessions(loop.reactor, device.another))
        at = ["-h", "127.0.0.1", "-p", str(sessions.port), "-t", "2"]

        def run(*words: str) -> str:
            done = subprocess.run([words[0], *at, *words[1:]], capture_output=True, text=True, timeout=20)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout.strip()

        run(set_, "Telescope Emulator.CONNECTION.CONNECT=On")
        assert run(get, "-1", "Telescope Emulator.CONNECTION.CONNECT") == "On"
        where = "EQUATORIAL_EOD_COORD" if equatorial else "HORIZONTAL_COORD"
        there = "RA;DEC=" if equatorial else "ALT;AZ="
        run(set_, "Telescope Emulator.ON_COORD_SET.SLEW=On")
        hours = sidereal_deg(RealClock().utc_ns(), 0.0) / 15  # the meridian of 0, 0, where it believes that it stands
        run(set_, f"Telescope Emulator.{where}.{there}" + (f"{hours:.4f};-40" if equatorial else "50;175"))
        assert wait_until(lambda: run(get, "-1", f"Telescope Emulator.{where}._STATE") == "Busy", 5)
        assert wait_until(lambda: run(get, "-1", f"Telescope Emulator.{where}._STATE") == "Idle", 60)
        azimuth, elevation = (math.degrees(angle) for angle in axes.encoder_rad())
        assert (azimuth, elevation) == pytest.approx((180 if equatorial else 175, 50), abs=0.1)
        loop.call(sessions.close)
