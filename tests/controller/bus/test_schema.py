"""The exported JSON Schema and the table of commands say what is sent and taken."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator, ValidationError
from typer.testing import CliRunner

from controller.bus.envelope import Envelope, Ids, Lease, encode
from controller.bus.inbox import CONTROL_METHODS, LEASE_METHODS
from controller.bus.lease import CONSENT, FREE, SCOPE_OF
from controller.bus.methods import METHODS, CameraMap, Slew
from controller.bus.topics import LINK_STATE, SAFETY_STATE, STATION_LEASE, TOPICS, HeldLease, LeaseState, LinkState
from controller.bus.writer import Writer
from controller.cli import build
from controller.cli.connect import DEFAULT_RIG, read_rig
from controller.cli.control import next_pass
from controller.pointing.commands import CommandError, fixed_of
from controller.pointing.elements import built_in_elements
from controller.tracking.camera_model import CameraModel
from hal.clock import RealClock

ROOT = Path(__file__).parents[3] / "controller"
SOURCES = {
    "station": "station_service.py",
    "pointing": "pointing/service.py",
    "tracking": "tracking/service.py",
    "safety": "safety/service.py",
    "supervisor": "services/supervisor.py",
    "lease": "bus/lease_desk.py",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    result = CliRunner().invoke(build(), ["schema"])
    assert result.exit_code == 0, result.output
    exported: dict[str, Any] = json.loads(result.stdout)
    return exported


def check(document: dict[str, Any], part: dict[str, Any], message: Any) -> None:
    Draft202012Validator({**part, "$defs": document["$defs"]}).validate(msgspec.to_builtins(message))


def test_the_document_is_valid_and_has_every_topic_and_every_method(document: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(document)
    assert set(document["topics"]) == set(TOPICS)
    assert set(document["methods"]) == {method.name for method in METHODS}
    bodies = [part[key] for kind in ("topics", "methods") for part in document[kind].values() for key in part]
    named = {body["$ref"].rpartition("/")[2] for body in bodies if isinstance(body, dict) and "$ref" in body}
    assert named <= set(document["$defs"])


def test_envelopes_that_are_sent_fit_it_and_others_do_not(document: dict[str, Any]) -> None:
    writer = Writer("anna", RealClock(), Ids(), simulated=False)
    sent = writer.request("pointing", "pointing.slew", {"azimuth_rad": 1.0}, 1, b"12345678", Lease("gimbal-1", 1))
    plain = msgspec.msgpack.decode(encode(sent))
    check(document, {"$ref": document["$ref"]}, plain)
    assert set(plain) <= set(Envelope.__struct_fields__)
    for wrong in ({"v": "1"}, {"k": "ask"}, {"ls": {"id": "x"}}, {"b": 3}):
        with pytest.raises(ValidationError):
            check(document, {"$ref": document["$ref"]}, {**plain, **wrong})


def test_telemetry_that_is_sent_fits_it_and_other_does_not(document: dict[str, Any]) -> None:
    state = LeaseState(1, 7, [HeldLease("gimbal", "anna", "gimbal-7", 7, 2, "tests")])
    check(document, document["topics"][STATION_LEASE.name]["body"], state)
    check(document, document["topics"][LINK_STATE.name]["body"], LinkState(1, 1e-6, 1e-7, above=True))
    with pytest.raises(ValidationError):
        check(document, document["topics"][SAFETY_STATE.name]["body"], state)


def test_the_table_has_every_method_that_a_service_knows_and_no_other() -> None:
    for prefix, file in SOURCES.items():
        known = set(re.findall(rf'"({prefix}\.[a-z]+)"', (ROOT / file).read_text()))
        assert known == {method.name for method in METHODS if method.name.startswith(f"{prefix}.")}, file
    assert CONTROL_METHODS - {"abort"} | LEASE_METHODS == {m.name for m in METHODS if m.channel == "ctl"}


def test_every_command_to_a_device_needs_its_lease_but_for_those_that_are_named() -> None:
    for method in METHODS:
        owner = method.services[0]
        needs = method.channel == "cmd" and owner in SCOPE_OF and method.name not in FREE
        assert method.scope == (SCOPE_OF[owner] if needs else ""), method.name
    assert {method.name for method in METHODS} >= FREE | CONSENT
    assert not FREE & CONSENT


def test_the_body_of_track_is_what_the_command_line_sends(document: dict[str, Any]) -> None:
    elements = built_in_elements()[0]
    body = next_pass(read_rig(DEFAULT_RIG), elements.name, None, elements.epoch_utc_ns, 14.0, above_limits=True)
    check(document, document["methods"]["station.track"]["body"], body)
    required = document["$defs"]["TrackPass"]["required"]
    assert set(required) <= set(body) == set(document["$defs"]["TrackPass"]["properties"])


def test_slew_needs_what_its_body_says_and_no_more() -> None:
    body = msgspec.to_builtins(Slew(azimuth_rad=1.0, elevation_rad=0.5))
    assert fixed_of(body).azimuth_rad == 1.0
    for name in ("azimuth_rad", "elevation_rad"):
        with pytest.raises(CommandError):
            fixed_of({key: value for key, value in body.items() if key != name})
    del body["approach"]
    fixed_of(body)


def test_a_camera_map_is_what_the_tracking_service_reads_and_writes() -> None:
    body = CameraModel(((1.0, 0.0), (0.0, 1.0)), (5.0, 6.0)).to_body()
    assert msgspec.to_builtins(msgspec.convert(body, CameraMap)) == body
