"""What a station was when it ran: every setting in force, versions, hashes. The same record goes into each recording.

Nothing in it changes from run to run of the same station, so that a seed gives one recording.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hal.rig import Rig

LIBRARIES = (
    "numpy", "numba", "pyserial", "pyusb", "PyVISA", "PyVISA-py", "pyzmq", "msgspec", "pydantic", "mcap", "sgp4",
    "pyerfa", "jplephem", "astropy-iers-data", "skyfield-data",
)  # fmt: skip
EMULATED = "emulated"


def frozen(rig: Rig, files: Iterable[Path] = ()) -> dict[str, Any]:
    """The record of a rig; `files` are those beside it that matter (mount model), hashed where they exist."""
    text = rig.path.read_text(encoding="utf-8")
    settings = rig.model_dump(mode="json")
    for device in rig.emulated:
        resource = settings[device]["resource"]
        settings[device]["resource"] = resource if resource.startswith("replay://") else EMULATED
    return {
        "boresight": {
            "version": version("boresight"),
            "python": platform.python_version(),
            "system": platform.system(),
        },
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
        "drivers": {device: rig.driver(device).name for device in rig.devices},
        "settings": settings,
        "files": {path.name: _sha256(path.read_bytes()) for path in files if path.is_file()}
        | {"rig.toml": _sha256(text.encode())},
        "rig_toml": text,
    }


def as_metadata(record: dict[str, Any], **more: str) -> dict[str, dict[str, str]]:
    """The record as a recording keeps it: named maps of strings. `more` joins the map "boresight"."""
    return {
        "boresight": {**record["boresight"], **more},
        "rig": {"toml": record["rig_toml"], "settings": json.dumps(record["settings"], sort_keys=True)},
        "libraries": record["libraries"],
        "files": record["files"],
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
