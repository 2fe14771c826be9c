"""The ASCOM Initiative's alpyca on our emulated server, and our driver on somebody else's, alpaca-simulators."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ideal_axes import IdealAxes
from reactor_loop import Loop
from rotators import LIMITS

from hal.clock import NS, RealClock
from hal.conformance import SUITES, Terms, run_suite
from hal.devices.alpaca import Alpaca, telescope
from hal.devices.alpaca.server import Server
from hal.errors import DeviceError
from sim_hw.devices import alpaca as emulated
from sim_hw.timeline import Timeline
from sim_hw.wires.tcp import TcpSessions

pytestmark = pytest.mark.stranger
DEG = math.radians(1.0)
CLOCK = RealClock()
START_S = 90.0
Package = Callable[[str], ModuleType]


def until(so: Callable[[], bool], seconds: float = 60.0) -> bool:
    for _ in range(round(seconds * 20)):
        if so():
            return True
        CLOCK.sleep_until(CLOCK.now_ns() + NS // 20)
    return False


@pytest.fixture
def alpyca(package: Package) -> Iterator[tuple[Any, emulated.Telescope, ModuleType, str]]:
    """Its telescope, connected to ours; ours; its module; and where it is."""
    library = package("alpaca.telescope")
    timeline = Timeline()
    server = emulated.Alpaca(timeline, IdealAxes(timeline, azimuth_deg=10.0, elevation_deg=40.0), **LIMITS)
    with Loop(timeline) as loop:
        sessions = loop.call(lambda: TcpSessions(loop.reactor, server.another))
        telescope = library.Telescope(f"127.0.0.1:{sessions.port}", 0)
        telescope.Connected = True
        yield telescope, server.telescope, library, f"127.0.0.1:{sessions.port}"
        telescope.rqs.close()
        loop.call(sessions.close)


def test_alpyca_reads_what_the_telescope_is_and_where(alpyca: Any, package: Package) -> None:
    telescope, _, library, address = alpyca
    assert (telescope.Azimuth, telescope.Altitude) == pytest.approx((10.0, 40.0))
    assert (telescope.Connected, telescope.AtPark, telescope.Tracking, telescope.Slewing) == (True, False, False, False)
    assert telescope.AlignmentMode == library.AlignmentModes.algAltAz
    assert telescope.InterfaceVersion == 3
    axes = library.TelescopeAxes
    assert [telescope.CanMoveAxis(axis) for axis in axes] == [True, True, False]
    (rates,) = telescope.AxisRates(axes.axisPrimary)
    assert (rates.Minimum, rates.Maximum) == pytest.approx((0.0, math.degrees(LIMITS["rate_max_rad_s"])))
    management = package("alpaca.management")
    assert management.apiversions(address) == [1]
    (device,) = management.configureddevices(address)
    assert (device["DeviceType"], device["DeviceNumber"]) == ("Telescope", 0)


def test_alpyca_moves_an_axis_and_stops_it(alpyca: Any) -> None:
    telescope, ours, library, _ = alpyca
    axis = library.TelescopeAxes.axisSecondary
    telescope.MoveAxis(axis, 2.0)
    assert telescope.Slewing
    assert until(lambda: telescope.Altitude > 41.0)
    telescope.MoveAxis(axis, 0.0)
    assert until(lambda: not telescope.Slewing)
    assert telescope.Altitude == telescope.Altitude == pytest.approx(ours.angles_deg[1])
    assert telescope.Azimuth == pytest.approx(10.0)


def test_alpyca_slews_and_aborts_a_slew(alpyca: Any) -> None:
    telescope, ours, _, _ = alpyca
    telescope.SlewToAltAzAsync(5.0, 42.0)
    assert telescope.Slewing
    assert until(lambda: not telescope.Slewing)
    assert (telescope.Azimuth, telescope.Altitude) == pytest.approx((5.0, 42.0), abs=0.01)
    telescope.SlewToAltAzAsync(185.0, 42.0)
    assert until(lambda: not 4.9 < telescope.Azimuth < 5.1)
    telescope.AbortSlew()
    assert until(lambda: not telescope.Slewing)
    assert telescope.Azimuth == telescope.Azimuth
    assert not 175.0 < ours.angles_deg[0] < 195.0


def test_alpyca_parks_and_unparks_it(alpyca: Any, package: Package) -> None:
    telescope, _, library, _ = alpyca
    errors = package("alpaca.exceptions")
    telescope.SetPark()
    telescope.Park()
    assert until(lambda: telescope.AtPark)
    with pytest.raises(errors.ParkedException):
        telescope.MoveAxis(library.TelescopeAxes.axisPrimary, 1.0)
    with pytest.raises(errors.ParkedException):
        telescope.SlewToAltAzAsync(1.0, 1.0)
    telescope.Unpark()
    assert not telescope.AtPark


def test_alpyca_raises_the_error_that_the_refusal_means(alpyca: Any, package: Package) -> None:
    telescope, ours, library, address = alpyca
    errors, primary = package("alpaca.exceptions"), library.TelescopeAxes.axisPrimary
    with pytest.raises(errors.InvalidValueException):
        telescope.MoveAxis(primary, 99.0)
    with pytest.raises(errors.InvalidValueException):
        telescope.SlewToAltAzAsync(10.0, 95.0)
    with pytest.raises(errors.NotImplementedException):
        telescope.FindHome()
    with pytest.raises(errors.NotImplementedException):
        _ = telescope.SiteLatitude
    telescope.Tracking = True
    with pytest.raises(errors.InvalidOperationException):
        telescope.SlewToAltAzAsync(10.0, 50.0)
    telescope.Connected = False
    with pytest.raises(errors.NotConnectedException):
        _ = telescope.Azimuth
    another = library.Telescope(address, 7)
    with pytest.raises(errors.AlpacaRequestException, match="there is /api/v1/telescope/0"):
        _ = another.Azimuth
    another.rqs.close()
    assert not ours.slewing


@pytest.fixture(scope="module")
def simulators(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Somebody else's server: telescope 0 as it comes (equatorial, parked), telescope 1 at the South Pole.

    There the axes of an equatorial mount are those of an alt-azimuth one, altitude upside down.
    """
    yaml, folder = package("yaml"), tmp_path_factory.mktemp("alpaca")
    package("alpaca_simulators")
    spec = find_spec("alpaca_simulators")
    assert spec is not None
    assert spec.origin is not None
    config = yaml.safe_load((Path(spec.origin).parent / "config" / "template.yaml").read_text(encoding="utf-8"))
    telescopes = config["devices"]["telescope"]
    telescopes[0]["slew_rate"] = 3.0  # so slow that a long slew lasts until it is stopped
    telescopes[1] = deepcopy(telescopes[0]) | {
        "name": "At the South Pole", "interfaceversion": 4, "alignmentmode": 0,
        "sitelatitude": -90.0, "declination": -45.0,
    }  # fmt: skip
    config["devices"] = {"telescope": telescopes}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    said = folder / "log"
    options = ["--host", "127.0.0.1", "--port", "0", "--config", str(folder / "config.yaml")]
    with said.open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "alpaca_simulators.run_simulator", *options],
            cwd=folder, stdout=log, stderr=log, env=os.environ | {"HOME": str(folder)},
        )  # fmt: skip
    try:
        listens = "Uvicorn running on http://127.0.0.1:"
        assert until(lambda: listens in said.read_text(), START_S), said.read_text()
        yield f"http://127.0.0.1:{said.read_text().partition(listens)[2].split()[0]}/api/v1/telescope/"
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested is what somebody else's server answers, not how soon on a busy machine."""
    monkeypatch.setattr(Server, "reply_timeout_s", 30.0)
    monkeypatch.setattr(telescope, "OPENING_TIMEOUT_S", 30.0)


