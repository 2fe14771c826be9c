"""Plan a pass with the library: which satellite, when, where it rises, and what it asks of the mount.

python examples/plan_a_pass.py [RIG]
"""

import math
import sys
from datetime import UTC, datetime
from pathlib import Path

from controller.cli.connect import DEFAULT_RIG, read_rig
from controller.cli.factories import observer_of
from controller.pointing.elements import built_in_elements
from controller.pointing.plan import AxisLimits, choose

rig = read_rig(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_RIG)
limits = AxisLimits(rig.gimbal.rate_max_rad_s, rig.gimbal.acceleration_max_rad_s2)
plan = choose(built_in_elements(), observer_of(rig), limits, math.radians(rig.station.elevation_mask_deg))

target = plan.target
print(f"{target.elements.name} peaks at {math.degrees(target.elevation_max_rad):.1f} deg over {rig.station.name}")
for what, t_utc_ns in (("rise", target.rise_utc_ns), ("peak", target.culmination_utc_ns), ("set", target.set_utc_ns)):
    look = plan.trajectory.receive(t_utc_ns)
    when = datetime.fromtimestamp(t_utc_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
    azimuth_deg = math.degrees(look.azimuth_rad) % 360
    print(f"{what:>4}  {when} UTC  azimuth {azimuth_deg:6.2f} deg  range {look.range_m / 1e3:5.0f} km")
print(f"fastest axis: {math.degrees(max(plan.demand.rate_max_rad_s)):.2f} of {rig.gimbal.rate_max_deg_s:g} deg/s")
