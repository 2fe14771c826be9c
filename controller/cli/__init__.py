"""The `boresight` command, one file a verb. A verb imports what it needs when it runs, so that the start is quick."""

from __future__ import annotations

import sys
from importlib import import_module

import typer

VERBS = ("demo", "passes", "emulate", "run", "status", "watch", "track", "stop", "park", "reset", "report")
HELP = "Points, acquires and tracks: controller for ground stations and laser terminals."


def build() -> typer.Typer:
    """The command with all its verbs: `controller.cli.VERB` holds a function of that name."""
    app = typer.Typer(help=HELP, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
    for verb in VERBS:
        module = import_module(f"controller.cli.{_home(verb)}")
        app.command(verb)(getattr(module, verb))
    app.add_typer(import_module("controller.cli.rig").app, name="rig")
    return app


def _home(verb: str) -> str:
    return "control" if verb in {"track", "stop", "park", "reset"} else verb


def main() -> None:
    """Entry point: what is wrong is one sentence on stderr and a non-zero exit, never a traceback."""
    from controller.errors import BoresightError
    from hal.errors import HalError

    try:
        build()()
    except (HalError, BoresightError) as error:
        print(f"boresight: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
