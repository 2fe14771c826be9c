"""What an operator types, against a toy station on real sockets."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from click.testing import Result
from rich.console import Console
from typer.testing import CliRunner

from controller.bus.endpoints import STATION_SERVICES, static_table
from controller.bus.envelope import BusError, Lease
from controller.bus.holder import leased
from controller.bus.inbox import LEASE_METHODS
from controller.bus.keys import make_key, make_station_key
from controller.bus.lease_desk import LeaseDesk
from controller.bus.port import Reply
from controller.bus.security import Security, station_security
from controller.bus.socket_port import SocketPort
from controller.bus.store import Store
from controller.bus.topics import (
    BUS_GAPS,
    LEASE_LOST,
    LINK_STATE,
    POINTING_STATE,
    SAFETY_LASER,
    SAFETY_STATE,
    SERVICE_HEARTBEAT,
    STATION_EVENT,
    STATION_MODE,
    TRACKING_COARSE,
    TRACKING_FINE,
    CoarseState,
    FineState,
    GapReport,
    Heartbeat,
    LaserState,
    LinkState,
    ModeState,
    PointingState,
    SafetyState,
    StationEvent,
    Vote,
)
from controller.cli import control
from controller.cli.arm import arm
from controller.cli.connect import DEFAULT_RIG, connect, read_rig
from controller.cli.offset import offset
from controller.cli.snapshot import render, snapshot
from controller.cli.status import status
from controller.cli.watch import watch
from controller.pointing.elements import ElementsError, built_in_elements
from controller.pointing.passes import PassError
from hal.clock import NS, RealClock

ZERO = (0.0, 0.0)
SERVED = ("station", "pointing", "safety")


@pytest.fixture
def base_port(free_base_port: Callable[[int], int]) -> int:
    return free_base_port(1 + 3 * len(STATION_SERVICES))


@pytest.fixture
def rig(tmp_path: Path, base_port: int) -> Path:
    path = tmp_path / "rig.toml"
    text = DEFAULT_RIG.read_text()
    assert "base_port = 5560" in text
    path.write_text(text.replace("base_port = 5560", f"base_port = {base_port}"))
    return path


class EpochClock(RealClock):
    """The machine's clock with its UTC at the epoch of the built-in element sets."""

    def __init__(self) -> None:
        self._ahead_ns = super().utc_ns() - built_in_elements()[0].epoch_utc_ns

    def utc_ns(self) -> int:
        return super().utc_ns() - self._ahead_ns