def opened(resource: str, **more: Any) -> Alpaca:
    limits = {"rate_max_rad_s": 12 * DEG, "acceleration_max_rad_s2": 90 * DEG, "command_latency_s": 0.2}
    return Alpaca(resource, 0, CLOCK, **limits, **more)


def stands(mount: Alpaca) -> bool:
    """It is where it was some of the server's steps ago."""
    then = mount.position()
    CLOCK.sleep_until(CLOCK.now_ns() + NS // 2)
    now = mount.position()
    return max(abs(now.azimuth_rad - then.azimuth_rad), abs(now.elevation_rad - then.elevation_rad)) < 1e-4


def test_our_driver_sends_somebody_else_s_telescope_and_stops_it(simulators: str) -> None:
    mount = opened(simulators + "0")
    assert mount.identity["name"] == "Simulator Telescope"
    assert mount.capabilities.best == "position"  # equatorial
    here = mount.position()
    azimuth, elevation = here.azimuth_rad - 8 * DEG, here.elevation_rad + 5 * DEG
    mount.go_to(azimuth, elevation)

    def there() -> bool:
        now = mount.position()
        return max(abs(math.remainder(now.azimuth_rad - azimuth, math.tau)), abs(now.elevation_rad - elevation)) < 1e-4

    assert until(there)
    mount.go_to(azimuth + 170 * DEG, elevation)
    assert until(lambda: not there())
    mount.stop()
    assert until(lambda: stands(mount))
    assert abs(math.remainder(mount.position().azimuth_rad - azimuth, math.tau)) < 160 * DEG
    mount.close()


def test_our_driver_tells_what_somebody_else_s_telescope_refuses(simulators: str) -> None:
    mount = opened(simulators + "0")
    with pytest.raises(DeviceError, match=r"slewtoaltazasync with error 0x401 \(Altitude must be between") as refused:
        mount.go_to(1.0, -10 * DEG)
    assert refused.value.code == 0x401
    mount._server.put("park")
    with pytest.raises(DeviceError, match=r"error 0x408 \(Telescope is parked\): its telescope is parked; say"):
        mount.go_to(1.0, 0.5)
    mount.close()
    mount = opened(simulators + "0")
    mount.go_to(1.0, 0.5)
    mount.stop()
    mount.close()
    with pytest.raises(DeviceError, match="Device telescope:7 not found"):
        opened(simulators + "7")


def test_our_driver_turns_somebody_else_s_axes_by_rates_that_it_names(simulators: str) -> None:
    mount = opened(simulators + "1", reversed_axes=["elevation"])
    able = mount.capabilities
    assert (able.best, math.degrees(able.rate_max_rad_s)) == ("rate", pytest.approx(10.0))
    start = mount.position()
    assert start.elevation_rad == pytest.approx(45 * DEG, abs=0.01)
    mount.set_rate(3 * DEG, -2 * DEG)

    def turned(axis: str) -> float:
        return math.remainder(getattr(mount.position(), axis) - getattr(start, axis), math.tau)

    assert until(lambda: turned("azimuth_rad") > 1 * DEG)
    assert until(lambda: turned("elevation_rad") < -1 * DEG)
    mount.stop()
    assert until(lambda: stands(mount))
    mount.close()


def test_our_driver_stops_somebody_else_s_axis_that_turns_the_other_way(simulators: str) -> None:
    mount = opened(simulators + "1")
    mount.set_rate(1 * DEG, 1 * DEG)
    with pytest.raises(DeviceError, match="its elevation turns the other way than it was told, so it was stopped"):
        until(lambda: mount.position() is None)
    assert until(lambda: stands(mount))
    mount.close()


@pytest.mark.parametrize("number", ["0", "1"])
def test_somebody_else_s_telescope_does_what_the_trait_of_a_gimbal_says_at_rest(simulators: str, number: str) -> None:
    terms = Terms(motion=False)
    report = run_suite("gimbal", SUITES["gimbal"], lambda: opened(simulators + number), CLOCK, terms)
    assert [f"{f.sentence}: {f.detail}" for f in report.findings if f.verdict == "fail"] == []
