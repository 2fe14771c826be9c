"""The tables of docs/reference.md, made from the code that they describe.

`python docs/tables.py` puts them into the page; a test compares.
"""

from __future__ import annotations

import ast
import pkgutil
import re
import tomllib
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import typer.main

import controller
import hal
from controller.cli import VERBS, build
from controller.errors import BoresightError
from hal.drivers import DRIVERS, READ_BACKS, drivers_of
from hal.errors import HalError
from hal.rig import DEVICES, OPTIONAL, RfStation, Terminal
from hal.rig_problems import section_model
from hal.rig_safety import AIRCRAFT_FEEDS
from hal.rig_supervisor import RESTARTABLE
from sim_hw.scenarios import Scenario

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference.md"

RIG_KEYS = {
    "station.name": "in recordings and on reports",
    "station.latitude_deg": "WGS 84, north positive",
    "station.longitude_deg": "WGS 84, east positive",
    "station.height_m": "above the ellipsoid",
    "station.elevation_mask_deg": "passes begin and end here; no emission below",
    "station.pressure_hpa": "at the station, not reduced to sea level: refraction",
    "station.temperature_c": "refraction",
    "station.relative_humidity": "refraction",
    "gimbal.driver": "",
    "gimbal.resource": "where it is, or `emulated`",
    "gimbal.baud": "of a serial resource",
    "gimbal.rate_max_deg_s": "fastest rate of an axis; a pass is planned with 80 % of it",
    "gimbal.acceleration_max_deg_s2": "greatest acceleration of an axis; 80 % of it likewise",
    "gimbal.command_latency_s": "last byte of a rate command to motion; the loops predict ahead by it",
    "gimbal.mount": "how it stands: the first axis of an `equatorial` one points at the pole, of an `alt-alt` level",
    "gimbal.axis_azimuth_deg": "of a mount that is not `alt-az`: where its first axis points, from north through east",
    "gimbal.axis_elevation_deg": "likewise; without both an equatorial axis points at the pole, an alt-alt one north",
    "gimbal.start_azimuth_deg": "of a Sky-Watcher: the angle of its first axis where it was switched on",
    "gimbal.start_elevation_deg": "likewise of the second; both are 90 for an equatorial one at its pole",
    "gimbal.horizon_min_deg": "of a mount that is not `alt-az`: motion to below this elevation is stopped",
    "gimbal.horizon_mask": "CSV file beside the rig file, as that of `[safety]`: the telescope is moved no lower",
    "gimbal.park_azimuth_deg": "where it stows, from north through east",
    "gimbal.park_elevation_deg": "where it stows",
    "gimbal.reversed_axes": "of a telescope behind Alpaca: those whose positive rates lower the angle",
    "gimbal.approach_deg": "each way to a direction that stands still ends upwards in both axes over at least this: "
    "more than their play",
    "gimbal.dead_band_deg": "an axis that is no further off than this is not moved again: motors do not chatter",
    "gimbal.without_power": "what its axes do then: `holds` by worm or brake, `falls`, `turns freely`, or `unknown`",
    "gimbal.position_step_deg": "of a rotator behind rotctld, which does not tell it",
    "gimbal.azimuth_min_deg": "soft limit, inside its stops; of a mount that tells no turns (nexstar, easycomm, "
    "alpaca) it holds where less than a turn is left",
    "gimbal.azimuth_max_deg": "the other end",
    "gimbal.elevation_min_deg": "soft limit: how far down any command turns it",
    "gimbal.elevation_max_deg": "soft limit: how far up any command turns it",
    "gimbal.motion_cut_off": "what a person uses to stop the mount when host or cable is dead",
    "camera.driver": "",
    "camera.resource": "where it is, or `emulated`",
    "camera.frame_rate_hz": "of the coarse loop",
    "camera.exposure_s": "at most one frame",
    "camera.field_deg": "side of the whole image",
    "camera.pixel_scale_urad": "side of a pixel on the sky, to within 10 %; calibration measures it",
    "beam_board.driver": "",
    "beam_board.resource": "where it is, or `emulated`",
    "beam_board.baud": "of a serial resource",
    "laser.driver": "",
    "laser.resource": "where it is, or `emulated`",
    "laser.current_a": "drive current when emitting",
    "laser.current_limit_a": "set in the driver before anything else",
    "laser.alignment_current_a": "of low power alignment on an enclosed bench: `boresight arm --alignment`",
    "laser.alignment_power_max_w": "measured power above it trips then",
    "laser.reads_back": "what the laser has of key and divergence: each that is named votes on emission",
    "shutter.driver": "a rig without [shutter] is complete; with it, it opens for emission alone, and votes",
    "shutter.resource": "where it is, or `emulated`",
    "shutter.baud": "as the controller is set",
    "mirror.driver": "a rig without [mirror] is complete; with it, `boresight rig mirror` tips it",
    "mirror.resource": "where it is, or `emulated`",
    "mirror.baud": "as the controller is set",
    "mirror.x_axis": "which of the controller's axes tips it about x, as its protocol calls it",
    "mirror.y_axis": "and about y",
    "mirror.reach_urad": "soft limit of its own angle to either side of its middle, inside the controller's; a beam "
    "turns by twice",
    "mirror.resolution_urad": "to which it comes and says that it is there, from the data sheet",
    "mirror.settling_s": "until it stands, over a small way",
    "stage.driver": "a rig without [stage] is complete; with it, `boresight rig stage` moves it",
    "stage.resource": "where it is, or `emulated`",
    "stage.baud": "as the controller is set",
    "stage.axis": "as its protocol calls it: zaber `UNIT AXIS`, gcs2 a name, xps `GROUP.POSITIONER`; empty: its first",
    "stage.travel_min_mm": "soft limit from its home, inside the one that the controller keeps",
    "stage.travel_max_mm": "the other end",
    "stage.resolution_mm": "its smallest step; where the protocol counts (zaber, apt), one count, from the data sheet",
    "stage.approach_mm": "every way ends upwards over at least this: more than the play of its screw",
    "stage.speed_max_mm_s": "speed of every motion but the way home; set when it is opened",
    "star_camera.driver": "a rig without [star_camera] is complete; with it, `calibrate --plates` aligns by it",
    "star_camera.resource": "where it is, or `emulated`",
    "star_camera.exposure_s": "long enough for a dozen stars, short enough that the sky stands still: half a second",
    "star_camera.field_deg": "along a row of its pixels, to within 5 %: the solver looks for fields of that size only",
    "star_camera.wavelength_nm": "middle of its band, for which refraction is taken off",
    "power_meter.driver": "",
    "power_meter.resource": "where it is, or `emulated`",
    "power_meter.wavelength_nm": "its correction",
    "power_meter.power_max_w": "received power above it sends the station to SAFE",
    "optics.aperture_m": "diameter, shared by both directions",
    "optics.beacon_wavelength_nm": "what the camera sees",
    "optics.receive_wavelength_nm": "what quad cell and fibre see",
    "optics.transmit_wavelength_nm": "what we send",
    "optics.transmit_divergence_urad": "full angle, 1/e²; half of it is the capture radius of the scan",
    "optics.transmit_power_w": "at the aperture",
    "optics.quad_half_field_urad": "three sigma of the coarse error must fit before the fine loop closes",
    "optics.mirror_range_urad": "line-of-sight angle to either side",
    "radio.frequency_mhz": "a rig with [radio] is an RF station: no camera, laser, optics, acquisition or link",
    "radio.beamwidth_deg": "of the antenna, full width at half power",
    "acquisition.ephemeris_along_track_m": "one sigma of the element set",
    "acquisition.ephemeris_cross_track_m": "one sigma of the element set",
    "acquisition.dwell_s": "one frame of the satellite's detector",
    "acquisition.response_s": "from illuminated to beacon seen",
    "acquisition.success_probability": "of one scan: sets its size",
    "link.received_power_threshold_w": "above it the link counts as up",
    "safety.enclosed_bench": "true: nothing leaves the room, no clearinghouse or aircraft to ask; needs `power_cap_w`",
    "safety.sun_cone_deg": "the gimbal stays this far from the Sun, emission on or off",
    "safety.moon_cone_deg": "likewise from the Moon",
    "safety.horizon_mask": "CSV file beside the rig file: `azimuth_deg,elevation_deg`, 360 rows; no emission below",
    "safety.power_cap_w": "measured power above it trips the laser",
    "clearinghouse.file": "predictive avoidance message beside the rig file; without one emission is a no outdoors",
    "clearinghouse.mission_id": "as registered; a message for another is refused",
    "clearinghouse.operator": "laser owner/operator as registered; a message for another is refused",
    "clearinghouse.pad_s": "drawn in at both ends of every window",
    "clearinghouse.cone_half_angle_deg": "of the beam as cleared: how near it stays to a fixed direction or star",
    "clearinghouse.emitters": "ids of the registered emitters, for requests",
    "aircraft.resource": "ADS-B receiver: port 30003 of dump1090, or its file; without one emission is a no outdoors",
    "aircraft.cone_deg": "half angle around the beam, before what a report leaves uncertain is added",
    "aircraft.position_uncertainty_m": "of a reported position",
    "aircraft.altitude_uncertainty_m": "of a reported altitude: pressure in the standard atmosphere, not height",
    "aircraft.ignore_without_position": "true: aircraft that do not say where they are do not count; else each is a no",
    "bus.host": "loopback, or any address of this machine when there are keys",
    "bus.base_port": "first of three ports a service",
    "bus.keys": "folder of the keys of who may connect, absolute or beside the rig file; empty: no keys",
    "bus.key": "whose key the command line uses; empty: the only one in the folder besides the station's",
    "recording.file_max_mb": "a recording goes on in a new file at this size, in 10^6 bytes",
    "recording.file_max_min": "or at this age, in minutes, whichever comes first",
    "supervisor.restart": "services that are started again after a death; `safety` never is (docs/deploy.md)",
    "supervisor.restart_delay_s": "from a death to the start; doubles with every further death in the window",
    "supervisor.restart_delay_max_s": "and grows no longer than this",
    "supervisor.restarts_max": "starts within the window; the next death leaves the service down, which is told",
    "supervisor.restart_window_min": "in minutes: older deaths no longer count",
    "supervisor.start_timeout_s": "from the start of a process to its first heartbeat; then it is killed as hung",
    "supervisor.hung_after_s": "without a heartbeat: the service is killed as hung; above what a driver may block",
    "supervisor.hung_moving_after_s": "the same for pointing, whose guardian stops a mount when pointing is dead",
    "supervisor.memory_told_mb": "resident memory of a service that is told, in 10^6 bytes",
    "supervisor.memory_max_mb": "a service above it is ended in good order, and then as after a death",
    "supervisor.memory_growth_told_mb_h": "growth of a service's memory that is told, in 10^6 bytes an hour",
    "supervisor.open_files_told": "open files of a service that are told",
    "supervisor.park_timeout_s": "how long the end of the station waits for the gimbal to be parked",
    "supervisor.priority": "SCHED_FIFO priorities other than the built-in ones; 0 is ordinary scheduling",
    "supervisor.cpus": "processors that a service may run on; absent: all",
}