class ToyStation:
    """Station, pointing and safety in one thread; remembers what they were told."""

    def __init__(
        self, base_port: int, clock: RealClock, refuse: dict[str, Reply], security: Security | None = None
    ) -> None:
        self._security = security
        self.told: list[tuple[str, str, dict[str, object]]] = []
        self.leases: list[Lease | None] = []
        self.on_renewal: Callable[[], None] = self.end_consent
        self._consent = True
        self._refuse = refuse
        self._clock = clock
        self._stop, self._ready = threading.Event(), threading.Event()
        self._table = static_table(base_port=base_port)
        self._thread = threading.Thread(target=self._run)

    def end_consent(self) -> None:
        self._consent = False

    def __enter__(self) -> ToyStation:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with ExitStack() as stack:
            ports = []
            for name in SERVED:
                ports.append(SocketPort(name, self._clock, self._table, simulated=True, security=self._security))
                stack.callback(ports[-1].close)
            desk = LeaseDesk(self._clock, ports[0])
            self._ready.set()
            while not self._stop.is_set():
                for port in ports:
                    for request in port.requests():
                        if request.method in LEASE_METHODS:
                            port.answer(request, desk.obey(request))
                            if request.method == "lease.renew":
                                self.on_renewal()
                            continue
                        self.leases.append(request.lease)
                        self.told.append((port.service, request.method, request.body))
                        done = Reply("", f"{port.service} did {request.method}")
                        port.answer(request, self._refuse.get(f"{port.service} {request.method}", done))
                    port.publish(SERVICE_HEARTBEAT, Heartbeat(self._clock.utc_ns(), 7, 3))
                desk.turn()
                self._publish(*ports)
                self._clock.sleep_until(self._clock.now_ns() + NS // 50)

    def _publish(self, station: SocketPort, pointing: SocketPort, safety: SocketPort) -> None:
        now_ns = self._clock.utc_ns()
        station.publish(STATION_MODE, ModeState("SAFE", now_ns, "safety tripped: no beacon", "STARLINK-1"))
        station.publish(STATION_EVENT, StationEvent("warning", "TOY", "the dome is open"))
        station.publish(BUS_GAPS, GapReport({"link/state": 4}))
        votes = [Vote("interlock", False, "the door is open", 0.01, True), Vote("mode", True, "", 0.0)]
        safety.publish(
            SAFETY_STATE, SafetyState(now_ns, False, self._consent, self._consent, "the laser is real", votes)
        )
        safety.publish(SAFETY_LASER, LaserState(now_ns, True, 1.0, 0.5, True, "over-temperature"))
        angles = dict.fromkeys(
            (
                "azimuth_rad",
                "elevation_rad",
                "azimuth_rate_rad_s",
                "elevation_rate_rad_s",
                "target_azimuth_rad",
                "target_elevation_rad",
                "target_azimuth_rate_rad_s",
                "target_elevation_rate_rad_s",
            ),
            1.0,
        )
        pairs = dict.fromkeys(("deviation_rad", "deviation_rate_rad_s", "point_ahead_rad", "correction_rad"), ZERO)
        state = {"range_m": 6e5, "command_latency_s": 0.1, "settled": True, "activity": "track", **angles, **pairs}
        pointing.publish(POINTING_STATE, PointingState(t_utc_ns=now_ns, **state))  # type: ignore[arg-type]
        pointing.publish(TRACKING_COARSE, CoarseState(now_ns, True, (1e-5, 0.0), 1e5, 40.0, ZERO, ZERO, 0.01, 0))
        fine = FineState(now_ns, "track", False, True, ZERO, (1e-6, 0.0), 1.0, ZERO, ZERO, 0, 200, "closed")
        pointing.publish(TRACKING_FINE, fine)
        pointing.publish(LINK_STATE, LinkState(now_ns, 2e-6, 1e-7, above=True))


@pytest.fixture
def station(base_port: int) -> Iterator[Callable[..., ToyStation]]:
    with ExitStack() as stack:

        def make(
            refuse: dict[str, Reply] | None = None, clock: RealClock | None = None, security: Security | None = None
        ) -> ToyStation:
            return stack.enter_context(ToyStation(base_port, clock or RealClock(), refuse or {}, security))

        yield make


def run(*arguments: str) -> Result:
    app = typer.Typer()
    for name, verb in {"status": status, "watch": watch, "arm": arm, "offset": offset}.items():
        app.command(name)(verb)
    for name in ("track", "stop", "park", "reset"):
        app.command(name)(getattr(control, name))
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "120"})


def test_status_shows_mode_services_loops_and_votes(station: Callable[..., ToyStation], rig: Path) -> None:
    station()
    result = run("status", "--rig", str(rig))
    assert result.exit_code == 0, result.output
    for words in (
        "SIMULATED",
        "SAFE  STARLINK-1  safety tripped: no beacon",
        "az 57.296° el 57.296°",
        "error (10.0, 0.0) µrad",
        "LATCHED",
        "over-temperature",
        "2 µW, above the threshold of 0.1 µW",
        "interlock (sim)",
        "the door is open",
        "locked: the laser is real",
        "station missed 4",
    ):
        assert words in result.output


def test_status_as_json_is_one_object_with_ages(station: Callable[..., ToyStation], rig: Path) -> None:
    station()
    seen = json.loads(run("status", "--json", "--rig", str(rig)).stdout)
    assert seen["simulated"]
    assert set(seen["services"]) == set(SERVED)
    assert seen["services"]["station"]["late_steps"] == 3
    assert all(service["alive"] for service in seen["services"].values())
    mode = seen["topics"][STATION_MODE.name]
    assert (mode["body"]["mode"], mode["fresh"]) == ("SAFE", True)
    assert seen["topics"]["safety/state"]["body"]["votes"][0]["name"] == "interlock"
    assert seen["telemetry_gaps"] == {"station": {"link/state": 4}}


def test_a_silent_station_shows_as_silent() -> None:
    paper = io.StringIO()
    Console(width=120, file=paper).print(render(snapshot(Store(), 0)))
    text = paper.getvalue()
    assert "station: silent" in text
    assert "safety: silent, so emission is off" in text


def test_watch_shows_events_and_ends_by_itself(station: Callable[..., ToyStation], rig: Path) -> None:
    station()
    result = run("watch", "--rig", str(rig), "--seconds", "0.5")
    assert result.exit_code == 0, result.output
    assert "station: the dome is open" in result.output
    assert "STARLINK-1" in result.output


