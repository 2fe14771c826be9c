"""`boresight emulate`: the emulated bench in real time, for a station in processes of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from controller.cli.connect import DEFAULT_RIG, RigOption, RunDirOption
from controller.cli.connect import DEFAULT_RUN_DIR as RUN_DIR
from controller.cli.sources import EphemerisOption
from controller.errors import BoresightError

if TYPE_CHECKING:
    from controller.bus.socket_port import SocketPort
    from controller.cli.bench import Bench
    from controller.pointing.passes import Pass
    from hal.clock import Clock
    from hal.rig import Rig

TARGET_FILE = "target.tle"  # beside the address file: what is in the emulated sky
EPHEMERIS_FILE = "target.json"  # likewise, where that comes from an ephemeris
TRUTH_HZ = 20
BEAT_TURNS = 2
KEEP_S = 60.0  # of the truth, when nobody wants a summary of it
PRIORITY = 60  # above every service: what it emulates would not wait for the host either


def emulate(
    rig: RigOption = DEFAULT_RIG,
    run_dir: RunDirOption = RUN_DIR,
    seed: Annotated[int, typer.Option(help="Draws misalignment, ephemeris error, jitter, turbulence and noise.")] = 1,
    target: Annotated[str, typer.Option(help="Satellite by name or catalogue number; default: the best pass.")] = "",
    tle: Annotated[Path | None, typer.Option(help="File of element sets; default: those that are built in.")] = None,
    ephemeris: EphemerisOption = None,
    scenario: Annotated[str, typer.Option(help="World to put it in: a name or a TOML file.")] = "default",
    start_before: Annotated[
        float, typer.Option(help="Seconds from the start to the rise; calibration and slew took 520 in real time.")
    ] = 540.0,
    above_limits: Annotated[bool, typer.Option(help="Emulate a pass that asks too much of the gimbal.")] = False,
    summary: Annotated[
        bool,
        typer.Option(
            "--summary",
            help="At the end sum up the newest recording and name it recording.mcap; an older one of that name is "
            "removed, with the files that follow it.",
        ),
    ] = False,
) -> None:
    """Serve a rig's emulated devices on ptys, USB/IP and sockets, under the sky of a real pass, until Ctrl-C."""
    from rich.console import Console

    from controller.cli.aftermath import write_aftermath
    from controller.services.signals import stop_signals

    console = Console(stderr=True)
    with stop_signals() as told:
        console.print("choosing the pass and compiling the world (the next start is quicker)")
        source = Source(target, tle, ephemeris)
        coming, bench = _bench(rig, run_dir, seed, source, scenario, start_before, above_limits)
        with bench, _announced(run_dir, bench, coming, source):
            if not summary:
                bench.world.log.keep_s = KEEP_S
            _say(console, bench, coming, run_dir)
            _serve(console, bench, told)
            if summary:
                console.print(f"summary: {write_aftermath(run_dir, bench, coming, seed)}")


class Source(NamedTuple):
    """Where the emulated target comes from, as the command line says it."""

    target: str
    tle: Path | None
    ephemeris: str | None


def _bench(
    rig_path: Path,
    run_dir: Path,
    seed: int,
    source: Source,
    scenario: str,
    start_before_s: float,
    above_limits: bool,
) -> tuple[Pass, Bench]:
    """The world whose pass is about to begin; of a rig with a real device, the real sky of today."""
    from controller.cli.bench import check_scenario, open_bench
    from controller.cli.demo import choose_pass
    from controller.cli.rig import emulated_devices
    from hal.clock import NS, RealClock, ShiftedClock
    from hal.rig import load_rig

    wanted = emulated_devices(rig_path)
    rig = load_rig(rig_path, dict.fromkeys(wanted, ""))
    if not wanted:
        raise BoresightError(f'{rig_path}: no device has resource = "emulated"; there is nothing to emulate.')
    clock: Clock
    if set(wanted) == set(rig.devices):
        coming = choose_pass(rig, source.tle, source.target, above_limits, source.ephemeris).target
        clock, utc0_ns = ShiftedClock(0), coming.rise_utc_ns - round(start_before_s * NS)
    else:
        clock = RealClock()
        coming, utc0_ns = _today(rig, source, clock.utc_ns()), clock.utc_ns()
    check_scenario(scenario)  # nothing is left behind by a wrong one
    _make(run_dir)
    bench = open_bench(rig_path, coming.elements, utc0_ns, scenario, seed, wires="pty", clock=clock, run_dir=run_dir)
    return coming, bench


def _today(rig: Rig, source: Source, now_utc_ns: int) -> Pass:
    """The next real pass: beside a real device, UTC cannot be that of another day."""
    import math

    from controller.cli.factories import observer_of
    from controller.cli.sources import caution, load_targets
    from controller.pointing.elements import ElementSet
    from controller.pointing.passes import DAY_NS, PassError, find_passes
    from controller.pointing.plan import never_rises

    if not source.target and source.ephemeris is None:
        raise BoresightError("a rig with a real device lives today: name the satellite with --target.")
    (elements,) = load_targets(source.tle, source.ephemeris, source.target)
    if isinstance(elements, ElementSet):
        elements.check_age(now_utc_ns)
    else:
        caution(elements, now_utc_ns)
    observer, mask_rad = observer_of(rig), math.radians(rig.station.elevation_mask_deg)
    found = find_passes(elements, observer.site, observer.earth, now_utc_ns, now_utc_ns + DAY_NS, mask_rad)
    if not found:
        raise PassError(never_rises([elements], observer.site, mask_rad))
    return found[0]