SUMMARY_KEYS = {
    "target": "name in the element set",
    "gimbal": "driver of the mount that flew it",
    "pass_start_utc": "rise above the mask",
    "pass_end_utc": "set below the mask, or the end of `--arc`",
    "max_elevation_deg": "of the whole pass",
    "predicted_outage_s": "time that the gimbal cannot follow, with `--above-limits`",
    "sim": "true: from emulated devices",
    "seed": "of everything that was drawn",
    "drawn": "what the seed drew: mount terms, ephemeris error, camera, worm, gust, turbulence, mirror and quad cell",
    "mode_times_s": "time in each mode",
    "final_mode": "mode at the end",
    "final_reason": "why the station went there, in its own words",
    "calibration": "stars used, fit residual, fitted mount terms, camera rotation and pixel scale; null without one",
    "acquisition_time_s": "from ACQUIRE to COARSE, first time",
    "acquisition_time_predicted_s": "mean that the scan plan predicted, of a first sweep that succeeds",
    "acquisition_sweeps": "sweeps begun before the first COARSE",
    "acquisition_success_predicted": "probability that the first sweep finds the satellite, as the scan plan predicted",
    "open_loop_error_before_rms_rad": "what the misalignment alone does to this pass without a mount model",
    "open_loop_error_after_rms_rad": "gimbal against the prediction, in POINT and ACQUIRE, with the mount model",
    "open_loop_error_to_target_rms_rad": "the same against the true direction: ephemeris error included",
    "coarse_error_rms_rad": "truth minus boresight in COARSE, FINE and LINK, without jitter and turbulence",
    "coarse_error_peak_rad": "its largest value: usually the first moment of COARSE, before the gimbal has answered",
    "reversal_error_peak_rad": "its largest value within 5 s of the culmination, where the elevation axis turns round",
    "reversal_outside_fine_s": "time in neither FINE nor LINK from the culmination to the end",
    "coarse_error_total_rms_rad": "with jitter and turbulence",
    "fine_error_rms_rad": "received beam at the quad cell, from the first FINE to the end, whatever the mode",
    "fine_error_p999_rad": "its 99.9th percentile",
    "transmit_error_rms_rad": "sent beam against the true transmit direction, anisoplanatism included",
    "predictor_bound_rad": "least fine error that any causal linear controller with the same delay could reach",
    "link_fraction": "time above the power threshold from the first LINK to the end",
    "received_power_mean_w": "over the same time",
    "mirror_saturation_fraction": "time with the mirror at its stop, from the first FINE on",
    "telemetry_gaps": "messages of the bus that a subscriber missed",
    "late_steps": "steps of services that began late",
    "failures": "services that died, and why",
    "realtime_factor": "pass duration over the wall time that it took, from rise on",
    "wall_s": "wall time of the flight, calibration included",
}

