"""What a station looks like at one moment: a plain map for JSON, and the same as tables for a terminal."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from controller.bus.client import Client
from controller.bus.store import Store
from controller.bus.topics import (
    BUS_GAPS,
    LINK_STATE,
    POINTING_STATE,
    SAFETY_LASER,
    SAFETY_STATE,
    SERVICE_HEARTBEAT,
    SERVICE_PROCESSES,
    STATION_EVENT,
    STATION_LEASE,
    STATION_MODE,
    TRACKING_COARSE,
    TRACKING_FINE,
    Topic,
)

STATES = (
    STATION_MODE,
    STATION_LEASE,
    SAFETY_STATE,
    SAFETY_LASER,
    POINTING_STATE,
    TRACKING_COARSE,
    TRACKING_FINE,
    LINK_STATE,
)
EVENTS_SHOWN = 6
STYLES = {"error": "bold red", "warning": "yellow", "info": ""}


def listen(client: Client) -> None:
    """Subscribe to what a snapshot needs."""
    client.subscribe(*STATES, SERVICE_HEARTBEAT, SERVICE_PROCESSES, BUS_GAPS, STATION_EVENT)


def snapshot(store: Store, now_ns: int) -> dict[str, Any]:
    """Everything that is known, with ages; SI units in the key names, absent topics are null."""
    services: dict[str, dict[str, Any]] = {}
    processes = _processes(store)
    for name in dict.fromkeys([*processes, *store.sources(SERVICE_HEARTBEAT)]):
        services[name] = {"alive": False, "age_s": None, "cycles": 0, "late_steps": 0}
        beat = store.latest(SERVICE_HEARTBEAT, name)
        if beat is not None:
            age_s = beat.age_s(now_ns)
            services[name] = {
                "alive": age_s <= SERVICE_HEARTBEAT.stale_after_s,
                "age_s": round(age_s, 3),
                "cycles": beat.body.cycles,
                "late_steps": beat.body.late_steps,
            }
        services[name]["process"] = processes.get(name)
    gaps = {}
    for name in store.sources(BUS_GAPS):
        report = store.latest(BUS_GAPS, name)
        if report is not None and report.body.gaps:
            gaps[name] = dict(report.body.gaps)
    topics = {topic.name: _state(store, topic, now_ns) for topic in STATES}
    return {
        "simulated": any(state is not None and state["simulated"] for state in topics.values()),
        "services": services,
        "topics": topics,
        "telemetry_gaps": gaps,
    }


def _processes(store: Store) -> dict[str, dict[str, Any]]:
    """The supervisor's latest report, by service."""
    report = store.latest(SERVICE_PROCESSES, "supervisor")
    rows = msgspec.to_builtins(report.body.processes) if report is not None else []
    return {row.pop("service"): row for row in rows}


def _state(store: Store, topic: Topic, now_ns: int) -> dict[str, Any] | None:
    sample = store.latest(topic)
    if sample is None:
        return None
    age_s = sample.age_s(now_ns)
    return {
        "source": sample.source,
        "simulated": sample.simulated,
        "age_s": round(age_s, 3),
        "fresh": age_s <= topic.stale_after_s,
        "body": msgspec.to_builtins(sample.body),
    }


def render(seen: dict[str, Any], events: list[tuple[str, str]] | None = None) -> RenderableType:
    """Tables of a snapshot, and the latest events (level, message) below."""
    parts: list[RenderableType] = [_headline(seen), *_leases(seen), _services(seen), _loops(seen), _votes(seen)]
    if seen["telemetry_gaps"]:
        lost = ", ".join(f"{name} missed {sum(gaps.values())}" for name, gaps in seen["telemetry_gaps"].items())
        parts.append(Text(f"telemetry gaps: {lost}", style="yellow"))
    parts += [Text(message, style=STYLES.get(level, "")) for level, message in (events or [])[-EVENTS_SHOWN:]]
    return Group(*parts)


def _headline(seen: dict[str, Any]) -> Text:
    state = seen["topics"][STATION_MODE.name]
    text = Text("SIMULATED  " if seen["simulated"] else "", style="bold magenta")
    if state is None:
        return text.append("station: silent", style="bold red")
    body = state["body"]
    stale = "" if state["fresh"] else f" ({state['age_s']:.1f} s ago)"
    text.append(f"{body['mode']}{stale}", style="bold red" if body["mode"] in {"SAFE", "FAULT"} else "bold green")
    target = f"  {body['target']}" if body["target"] else ""
    return text.append(f"{target}  {body['reason']}", style="default")


