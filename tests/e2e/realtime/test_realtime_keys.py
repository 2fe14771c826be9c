"""A station with keys, in processes: its operator works as without, and whoever else knocks is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from controller.bus.client import Client
from controller.bus.endpoints import static_table
from controller.bus.keys import read_key
from controller.bus.security import client_security
from controller.cli import build
from controller.cli.factories import REALTIME
from controller.pointing.plan import order

NO_ANSWER_S = 1.0


def typed(rig: Path, *words: str) -> str:
    """What a command prints that an operator types beside this rig file."""
    result = CliRunner().invoke(build(), [*words, "--rig", str(rig)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.timeout(150)
def test_a_station_with_keys_obeys_its_operator_and_names_whoever_it_refuses(keyed_station: Any) -> None:
    station, bench = keyed_station, keyed_station.bench
    table, rig = static_table(base_port=bench.base_port, keys=True), bench.rig_path

    def named(*words: str) -> None:
        """A line of the station's log has all of these words."""

        def there() -> bool:
            return any(all(word in line for word in words) for line in station.log.read_text().splitlines())

        station.watch(there, 5.0, f"{words} in the log")

    seen = json.loads(typed(rig, "status", "--json"))
    assert seen["topics"]["station/mode"]["body"]["mode"] == station.seen.modes[-1]
    assert {name for name, service in seen["services"].items() if not service["alive"]} == set()
    typed(rig, "watch", "--seconds", "0.1")

    station.obeys("station", "station.track", body=order(bench.plan, bench.plan.target.set_utc_ns))
    named("STOWED -> SLEW")

    with Client(table, security=client_security(bench.folder / "keys", "olga")) as olga:
        assert olga.call("station", "station.park").code == "AUTH"
    named("station refused 1 AUTH", "olga is an observer and may not send station.park")

    unkeyed = static_table(base_port=bench.base_port)
    with Client(unkeyed, "nobody") as nobody:
        assert nobody.call("station", "stop", timeout_s=NO_ANSWER_S, control=True).code
    for service in (*REALTIME, "supervisor"):
        named(f"{service} refused", "a connection from 127.0.0.1 without a key was refused")

    elsewhere = bench.folder / "elsewhere"
    with Client(table, security=client_security(elsewhere, "mallory")) as mallory:
        assert mallory.call("station", "stop", timeout_s=NO_ANSWER_S, control=True).code
    public = read_key(elsewhere / "mallory.public").public.decode()
    for service in (*REALTIME, "supervisor"):
        named(f"{service} refused", f"its key {public} is not in the key folder")

    station.listen(0.1)
    assert "HOLD" not in station.seen.modes, "none of them has stopped it"
    typed(rig, "stop")
    station.watch(lambda: station.truth.axis_command_rad_s == (0.0, 0.0), 5.0, "the stop")
    station.give_back()
    typed(rig, "park")