SUPERVISOR_KEYS = {
    "restart": "list of " + ", ".join(f"`{name}`" for name in RESTARTABLE),
    "priority": "`{ tracking = 60 }`: whole number ≥ 0, ≤ 99 by service",
    "cpus": "`{ tracking = [2, 3] }`: list of whole numbers by service",
}
BOUNDS = (("gt", "> {:.10g}"), ("ge", "≥ {:.10g}"), ("lt", "< {:.10g}"), ("le", "≤ {:.10g}"))


def commands() -> str:
    """Every verb with its arguments and options; those of a group by name, whichever was imported first."""
    group: Any = typer.main.get_command(build())
    parts = []
    for verb in VERBS:
        command = group.get_command(None, verb)
        inner = getattr(command, "commands", None)
        found = {f"{verb} {name}": sub for name, sub in sorted(inner.items())} if inner else {verb: command}
        parts += [_command(name, sub) for name, sub in found.items()]
    return "\n\n".join(parts)


def _command(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    words = " ".join(p.name.upper() if p.required else f"[{p.name.upper()}]" for p in arguments)
    rows = [(f"`{p.name.upper()}`", "", p.help or "") for p in arguments]
    for p in command.params:
        if p.param_type_name == "option" and p.name != "help" and not p.hidden:
            rows.append((f"`{', '.join([*p.opts, *p.secondary_opts])}`", _default(p), p.help or ""))
    head = f"### `boresight {name}{' ' + words if words else ''}`\n\n{' '.join((command.help or '').split())}"
    return head + ("\n\n" + _table(("option", "default", "meaning"), rows) if rows else "")


def _default(parameter: Any) -> str:
    value = parameter.default
    if value is None or value == "" or callable(value):
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Path) and value.is_absolute():
        return "the shipped " + value.name
    return f"`{value}`"


