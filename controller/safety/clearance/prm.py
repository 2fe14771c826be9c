"""Writes the request for predictive avoidance (PRM): one JSON object for the clearinghouse's data library.

Keys and units are those of the Unified Data Library's record `laserdeconflictrequest`: degrees, kilometres above the
WGS 84 ellipsoid, ISO 8601 with milliseconds. Its `fixedPoints.height` is above sea level, which a rig does not know;
the height goes into `minimumHeight` and `maximumHeight`, which are above the ellipsoid.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from controller.errors import BoresightError
from controller.geometry.frames import Site
from controller.safety.clearance.message import FieldOfView

LONGEST_NS = 7 * 86_400 * 10**9  # element sets of what must be protected are worth little after it


class RequestError(BoresightError):
    """A request that the clearinghouse would refuse."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: whose laser, when, and where it will point."""

    mission_id: str
    operator: str
    system: str
    emitters: tuple[str, ...]
    site: Site
    cone_half_angle_deg: float
    start_utc_ns: int
    stop_utc_ns: int
    field: FieldOfView | None = None
    satellites: tuple[int, ...] = ()  # catalogue numbers


def request(asked: Asked, request_id: str, now_utc_ns: int, data_mode: str = "REAL") -> dict[str, Any]:
    """The record. Raises RequestError with what is missing."""
    _check(asked)
    marked = {"classificationMarking": "U", "dataMode": data_mode, "source": asked.operator}
    targets = [{**marked, "targetNumber": n, **what} for n, what in enumerate(_targets(asked), 1)]
    site, height_km = asked.site, asked.site.height_m / 1000.0
    return {
        **marked,
        "requestId": request_id,
        "requestTs": iso_utc(now_utc_ns),
        "startDate": iso_utc(asked.start_utc_ns),
        "endDate": iso_utc(asked.stop_utc_ns),
        "missionName": asked.mission_id,
        "laserSystemName": asked.system,
        "idLaserEmitters": list(asked.emitters),
        "defaultCHA": asked.cone_half_angle_deg,
        "platformLocationName": site.name,
        "platformLocationType": "FIXED_POINT",
        "fixedPoints": [{"latitude": site.latitude_deg, "longitude": site.longitude_deg}],
        "minimumHeight": height_km,
        "maximumHeight": height_km,
        # No shelter is taken behind the Earth: a beam below a satellite's horizon is not promised here.
        "treatEarthAs": "INVISIBLE",
        "sourceEnabled": True,
        "targetEnabled": True,
        "victimEnabled": True,
        "status": "REQUESTED",
        "numTargets": len(targets),
        **({"targetType": "SATELLITE"} if asked.satellites else {}),
        "laserDeconflictTargets": targets,
    }


def _targets(asked: Asked) -> list[dict[str, Any]]:
    if asked.field is None:
        return [{"targetObjectNo": number} for number in asked.satellites]
    field = asked.field
    return [
        {
            "azimuthStart": field.azimuth_from_deg,
            "azimuthEnd": field.azimuth_to_deg,
            "elevationStart": field.elevation_from_deg,
            "elevationEnd": field.elevation_to_deg,
        }
    ]


def _check(asked: Asked) -> None:
    if not (asked.mission_id and asked.operator and asked.emitters):
        raise RequestError(
            "a request names mission, operator and emitters; write mission_id, operator and emitters into "
            "[clearinghouse] of the rig file."
        )
    if (asked.field is None) is (not asked.satellites):
        raise RequestError("a request is for a field or for satellites; give one of --field and --satellite.")
    if not asked.start_utc_ns < asked.stop_utc_ns <= asked.start_utc_ns + LONGEST_NS:
        raise RequestError("a request begins before it ends and lasts a week at most; correct --start and --stop.")


def iso_utc(t_utc_ns: int) -> str:
    """ISO 8601 with milliseconds, rounded down."""
    seconds, rest_ns = divmod(t_utc_ns, 10**9)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest_ns // 10**6:03d}Z"