def _leases(seen: dict[str, Any]) -> list[Text]:
    state = seen["topics"][STATION_LEASE.name]
    held = state["body"]["held"] if state is not None and state["fresh"] else []
    return [Text(f"{one['holder']} holds the lease of the {one['scope']}: {one['reason']}") for one in held]


def _services(seen: dict[str, Any]) -> Table:
    heads = ("service", "alive", "age s", "cycles", "late steps", "process", "starts", "MB", "files", "threads")
    table = _table(*heads)
    for name, service in seen["services"].items():
        alive = Text("yes", style="green") if service["alive"] else Text("NO", style="bold red")
        age = "-" if service["age_s"] is None else f"{service['age_s']:.2f}"
        table.add_row(name, alive, age, str(service["cycles"]), str(service["late_steps"]), *_process(service))
    return table


def _process(service: dict[str, Any]) -> list[str | Text]:
    process = service["process"]
    if process is None:
        return []
    state = Text(process["state"], style="" if process["state"] == "running" else "bold red")
    megabytes = f"{process['resident_bytes'] / 1e6:.0f}"
    return [state, str(process["restarts"] + 1), megabytes, str(process["open_files"]), str(process["threads"])]


def _loops(seen: dict[str, Any]) -> Table:
    table = _table("loop", "age s", "state")
    lines = {
        POINTING_STATE: _pointing,
        TRACKING_COARSE: _coarse,
        TRACKING_FINE: _fine,
        LINK_STATE: _link,
        SAFETY_LASER: _laser,
    }
    for topic, describe in lines.items():
        state = seen["topics"][topic.name]
        if state is None:
            table.add_row(topic.name, "-", Text("silent", style="dim"))
        else:
            style = "" if state["fresh"] else "dim"
            table.add_row(topic.name, f"{state['age_s']:.2f}", Text(describe(state["body"]), style=style))
    return table


def _votes(seen: dict[str, Any]) -> RenderableType:
    state = seen["topics"][SAFETY_STATE.name]
    if state is None:
        return Text("safety: silent, so emission is off", style="bold red")
    body = state["body"]
    table = _table("vote", "ok", "age s", "turns in s", "reason")
    for vote in body["votes"]:
        ok = Text("yes", style="green") if vote["ok"] else Text("NO", style="bold red")
        name = f"{vote['name']} (sim)" if vote["simulated"] else vote["name"]
        turns_s = vote["changes_in_s"]
        table.add_row(name, ok, f"{vote['age_s']:.2f}", "" if turns_s is None else f"{turns_s:.0f}", vote["reason"])
    words = ["emission allowed" if body["emission_allowed"] else "emission off"]
    words += ["armed"] if body["armed"] else []
    words += ["LATCHED"] if body["latched"] else []
    words += [f"locked: {body['locked_reason']}"] if body["locked_reason"] else []
    words += [] if state["fresh"] else [f"stale: {state['age_s']:.1f} s old"]
    return Group(Text(", ".join(words), style="bold" if body["emission_allowed"] else ""), table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(
            column,
            justify="right"
            if column.endswith((" s", "cycles", "steps", "starts", "MB", "files", "threads"))
            else "left",
        )
    return table


def _urad(pair: list[float] | tuple[float, float]) -> str:
    return f"({pair[0] * 1e6:.1f}, {pair[1] * 1e6:.1f}) µrad"


def _pointing(body: dict[str, Any]) -> str:
    azimuth, elevation = math.degrees(body["azimuth_rad"]), math.degrees(body["elevation_rad"])
    return f"{body['activity']}  az {azimuth:.3f}° el {elevation:.3f}°  deviation {_urad(body['deviation_rad'])}"


def _coarse(body: dict[str, Any]) -> str:
    if not body["detected"]:
        return "no beacon"
    return f"beacon, SNR {body['snr']:.0f}  error {_urad(body['error_rad'])}"


def _fine(body: dict[str, Any]) -> str:
    enabled = "enabled" if body["enabled"] else "not enabled"
    latched = ", LATCHED" if body["latched"] else ""
    return f"{body['board_mode']}, {body['phase']}, {enabled}{latched}  rms {_urad(body['quad_rms_rad'])}"


def _link(body: dict[str, Any]) -> str:
    above = "above" if body["above"] else "below"
    return f"{body['received_power_w'] * 1e6:.3g} µW, {above} the threshold of {body['threshold_w'] * 1e6:.3g} µW"


def _laser(body: dict[str, Any]) -> str:
    tripped = f", tripped: {body['tripped']}" if body["tripped"] else ""
    on = "ON" if body["output_on"] else "off"
    return f"{on}, {body['current_a']:.3g} A, {body['measured_power_w']:.3g} W{tripped}"