def rig_sections() -> dict[str, Any]:
    """The sections of both kinds of rig, in the order of RIG_KEYS."""
    found = {**RfStation.model_fields, **Terminal.model_fields}
    explained = dict.fromkeys(key.partition(".")[0] for key in RIG_KEYS)
    return {name: found[name] for name in (*explained, *found) if name in found}


def rig() -> str:
    """Sections and keys of a rig file."""
    rows = []
    for section, field in rig_sections().items():
        model: Any = section_model(field)
        for key, inner in model.model_fields.items():
            allowed = _allowed(section, key, inner)
            default = "" if inner.is_required() else ("none" if inner.default is None else f"`{inner.default}`")
            rows.append((f"`[{section}] {key}`", allowed, default, RIG_KEYS[f"{section}.{key}"]))
    return _table(("key", "allowed", "default", "meaning"), rows)


def _allowed(section: str, key: str, field: Any) -> str:
    if key == "driver":
        return ", ".join(f"`{name}`" for name in drivers_of(section))
    if key == "reads_back":
        return "list of " + ", ".join(f"`{name}`" for name in READ_BACKS) + ", as the driver reads them"
    if key == "reversed_axes":
        return "list of `azimuth`, `elevation`"
    if (section, key) == ("aircraft", "resource"):
        return ", ".join(f"`{r}`" for r in AIRCRAFT_FEEDS)
    if key == "resource":
        kinds = dict.fromkeys(r for d in DRIVERS.values() if d.serves(section) for r in d.resources)
        return ", ".join(f"`{kind}`" for kind in kinds)
    if section == "supervisor" and key in SUPERVISOR_KEYS:
        return SUPERVISOR_KEYS[key]
    kind = "whole number" if "int" in str(field.annotation) else "number"
    limits = [text.format(v) for n, text in BOUNDS for m in _metadata(field) if (v := getattr(m, n, None)) is not None]
    if limits:
        return f"{kind} {', '.join(limits)}"
    words = {"bool": "true, false", "list[str]": "list of texts", "str": "text"}
    return next((word for name, word in words.items() if name in str(field.annotation)), kind)


