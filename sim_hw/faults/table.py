"""The words of faults: what each means, its parameters, and which devices it does not apply to. One for all devices.

`python -m sim_hw.faults.table > docs/faults.md` writes the page.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

DEVICES = ("gimbal", "camera", "beam_board", "laser", "power_meter", "shutter", "stage", "mirror")


class FaultError(ValueError):
    """No such fault, device or parameter; the message names the nearest."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number of a fault; the unit is in the name."""

    name: str
    default: float
    meaning: str


@dataclass(frozen=True, slots=True)
class Word:
    """One row. `not_for` says why a device cannot have it; `unseen` where only physics above the driver notices it."""

    name: str
    meaning: str
    parameters: tuple[Parameter, ...] = ()
    not_for: Mapping[str, str] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)

    def applies_to(self, device: str) -> bool:
        """Whether the device can have it."""
        return device not in self.not_for

    def settings(self, given: Mapping[str, float]) -> dict[str, float]:
        """Every parameter, as given or by default. Raises FaultError."""
        known = {parameter.name: parameter.default for parameter in self.parameters}
        for name in given:
            if name not in known:
                raise FaultError(f"{self.name} has no parameter {name!r}{_nearest(name, known)}; {_list(known)}.")
        return {**known, **given}


_NO_TEMPERATURE = "it reports no temperature and has no protection that would act on one"
TABLE: dict[str, Word] = {
    word.name: word
    for word in (
        Word("off", "without power: it hears nothing and says nothing, and the wire is there"),
        Word(
            "stuck",
            "what it measures or moves stays as it is",
            unseen={
                "gimbal": "the axes do not follow: the station's deviation grows until its vote says no",
                "power_meter": "a reading that does not change may be true",
                "laser": "the driver reads the output back and says that it was not obeyed",
                "beam_board": "the mirror does not follow: the loop's error says so",
                "shutter": "its sensor contradicts what it was told: unknown, and its vote says no",
                "stage": "it stands elsewhere than where it was sent, and says so",
                "mirror": "it stands elsewhere than where it was sent, and says that it is not there",
            },
        ),
        Word(
            "slow",
            "every reply trickles",
            (Parameter("bytes_s", 20.0, "bytes a second; a camera gets a thousand times as many"),),
        ),
        Word(
            "wrong",
            "what it measures is off, and nothing of the protocol says so",
            (
                Parameter("offset_rad", 0.01, "of encoder (gimbal), quad null (beam board) or sensors (mirror)"),
                Parameter("factor", 2.0, "of power (power meter) or current read back (laser)"),
                Parameter("offset_mm", 0.5, "of the position (stage)"),
                Parameter("offset_s", 5.0, "of the camera's time stamps"),
            ),
            unseen={
                **dict.fromkeys(DEVICES, "no protocol tells a wrong value from a right one"),
                "shutter": "a sensor that says the opposite contradicts what it was told: its vote says no",
            },
        ),
        Word("garbage", "every byte of a reply is another"),
        Word("intermittent", "some replies are lost", (Parameter("probability", 0.5, "of losing one"),)),
        Word("delayed", "every reply comes later", (Parameter("delay_s", 0.03, "by so much"),)),
        Word(
            "late_reply",
            "one reply comes after its time-out, when the next question has been asked",
            (Parameter("delay_s", 1.5, "by so much; the other replies come in time"),),
        ),
        Word("split", "a reply comes in two halves", (Parameter("pause_s", 0.02, "between them"),)),
        Word("duplicated", "every reply comes twice"),
        Word("hang_up", "the cable is pulled, and put back when the fault is cleared"),
        Word("replug", "the cable is pulled and put back at once, at another address of the bus or as another port"),
        Word(
            "saturated",
            "its detector is at its limit",
            not_for={
                "gimbal": "an encoder has no limit; rates are cut by the mount itself",
                "beam_board": "its converters have room for ten times the largest power",
                "laser": "its monitor diode reads what the driver can give",
                "shutter": "its sensor knows open and closed, and no more",
                "stage": "a position has no limit but its travel",
                "mirror": "an angle has no limit but its stroke",
            },
        ),
        Word(
            "over_temperature",
            "its protection trips: the output goes off and stays off",
            not_for={device: _NO_TEMPERATURE for device in DEVICES if device != "laser"},
        ),
    )
}


def word_named(name: str, device: str) -> Word:
    """The row of a word. Raises FaultError: no such word or device, or one that the device cannot have."""
    if device not in DEVICES:
        raise FaultError(f"there is no device {device!r}{_nearest(device, DEVICES)}; {_list(DEVICES)}.")
    word = TABLE.get(name)
    if word is None:
        raise FaultError(f"there is no fault {name!r}{_nearest(name, TABLE)}; {_list(TABLE)}.")
    if not word.applies_to(device):
        raise FaultError(f"{device} cannot be {name}: {word.not_for[device]}.")
    return word


def _nearest(name: str, among: object) -> str:
    close = get_close_matches(name, list(among), 1)  # type: ignore[call-overload]
    return f" (did you mean {close[0]}?)" if close else ""


def _list(names: object) -> str:
    return "there are " + ", ".join(names) if names else "it has none"  # type: ignore[arg-type]


def page() -> str:
    """docs/faults.md."""
    lines = [
        "# Faults",
        "",
        "What an emulated device can be made to suffer, by the same word for every device. Written by",
        "`python -m sim_hw.faults.table`; the words are in sim_hw/faults/table.py.",
        "",
        "| word | what happens | parameters | not for |",
        "|---|---|---|---|",
    ]
    for word in TABLE.values():
        parameters = "; ".join(f"`{p.name}` = {p.default:g}: {p.meaning}" for p in word.parameters)
        refused = "; ".join(f"{device}: {why}" for device, why in word.not_for.items())
        lines.append(f"| `{word.name}` | {word.meaning} | {parameters} | {refused} |")
    lines += ["", "What a driver cannot notice, and what does:", ""]
    for word in TABLE.values():
        lines += [f"- `{word.name}`, {device}: {what}" for device, what in word.unseen.items()]
    lines += [
        "",
        "In a scenario file, as often as wanted (`at_s` of the bench, or `at_command` of the device; `for_s` and",
        "`for_commands` say how long, else it stays):",
        "",
        "```toml",
        "[[faults]]",
        'device = "camera"',
        'fault = "intermittent"',
        "at_s = 500.0",
        "for_s = 2.0",
        "probability = 0.3",
        "```",
        "",
        "By hand, on a running `boresight emulate`:",
        "",
        "```",
        "boresight fault camera intermittent --for 2 --set probability=0.3",
        "boresight fault --clear",
        "```",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
