"""What a vote says: yes or no, why, how old its input is and may be, and when it is going to change, where known.

Missing or stale is a no. A no is orderly when it is the station's or the schedule's own doing; every other is a trip.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from controller.safety.inputs import Reading

NEVER_S = -1.0  # age of what has never come
GONE = 2.0  # times the age allowed: no longer late
T = TypeVar("T")


class Opinion(msgspec.Struct, frozen=True, gc=False):
    """One vote before it has a name. (A struct: some twenty are made fifty times a second.)"""

    ok: bool
    reason: str
    age_s: float = 0.0
    simulated: bool = False
    orderly: bool = False
    changes_in_s: float | None = None  # until it turns to the other word as things go now; None: not known
    withdraws: bool = False  # takes a consent back before emission, too
    failed: bool = False  # nobody said no: the vote raised


def fresh(what: str, reading: Reading[T] | None, age_max_s: float, *, returns: bool = True) -> Reading[T] | Opinion:
    """The reading, or a no when it is missing or older than `age_max_s`.

    What does not simply return (`returns` = False: after a re-plug it may be another, or set otherwise) takes a consent
    back when it is gone: missing, or twice as old.
    """
    if reading is None:
        return Opinion(False, f"no {what}", NEVER_S, withdraws=not returns)
    if not reading.age_s <= age_max_s:
        told = f"{what} is {reading.age_s:.2f} s old, {age_max_s:g} s allowed"
        gone = not reading.age_s <= GONE * age_max_s
        return Opinion(False, told, reading.age_s, withdraws=gone and not returns)
    return reading


def yes(reading: Reading[object], reason: str, changes_in_s: float | None = None) -> Opinion:
    """A yes that rests on a reading."""
    return Opinion(True, reason, reading.age_s, reading.simulated, changes_in_s=changes_in_s)


def no(reading: Reading[object], reason: str, orderly: bool = False, changes_in_s: float | None = None) -> Opinion:
    """A no that rests on a reading."""
    return Opinion(False, reason, reading.age_s, reading.simulated, orderly, changes_in_s)
