"""`boresight fault`: what goes wrong with the devices of a running `boresight emulate`."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.connect import DEFAULT_RUN_DIR, RunDirOption
from controller.errors import BoresightError

DOOR = "faults.sock"  # in the run directory
ANSWER_S = 2.0


def fault(
    device: Annotated[str, typer.Argument(help="Section of the rig file, as camera.")] = "",
    word: Annotated[str, typer.Argument(help="The fault, as intermittent; without it the table is shown.")] = "",
    for_s: Annotated[
        float | None, typer.Option("--for", help="Seconds until it is cleared; else it stays.", min=0.0)
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="A parameter, as probability=0.3.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Clear the fault of DEVICE, or all.")] = False,
    run_dir: RunDirOption = DEFAULT_RUN_DIR,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Let an emulated device fail: the same words for every device. Without a word, the table of them."""
    if clear:
        wish: dict[str, Any] = {"clear": device or None}
    elif word:
        wish = {"start": device, "word": word, "for_s": for_s, "parameters": _parameters(settings or [])}
    else:
        wish = {"table": True}
    answer = tell_bench(run_dir, wish)
    if "error" in answer:
        raise BoresightError(str(answer["error"]))
    typer.echo(json.dumps(answer, indent=2) if json_output else _text(answer))


def _parameters(settings: list[str]) -> dict[str, float]:
    parameters = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        try:
            parameters[name] = float(value)
        except ValueError:
            equals = ""
        if not (name and equals):
            raise typer.BadParameter(
                f"{setting!r} is no setting; write NAME=NUMBER, as probability=0.3", param_hint="--set"
            )
    return parameters


def tell_bench(run_dir: Path, wish: dict[str, Any]) -> dict[str, Any]:
    """Ask the fault panel of a running bench. Raises BoresightError when none answers."""
    path = run_dir / DOOR
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.settimeout(ANSWER_S)
            door.connect(str(path))
            door.sendall(json.dumps(wish).encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n") and (data := door.recv(65_536)):
                answer += data
        told: dict[str, Any] = json.loads(answer)
    except (OSError, ValueError) as error:
        raise BoresightError(
            f"no emulated bench answers at {path} ({error}); start one with `boresight emulate --run-dir {run_dir}`."
        ) from None
    return told


def _text(answer: dict[str, Any]) -> str:
    lines = []
    for word, (meaning, parameters) in answer.get("table", {}).items():
        lines.append(f"{word:<17}{meaning}" + (f"  ({', '.join(parameters)})" if parameters else ""))
    active = answer["active"]
    lines.append("now: " + (", ".join(f"{device} {word}" for device, word in active.items()) or "nothing is wrong"))
    return "\n".join(lines)
