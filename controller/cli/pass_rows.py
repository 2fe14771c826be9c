"""Passes as rows: for JSON, for the table on a terminal, and for a CSV file of all of them."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from controller.geometry.timescales import Times
    from controller.pointing.circumstances import Circumstances
    from controller.pointing.constellation import PassTable
    from controller.pointing.ephemeris.ephemeris import Ephemeris
    from controller.pointing.plan import AxisLimits, Plan
    from controller.pointing.prediction import Observer
    from hal.rig import Rig

COLUMNS = ("target", "rise (UTC)", "lasts", "peak", "azimuth", "az °/s", "light", "too fast")


@dataclass(frozen=True)
class PassSite:
    """What of a rig decides about passes."""

    observer: Observer
    mask_rad: float
    limits: AxisLimits

    @classmethod
    def of(cls, rig: Rig) -> PassSite:
        """The site, mask and limits of a rig."""
        from controller.geometry.earth import load_earth_orientation
        from controller.geometry.frames import Site
        from controller.pointing.plan import AxisLimits
        from controller.pointing.prediction import Observer

        s = rig.station
        air = (s.pressure_hpa, s.temperature_c, s.relative_humidity)
        place = Site(s.latitude_deg, s.longitude_deg, s.height_m, *air, s.name)
        mask_rad = math.radians(s.elevation_mask_deg)
        return cls(Observer(place, load_earth_orientation()), mask_rad, AxisLimits.of(rig))

    @property
    def name(self) -> str:
        """The site's name."""
        return self.observer.site.name


def row(planned: Plan, site: PassSite, seen: Circumstances, index: int) -> dict[str, Any]:
    """One planned pass as JSON has it; `index` is its place in the circumstances."""
    item = planned.target
    azimuths = [
        math.degrees(planned.trajectory.receive(t).azimuth_rad) % 360 for t in (item.rise_utc_ns, item.set_utc_ns)
    ]
    rate, acceleration = (
        [round(math.degrees(value), 4) for value in values]
        for values in (planned.demand.rate_max_rad_s, planned.demand.acceleration_max_rad_s2)
    )
    rise, top, fall = iso([item.rise_utc_ns, item.culmination_utc_ns, item.set_utc_ns])
    return {
        "target": item.elements.name,
        "catalogue_number": getattr(item.elements, "catalogue_number", None),
        "site": site.name,
        "rise_utc": rise,
        "culmination_utc": top,
        "set_utc": fall,
        "duration_s": round(item.duration_s, 3),
        "elevation_max_deg": round(math.degrees(item.elevation_max_rad), 3),
        "azimuth_rise_deg": round(azimuths[0], 2),
        "azimuth_culmination_deg": round(math.degrees(seen.azimuth_culmination_rad[index]), 2),
        "azimuth_set_deg": round(azimuths[1], 2),
        "range_km": round(float(seen.range_m[index]) / 1e3, 3),
        "rate_max_deg_s": rate,
        "acceleration_max_deg_s2": acceleration,
        "sunlit": bool(seen.sunlit[index]),
        "dark": bool(seen.dark[index]),
        "cut": item.cut,
        "refusal": planned.demand.refusal(site.limits),
        "predicted_outage_s": round(planned.outage_s, 2),
        "keyhole": planned.way.sentence if planned.way is not None else "",
    }


def print_table(rows: Sequence[dict[str, Any]], sites: Sequence[PassSite]) -> None:
    """The list as an operator reads it, 80 columns wide."""
    from rich.console import Console
    from rich.table import Table

    where = ", ".join(f"{s.name} above {math.degrees(s.mask_rad):g}°" for s in sites)
    title = f"Passes over {where}. S: sunlit, D: sky dark; too fast: outage if flown"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    names = COLUMNS if len(sites) == 1 else ("site", *COLUMNS)
    cells = [(*(() if len(sites) == 1 else (one["site"],)), *_cells(one)) for one in rows]
    for column, name in enumerate(names):
        left = name in {"site", "target", "rise (UTC)"}
        width = max(len(name), *(len(line[column]) for line in cells))  # only names give way in a narrow terminal
        least = None if name in {"site", "target"} else width
        table.add_column(name, justify="left" if left else "right", no_wrap=True, min_width=least)
    for line in cells:
        table.add_row(*line)
    Console().print(table)


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    return (
        one["target"],
        one["rise_utc"][5:19].replace("T", " "),
        f"{one['duration_s']:.0f} s",
        f"{one['elevation_max_deg']:.1f}°",
        f"{one['azimuth_rise_deg']:.0f}→{one['azimuth_set_deg']:.0f}°",
        f"{one['rate_max_deg_s'][0]:.2f}",
        "S" * one["sunlit"] + "D" * one["dark"] or "-",
        f"{one['predicted_outage_s']:.0f} s" if one["refusal"] else "-",
    )


def write_csv(
    path: Path, table: PassTable, seen: Circumstances, sets: Sequence[Ephemeris], sites: Sequence[PassSite]
) -> None:
    """Every pass of a table, in order of culmination. Raises OSError where the file cannot be written."""
    import numpy as np

    numbers = [getattr(s, "catalogue_number", "") for s in sets]
    names = [s.name for s in sets]
    columns: dict[str, Sequence[Any]] = {
        "target": [names[i] for i in table.satellite],
        "catalogue_number": [numbers[i] for i in table.satellite],
        "site": [sites[i].name for i in table.site],
        "rise_utc": iso(table.rise_utc_ns),
        "culmination_utc": iso(table.culmination_utc_ns),
        "set_utc": iso(table.set_utc_ns),
        "duration_s": np.round((table.set_utc_ns - table.rise_utc_ns) / 1e9, 3).tolist(),
        "elevation_max_deg": np.round(np.degrees(table.elevation_max_rad), 3).tolist(),
        "azimuth_rise_deg": np.round(np.degrees(seen.azimuth_rise_rad), 2).tolist(),
        "azimuth_culmination_deg": np.round(np.degrees(seen.azimuth_culmination_rad), 2).tolist(),
        "azimuth_set_deg": np.round(np.degrees(seen.azimuth_set_rad), 2).tolist(),
        "range_km": np.round(seen.range_m / 1e3, 3).tolist(),
        "azimuth_rate_max_deg_s": np.round(np.degrees(seen.azimuth_rate_max_rad_s), 4).tolist(),
        "sunlit": seen.sunlit.astype(int).tolist(),
        "dark": seen.dark.astype(int).tolist(),
    }
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def iso(t_utc_ns: Times | Sequence[int]) -> list[str]:
    """UTC to the millisecond, ISO 8601."""
    import numpy as np

    milliseconds = (np.asarray(t_utc_ns, dtype=np.int64) // 1_000_000).astype("datetime64[ms]")
    return [f"{text}Z" for text in np.datetime_as_string(milliseconds, unit="ms").tolist()]
