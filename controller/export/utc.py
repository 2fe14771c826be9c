"""UTC as text."""

from __future__ import annotations

from datetime import UTC, datetime

from hal.clock import NS


def utc_text(t_utc_ns: int) -> str:
    """Calendar form with nanoseconds, without a zone: 2026-03-01T20:00:00.000000000."""
    seconds, rest_ns = divmod(t_utc_ns, NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}"
