"""Whether a message was meant for this station: each mismatch is a sentence, and one is enough to keep it shut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.geometry.frames import Site
from controller.safety.clearance.message import Message, Source

FOR_EXECUTION = "for execution"
SITE_WITHIN_M = 10.0


@dataclass(frozen=True, slots=True)
class Expected:
    """Whose messages this station takes."""

    mission_id: str
    operator: str
    site: Site


def mismatches(message: Message, expected: Expected) -> list[str]:
    """Why a message may not open anything here; empty when it may."""
    found = []
    if message.comment.casefold() != FOR_EXECUTION:
        found.append(f'its comment is "{message.comment}" and not "For Execution"; it is not meant to be used')
    if "open" not in message.kind_of_windows.casefold():
        found.append(f'its windows are "{message.kind_of_windows}", not open times; ask for open windows')
    if message.mission_id != expected.mission_id:
        found.append(f'it is for mission "{message.mission_id}"; this rig flies "{expected.mission_id}"')
    if message.operator != expected.operator:
        found.append(f'it is for the operator "{message.operator}"; this rig is run by "{expected.operator}"')
    if len(message.targets) != message.targets_told:
        found.append(f"it promises {message.targets_told} targets and holds {len(message.targets)}; it is not complete")
    if message.start_utc_ns >= message.stop_utc_ns:
        found.append("its mission ends before it starts; ask for it again")
    for target in message.targets:
        off_m = _apart_m(target.source, expected.site)
        if not off_m <= SITE_WITHIN_M:
            found.append(
                f"target {target.number} is for a laser {off_m:.0f} m from this station, {SITE_WITHIN_M:g} m allowed; "
                "compare [station] of the rig file with what was registered"
            )
    return found


def _apart_m(source: Source, site: Site) -> float:
    """Straight distance, height included."""
    there = Site(source.latitude_deg, source.longitude_deg, source.height_m)
    return float(np.linalg.norm(there.itrf_m - site.itrf_m))
