"""Fetching element sets: whole and checked before they replace what is there; offline, what is there stays."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from controller.pointing.elements import AGE_MAX_DAYS, ElementsError, ElementSet, load_elements, parse_elements

SOURCE = "https://celestrak.org/NORAD/elements/gp.php?GROUP={group}&FORMAT=tle"
TIMEOUT_S = 30.0
BYTES_MAX = 64_000_000
PAUSE_S = 2 * 3600.0  # CelesTrak makes new ones every two hours, and shuts out who asks more often


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A file of element sets: how many, and how old in days at a time (median, newest)."""

    path: Path
    count: int
    age_days: float
    newest_days: float

    @classmethod
    def of(cls, path: Path, sets: list[ElementSet], t_utc_ns: int) -> Catalogue:
        """What a file's sets are at a time."""
        ages = np.array([one.age_days(t_utc_ns) for one in sets])
        return cls(path, len(sets), float(np.median(ages)), float(ages.min()))

    @property
    def sentence(self) -> str:
        """For the operator."""
        stale = "; too old to track with" if self.newest_days > AGE_MAX_DAYS else ""
        return f"{self.path}: {self.count} element sets, {self.age_days:.1f} days old in the median{stale}"


def fetch(url: str, path: Path, t_utc_ns: int, hurry: bool = False) -> Catalogue:
    """Bring element sets into a file. Raises ElementsError: why not, and what is there all the same.

    Within two hours of the last time nothing is fetched, unless in a `hurry`.
    """
    if path.exists() and not hurry and 0 <= t_utc_ns * 1e-9 - path.stat().st_mtime < PAUSE_S:
        return Catalogue.of(path, load_elements(path), t_utc_ns)
    try:
        sets, text = _download(url)
    except ElementsError as error:
        raise ElementsError(f"{error} {_left(path, t_utc_ns)}") from None
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
    return Catalogue.of(path, sets, t_utc_ns)


def _download(url: str) -> tuple[list[ElementSet], str]:
    if not url.startswith(("https://", "http://")):
        raise ElementsError(f"{url} is no address of element sets; it begins with https://.")
    request = urllib.request.Request(url, headers={"User-Agent": "boresight"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            content = answer.read(BYTES_MAX + 1)
    except urllib.error.HTTPError as error:
        error.close()
        raise ElementsError(f"{url} refuses ({error.code} {error.reason}).") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ElementsError(f"{url} does not answer ({reason}).") from None
    if len(content) > BYTES_MAX:
        raise ElementsError(f"{url} sends more than {BYTES_MAX // 1_000_000} MB, which are no element sets.")
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError:
        raise ElementsError(f"{url} sends no text.") from None
    return parse_elements(text.splitlines(), url), text


def _left(path: Path, t_utc_ns: int) -> str:
    if not path.exists():
        return "There are none from before."
    return f"Those from before stay: {Catalogue.of(path, load_elements(path), t_utc_ns).sentence}."
