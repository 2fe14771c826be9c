"""A message of the clearinghouse as its public readers and writers lay it out, to be spoilt by tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

TABLE = """\
YYYY MMM dd (DDD) HHMM SS    YYYY MMM dd (DDD) HHMM SS      MM:SS
-------------------------    -------------------------    -------
"""
# rows, site and ranges of the first target: reference/pat.md, section 5.7
FIRST_ROW = "2025 Aug 21 (233) 1647 09    2025 Aug 22 (234) 0047 08    0479:59"
FIELD = """\
Method: Fixed Field of View
Azimuth Range:   1.0 to 10.0 degrees
Elevation Range: 1.0 to 3.0 degrees
"""


@dataclass
class Text:
    """Parts of a message."""

    comment: str = "For Execution"
    operator: str = "EXAMPLE"
    mission: str = "TEST 1"
    kind: str = "Authorized Shoot(Open) Windows"
    start: str = "2025 Aug 21 16:47:09"
    stop: str = "2025 Aug 22 00:47:08"
    latitude: str = "34.66733200 degrees N"
    targets: list[tuple[list[str], str]] = field(default_factory=lambda: [([FIRST_ROW], FIELD)])
    number: int | None = None

    def __str__(self) -> str:
        number = len(self.targets) if self.number is None else self.number
        head = f"""\
Classification: UNCLASSIFIED

1. Times at which the laser may be operated follow.

Mission ID:                      {self.mission}
Laser Owner/Operator:            {self.operator}
Report Date/Time (UTC):          2025 Aug 20 12:00:00
Mission Name:                    {self.mission}
Mission Start Date/Time (UTC):   {self.start}
Mission Stop  Date/Time (UTC):   {self.stop}
Mission Duration   (HH:MM:SS):   07:59:59
Type of Windows in this report:  {self.kind}
Comment:                         {self.comment}
                                 Report file 1 of 1
Number of Targets:               {number}

"""
        return head + "\n".join(self._target(n, *target) for n, target in enumerate(self.targets, 1))

    def _target(self, number: int, rows: list[str], geometry: str) -> str:
        lines = "".join(f"{row}\n" for row in rows)
        return f"""{TABLE}{lines}
Percent = 100.00%

Source Geometry: (WGS-84)
---------------
Method: Fixed Point
Latitude:  {self.latitude}
Longitude: 86.46646600 degrees W
Altitude:  0.1949 km

Target Geometry: (WGS-84) {number}
---------------
{geometry}
"""


@pytest.fixture
def text() -> Callable[..., str]:
    return lambda **parts: str(Text(**parts))