def test_watch_ends_with_ctrl_c(station: Callable[..., ToyStation], rig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    station()

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("controller.bus.client.Client.pause", interrupt)
    assert run("watch", "--rig", str(rig)).exit_code == 0


@pytest.mark.parametrize(
    "verb", [["status"], ["status", "--timeout", "0.1"], ["park"], ["reset"], ["watch"], ["track", "X"]]
)
def test_without_a_station_each_verb_says_so_and_how_to_start_one(
    rig: Path, base_port: int, verb: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.cli.connect.ANSWER_S", 0.2)
    result = run(*verb, "--rig", str(rig))
    assert result.exit_code != 0
    assert isinstance(result.exception, BusError)
    sentence = f"no station answers at 127.0.0.1:{base_port}; start one with `boresight run --rig {rig}`"
    assert str(result.exception) == sentence


def test_stop_goes_to_everything_that_moves_or_emits(station: Callable[..., ToyStation], rig: Path) -> None:
    served = station()
    result = run("stop", "--rig", str(rig))
    assert (result.exit_code, result.stdout.strip()) == (0, "station did stop")
    assert sorted(served.told) == [(name, "stop", {}) for name in sorted(SERVED)]


def test_stop_without_a_station_names_the_emergency_stop(rig: Path) -> None:
    result = run("stop", "--rig", str(rig))
    assert result.exit_code == 1
    assert "nothing was stopped" in result.stderr
    assert "emergency stop" in result.stderr


def test_stop_tells_which_service_did_not(station: Callable[..., ToyStation], rig: Path) -> None:
    station({"pointing stop": Reply("DEVICE", "gimbal: the cable is out")})
    result = run("stop", "--rig", str(rig))
    assert result.exit_code == 1
    assert "pointing did not stop: gimbal: the cable is out" in result.stderr


def test_an_offset_says_only_what_it_changes_in_the_units_of_the_bus(
    station: Callable[..., ToyStation], rig: Path
) -> None:
    toy = station()
    result = run("offset", "--time", "-0.4", "--cross-track", "0.5", "--target", "ISS", "--rig", str(rig))
    assert result.exit_code == 0, result.output
    (told,) = [body for service, method, body in toy.told if (service, method) == ("pointing", "pointing.offset")]
    assert told == {"name": "ISS", "time_s": -0.4, "cross_track_rad": pytest.approx(0.0087266, abs=1e-6)}


def test_a_refusal_is_a_sentence_and_a_failure(station: Callable[..., ToyStation], rig: Path) -> None:
    station({"station station.park": Reply("INTERLOCK", "the station is in SAFE: door", "boresight reset first")})
    result = run("park", "--rig", str(rig))
    assert result.exit_code == 1
    assert result.stderr.strip() == "boresight: the station is in SAFE: door (boresight reset first)"
    assert run("reset", "--rig", str(rig)).stdout.strip() == "station did station.reset"


@pytest.mark.parametrize("verb", [["park"], ["reset"], ["arm", "--yes"]])
def test_a_verb_says_who_holds_the_lease_and_does_nothing(
    station: Callable[..., ToyStation], rig: Path, verb: list[str]
) -> None:
    served = station()
    with connect(read_rig(rig), "bob") as bob, leased(bob, "station", "flies STARLINK-1"):
        assert "bob holds the lease of the station: flies STARLINK-1" in run("status", "--rig", str(rig)).output
        result = run(*verb, "--rig", str(rig))
        assert result.exit_code != 0
        assert "bob holds the lease of the station (flies STARLINK-1)" in str(result.exception)
        assert served.told == []
        assert run("stop", "--rig", str(rig)).exit_code == 0
        taken = run(*verb, "--rig", str(rig), "--preempt")
        assert taken.exit_code == 0, taken.output
        assert bob.wait_for(LEASE_LOST) is not None
    assert run(*verb, "--rig", str(rig)).exit_code == 0, "and gives it back"


def test_the_command_line_speaks_with_the_key_that_the_rig_names(
    station: Callable[..., ToyStation], rig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = rig.parent / "keys"
    make_station_key(folder)
    make_key(folder, "anna", "operator")
    make_key(folder, "olga", "observer")
    served = station(security=station_security(folder))
    plain, text = rig, rig.read_text()
    rigs = {}
    for name in ("anna", "olga"):
        rigs[name] = rig.with_name(f"{name}.toml")
        rigs[name].write_text(text.replace("[bus]\n", f'[bus]\nkeys = "keys"\nkey = "{name}"\n'))
    assert run("park", "--rig", str(rigs["anna"])).stdout.strip() == "station did station.park"
    refused = run("park", "--rig", str(rigs["olga"]))
    assert "olga is an observer and may not send lease.acquire" in str(refused.exception)
    assert run("status", "--rig", str(rigs["olga"])).exit_code == 0
    assert run("stop", "--rig", str(rigs["olga"])).exit_code == 0
    monkeypatch.setattr("controller.cli.connect.ANSWER_S", 0.2)
    assert "no station answers" in str(run("park", "--rig", str(plain)).exception)
    (folder / "anna.public").unlink()
    assert "it does not list this key" in str(run("park", "--rig", str(rigs["anna"])).exception)
    assert [method for _, method, _ in served.told] == ["station.park", "stop", "stop", "stop"]


def test_arm_and_confirm_are_sent_under_one_lease(station: Callable[..., ToyStation], rig: Path) -> None:
    served = station()
    result = run("arm", "--yes", "--rig", str(rig))
    assert result.stdout.strip() == "safety did safety.confirm"
    assert result.stderr.splitlines() == [
        "emission ends when this command does: Ctrl-C disarms",
        "emission is off: the laser is real",
    ], "it stays and renews until the consent is over"
    assert [(service, method) for service, method, _ in served.told] == [
        ("safety", "safety.arm"),
        ("safety", "safety.confirm"),
    ]
    assert len({served.leases[-1], served.leases[-2]}) == 1
    assert served.leases[-1] is not None


def test_ctrl_c_disarms_under_the_lease_that_armed(station: Callable[..., ToyStation], rig: Path) -> None:
    served = station()
    served.on_renewal = lambda: os.kill(os.getpid(), signal.SIGINT)
    result = run("arm", "--yes", "--rig", str(rig))
    assert result.stderr.splitlines()[-1] == "emission is off: disarmed"
    assert [method for _, method, _ in served.told] == ["safety.arm", "safety.confirm", "safety.disarm"]
    assert len(set(served.leases)) == 1


def test_track_sends_the_next_pass_by_the_stations_own_time(station: Callable[..., ToyStation], rig: Path) -> None:
    clock = EpochClock()
    served = station(clock=clock)
    target = next(name for name in (item.name for item in built_in_elements()))
    result = run("track", target, "--rig", str(rig), "--above-limits")
    assert result.exit_code == 0, result.output
    ((service, method, body),) = served.told
    assert (service, method, body["name"]) == ("station", "station.track", target)
    start_ns, end_ns = body["start_utc_ns"], body["end_utc_ns"]
    assert isinstance(start_ns, int)
    assert isinstance(end_ns, int)
    assert clock.utc_ns() - 900 * NS < start_ns < end_ns < clock.utc_ns() + 86_400 * NS + 900 * NS
    assert body["line1"] == built_in_elements()[0].line1


def test_track_refuses_old_elements_and_unknown_names(station: Callable[..., ToyStation], rig: Path) -> None:
    served = station()  # its UTC is today's, the built-in elements are from 2025
    name = built_in_elements()[0].name
    old = run("track", name, "--rig", str(rig))
    assert isinstance(old.exception, ElementsError)
    assert "days old" in str(old.exception)
    unknown = run("track", "NO SUCH SATELLITE", "--rig", str(rig))
    assert isinstance(unknown.exception, ElementsError)
    assert served.told == []


def test_track_refuses_what_asks_too_much_of_the_mount(rig: Path) -> None:
    slow = rig.with_name("slow.toml")
    slow.write_text(rig.read_text().replace("rate_max_deg_s = 3.0", "rate_max_deg_s = 0.1"))
    described = read_rig(slow)
    elements = built_in_elements()[0]
    with pytest.raises(PassError, match="--above-limits"):
        control.next_pass(described, elements.name, None, elements.epoch_utc_ns, 14.0, above_limits=False)
    body = control.next_pass(described, elements.name, None, elements.epoch_utc_ns, 14.0, above_limits=True)
    assert body["name"] == elements.name


def test_a_satellite_that_never_rises_is_refused(tmp_path: Path) -> None:
    described = read_rig(DEFAULT_RIG)
    elements = built_in_elements()[0]
    station = described.station.model_copy(update={"latitude_deg": 89.9, "elevation_mask_deg": 80.0})
    polar = SimpleNamespace(station=station, gimbal=described.gimbal)
    with pytest.raises(PassError, match="never rises"):
        control.next_pass(polar, elements.name, None, elements.epoch_utc_ns, 14.0, above_limits=False)


def test_a_bus_that_is_not_on_loopback_is_refused(tmp_path: Path) -> None:
    open_rig = tmp_path / "open.toml"
    open_rig.write_text(DEFAULT_RIG.read_text().replace('host = "127.0.0.1"', 'host = "0.0.0.0"'))
    result = run("status", "--rig", str(open_rig))
    assert result.exit_code != 0
    assert "loopback" in str(result.exception)