def _metadata(field: Any) -> Iterable[Any]:
    yield from field.metadata
    for part in getattr(field.annotation, "__args__", ()):  # Positive | None
        for nested in getattr(part, "__metadata__", ()):
            yield from getattr(nested, "metadata", (nested,))


def drivers() -> str:
    """What each driver opens, and what stops its device."""
    rows = [
        (f"`{d.name}`", f"`[{device}]`", d.stopped_by.process, d.stopped_by.cable, d.stopped_by.host)
        for device in (*DEVICES, *OPTIONAL)
        for d in DRIVERS.values()
        if d.serves(device)
    ]
    return _table(("driver", "section", "process dies", "cable is pulled", "host dies"), rows)


def scenario() -> str:
    """Sections and keys of a scenario with the shipped values and their sources."""
    text = (ROOT / "sim_hw" / "scenarios" / "default.toml").read_text(encoding="utf-8")
    values, section, rows = tomllib.loads(text), "", []
    for line in text.splitlines():
        if header := re.match(r"\[(\w+)\]", line):
            section = header[1]
        elif (pair := re.match(r"(\w+) = [^#]*(?:# (.*))?$", line)) and section:
            rows.append((f"`[{section}] {pair[1]}`", f"`{_toml(values[section][pair[1]])}`", pair[2] or ""))
    known = {
        f"`[{s}] {k}`" for s, f in Scenario.model_fields.items() for k in getattr(f.annotation, "model_fields", ())
    }
    if known != {row[0] for row in rows}:
        raise ValueError(f"default.toml and its model differ in {known ^ {row[0] for row in rows}}")
    return _table(("key", "shipped", "note"), rows)


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def errors() -> str:
    """Classes of errors that an operator can meet."""
    for package in (hal, controller):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                import_module(module.name)
    lines: list[str] = []
    for root in (HalError, BoresightError):
        _tree(root, 0, lines)
    return "\n".join(lines)


def _tree(error: type[Exception], depth: int, lines: list[str]) -> None:
    first = " ".join((error.__doc__ or "").split("\n\n")[0].split())
    lines.append(f"{'  ' * depth}- `{error.__module__}.{error.__name__}`: {first}")
    for child in sorted(error.__subclasses__(), key=lambda c: (c.__module__, c.__name__)):
        _tree(child, depth + 1, lines)


def summary() -> str:
    """Keys of summary.json."""
    wrong = set(SUMMARY_KEYS) ^ set(_summary_keys())
    if wrong:
        raise ValueError(f"controller/cli/summary.py and SUMMARY_KEYS differ in {wrong}")
    return _table(("key", "meaning"), [(f"`{key}`", SUMMARY_KEYS[key]) for key in _summary_keys()])


def _summary_keys() -> list[str]:
    """Keys of the largest dictionary that `summarise` writes."""
    tree = ast.parse((ROOT / "controller" / "cli" / "summary.py").read_text(encoding="utf-8"))
    largest = max((n for n in ast.walk(tree) if isinstance(n, ast.Dict)), key=lambda n: len(n.keys))
    return [key.value for key in largest.keys if isinstance(key, ast.Constant)]


SECTIONS = {
    "commands": commands,
    "rig": rig,
    "drivers": drivers,
    "scenario": scenario,
    "errors": errors,
    "summary": summary,
}


def fill(page: str) -> str:
    """The page with every table made anew."""
    for name, make in SECTIONS.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
        made = make()
        page = pattern.sub(lambda found, made=made: f"{found[1]}{made}\n{found[2]}", page)  # type: ignore[misc]
    return page


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    lines += [f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
