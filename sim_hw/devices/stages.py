"""The stages that can stand on a bench, by the names that rig files call them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sim_hw.devices.apt import Apt
from sim_hw.devices.gcs2 import Gcs2
from sim_hw.devices.xps import Xps
from sim_hw.devices.zaber import Zaber

#: Called with the Timeline, and the Carriage where it is to be another than its own.
STAGES: dict[str, Callable[..., Any]] = {"zaber": Zaber, "gcs2": Gcs2, "xps": Xps, "apt": Apt}
