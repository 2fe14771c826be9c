"""Every parser of the project, as a function of bytes: what CI (tests/fuzz) and the campaign (benchmarks.fuzz) feed."""

from __future__ import annotations

from fuzz_bus import BUS
from fuzz_drivers import DRIVERS
from fuzz_emulators import EMULATORS
from fuzz_ephemerides import EPHEMERIDES
from fuzz_files import FILES
from fuzz_rotators import ROTATORS
from fuzz_stages import STAGES
from fuzz_stream import STREAMS

TARGETS = (*DRIVERS, *EMULATORS, *ROTATORS, *STAGES, *FILES, *BUS, *EPHEMERIDES, *STREAMS)