def _make(run_dir: Path) -> None:
    from controller.cli.rig import ADDRESS_FILE

    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BoresightError(f"{run_dir}: cannot be made ({error.strerror}); choose another with --run-dir.") from None
    if (run_dir / ADDRESS_FILE).exists():
        raise BoresightError(
            f"{run_dir / ADDRESS_FILE} says that a bench is served there already; end that one, or choose another "
            "--run-dir. If it was killed, remove the file."
        )


@contextmanager
def _announced(run_dir: Path, bench: Bench, coming: Pass, source: Source) -> Iterator[None]:
    """Say in the run directory what is where, for as long as it is true."""
    from controller.cli.rig import ADDRESS_FILE, UTC_OFFSET
    from controller.cli.sources import is_body
    from controller.pointing.elements import ElementSet

    elements, word = coming.elements, source.ephemeris
    if word is not None:
        flies = {"ephemeris": word if is_body(word) else str(Path(word).resolve()), "target": elements.name}
        (run_dir / EPHEMERIS_FILE).write_text(json.dumps(flies, indent=2) + "\n", encoding="utf-8")
    elif isinstance(elements, ElementSet):
        (run_dir / TARGET_FILE).write_text(f"{elements.name}\n{elements.line1}\n{elements.line2}\n", encoding="utf-8")
    path = run_dir / ADDRESS_FILE
    content = json.dumps({**bench.addresses, UTC_OFFSET: bench.utc_offset_ns}, indent=2) + "\n"
    partial = path.with_suffix(".tmp")
    partial.write_text(content, encoding="utf-8")
    partial.replace(path)  # whoever sees the file sees all of it
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        for name in (TARGET_FILE, EPHEMERIS_FILE):
            (run_dir / name).unlink(missing_ok=True)


def _say(console: Any, bench: Bench, coming: Pass, run_dir: Path) -> None:
    def when(utc_ns: int) -> str:
        return datetime.fromtimestamp(utc_ns * 1e-9, UTC).strftime("%Y-%m-%d %H:%M:%S")

    world = bench.world
    for device, address in bench.addresses.items():
        console.print(f"  {device:<12}{address}", highlight=False, soft_wrap=True)
    console.print(
        f"it is {when(world.timeline.utc0_ns)} UTC there; {coming.elements.name} rises in "
        f"{(coming.rise_utc_ns - world.timeline.utc_ns) * 1e-9:.0f} s, at {when(coming.rise_utc_ns)}, and sets at "
        f"{when(coming.set_utc_ns)}",
        highlight=False,
    )
    rig = "" if bench.rig.path == DEFAULT_RIG else f" --rig {bench.rig.path}"
    console.print(
        f"next, in another terminal: boresight run{rig} --run-dir {run_dir} --fly    (Ctrl-C ends the bench)",
        highlight=False,
        soft_wrap=True,
    )


def _serve(console: Any, bench: Bench, told: Callable[[], bool]) -> None:
    from controller.bus.socket_port import SocketPort
    from controller.cli.connect import service_security, table_of
    from controller.services.host import keep_memory, take_priority

    reactor, security = bench.reactor, service_security(bench.rig)
    port = SocketPort("bench", _clock(bench), table_of(bench.rig), simulated=True, security=security)
    keep_memory()
    if warning := take_priority(PRIORITY):
        console.print(f"the bench {warning}", style="yellow")
    try:
        Truthful(bench, port).begin()
        reactor.turn()  # makes up for the time since the world was built, which is nobody's loss
        reactor.count_anew()
        reactor.run(told)
    finally:
        port.close()
        share = reactor.late_steps / max(reactor.steps, 1)
        console.print(
            f"{reactor.steps} steps, {reactor.late_steps} of them late by more than 1 ms ({share:.3%}); the latest by "
            f"{reactor.lateness_max_ns * 1e-6:.1f} ms",
            highlight=False,
        )


def _clock(bench: Bench) -> Clock:
    from hal.clock import RealClock, ShiftedClock

    return ShiftedClock(bench.utc_offset_ns) if bench.utc_offset_ns else RealClock()


class Truthful:
    """Publishes what is so: fifty times a second, and at every change of the enable line."""

    def __init__(self, bench: Bench, port: SocketPort) -> None:
        self._bench = bench
        self._port = port
        self._turns = 0

    def begin(self) -> None:
        """From now on, as events of the world."""
        self._bench.world.on_enable_change.append(lambda up: self._publish())
        self._turn()

    def _turn(self) -> None:
        from controller.bus.port import Reply
        from controller.bus.topics import SERVICE_HEARTBEAT, Heartbeat

        world, port, reactor = self._bench.world, self._port, self._bench.reactor
        world.timeline.after(1 / TRUTH_HZ, self._turn)
        for request in port.requests():
            code = "" if request.control else "SCHEMA"
            port.answer(request, Reply(code, "the bench only shows what is so"))
        self._publish()
        self._turns += 1
        if self._turns % BEAT_TURNS == 0:
            port.publish(SERVICE_HEARTBEAT, Heartbeat(world.timeline.utc_ns, reactor.steps, reactor.late_steps))

    def _publish(self) -> None:
        from controller.bus.topics import SIM_TRUTH, Truth

        self._port.publish(SIM_TRUTH, Truth(**self._bench.world.truth()))
