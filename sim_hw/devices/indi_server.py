"""The driver of an emulated telescope in an indiserver: its properties, and what setting them does.

Heard of Debian's indiserver and its telescope simulator: getProperties with a name defines that vector alone, also
when its telescope was disconnected since; a vector that it never had is not answered; what changes is told to every
client by itself; words out of range are refused with the state Alert or, as a goto, with Idle and often no word. The
angles are those that the driver read last: it asks its telescope every POLLING_PERIOD. Without a site of its own it
stands at 0, 0.
"""

from __future__ import annotations

from itertools import count
from typing import Protocol
from weakref import WeakValueDictionary

from sim_hw.devices.indi_mount import IndiMount
from sim_hw.devices.indi_property import Property, deleted, message
from sim_hw.timeline import Timeline

UNPARK = "[WARNING] Please unpark the mount before issuing any motion/sync commands."
ALWAYS = ("CONNECTION", "DRIVER_INFO", "POLLING_PERIOD")


class Client(Protocol):
    """One connection."""

    listens: bool  # it has asked for properties, and hears what becomes of them

    def say(self, text: str) -> None:
        """Messages for it."""
        ...


class IndiServer:
    """The driver's properties and what they do; its clients come and go."""

    device = "Telescope Emulator"

    def __init__(self, timeline: Timeline, mount: IndiMount) -> None:
        self._timeline, self._mount = timeline, mount
        self._clients: WeakValueDictionary[int, Client] = WeakValueDictionary()
        self._numbers = count()
        self._polls = 0  # of the present connection; a poll of an earlier one finds another number and ends
        self._parked = False
        main, site = "Main Control", "Site Management"
        axes = dict.fromkeys(mount.ranges, "0")
        self._all = {
            each.name: each
            for each in (
                Property("Switch", "CONNECTION", main, {"CONNECT": "Off", "DISCONNECT": "On"}),
                Property("Text", "DRIVER_INFO", "Connection", {
                    "DRIVER_NAME": self.device, "DRIVER_EXEC": "indi_emulator_telescope", "DRIVER_VERSION": "1.0",
                    "DRIVER_INTERFACE": "5"}, "ro"),
                Property("Number", "POLLING_PERIOD", "Options", {"PERIOD_MS": "1000"}, ranges={
                    "PERIOD_MS": (10.0, 600_000.0)}),
                Property("Switch", "ON_COORD_SET", main, {"TRACK": "On", "SLEW": "Off", "SYNC": "Off"}),
                Property("Number", mount.coordinates, main, axes, ranges=mount.ranges),
                Property("Switch", "TELESCOPE_ABORT_MOTION", main, {"ABORT": "Off"}, rule="AtMostOne"),
                Property("Switch", "TELESCOPE_TRACK_STATE", main, {"TRACK_ON": "Off", "TRACK_OFF": "On"}),
                Property("Number", "GEOGRAPHIC_COORD", site, dict.fromkeys(("LAT", "LONG", "ELEV"), "0"), ranges={
                    "LAT": (-90.0, 90.0), "LONG": (0.0, 360.0), "ELEV": (-200.0, 10_000.0)}),
                Property("Switch", "TELESCOPE_PARK", site, {"PARK": "Off", "UNPARK": "On"}, state="Ok"),
            )
        }  # fmt: skip
        self._had = set(ALWAYS)

    def join(self, client: Client) -> None:
        """A client that hears what changes from now on."""
        self._clients[next(self._numbers)] = client

    @property
    def _connected(self) -> bool:
        return self._all["CONNECTION"].values["CONNECT"] == "On"

    def definitions(self, name: str) -> str:
        """Of one vector, or of all that it has now."""
        now = set(self._all) if self._connected else set(ALWAYS)
        names = [one for one in self._all if (one in now and not name) or (one == name and one in self._had)]
        return "".join(self._all[one].defined(self.device, self._timeline.utc_ns) for one in names)

    def set(self, name: str, values: dict[str, str]) -> None:
        """A client sets elements."""
        each = self._all.get(name)
        if each is None or name not in self._had or each.perm == "ro":
            return
        if each.kind == "Switch":
            self._switch(each, [element for element, text in values.items() if text == "On"])
        elif numbers := _numbers(values):
            self._set_numbers(each, numbers)

    def _switch(self, each: Property, on: list[str]) -> None:
        if len(on) != 1 or not each.switch(on[0]):
            each.state = "Idle"
            self._tell(each, f"Error: {on[0] if on else 'none'} is not a member of {each.name} property.")
            return
        each.state = "Ok"
        match each.name, on[0]:
            case "CONNECTION", word:
                self._connect(word == "CONNECT")
                return
            case "TELESCOPE_ABORT_MOTION", _:
                each.values["ABORT"] = "Off"
                self._mount.stop()
                self._read(always=True)
            case "TELESCOPE_TRACK_STATE", word:
                self._mount.track(word == "TRACK_ON")
                each.switch("TRACK_ON" if self._mount.tracks else "TRACK_OFF")
                each.state = "Busy" if self._mount.tracks else "Idle"
            case "TELESCOPE_PARK", word:
                self._parked = word == "PARK"
                if self._parked:
                    self._mount.park()
        self._tell(each)

    def _connect(self, connected: bool) -> None:
        utc_ns = self._timeline.utc_ns
        each = self._all["CONNECTION"]
        each.state = "Ok" if connected else "Idle"
        later = [one for one in self._all if one not in ALWAYS]
        self._tell(each)
        if not connected:
            self._polls += 1
            self._publish("".join(deleted(self.device, utc_ns, one) for one in later))
            return
        self._had |= set(later)
        self._polls += 1
        self._poll(self._polls)
        self._publish("".join(self._all[one].defined(self.device, utc_ns) for one in later))

    def _set_numbers(self, each: Property, numbers: dict[str, float]) -> None:
        if each.name == self._mount.coordinates:
            self._go(each, numbers)
            return
        if numbers.keys() != each.values.keys() or not all(each.in_range(*one) for one in numbers.items()):
            each.state = "Alert"
            self._tell(each, f"Error: Invalid range for {each.name}.")
            return
        each.values = {name: f"{value:.20g}" for name, value in numbers.items()}
        each.state = "Ok"
        if each.name == "GEOGRAPHIC_COORD":
            self._mount.site_deg = numbers["LAT"], numbers["LONG"]
        self._tell(each)

    def _go(self, each: Property, numbers: dict[str, float]) -> None:
        if numbers.keys() != each.values.keys() or not all(each.in_range(*one) for one in numbers.items()):
            return
        if self._parked:
            self._publish(message(self.device, self._timeline.utc_ns, UNPARK))
            each.state = "Idle"
        elif self._all["ON_COORD_SET"].values["SYNC"] == "On":
            return  # its encoders know where they are
        else:
            tracks = self._all["ON_COORD_SET"].values["TRACK"] == "On"
            each.state = "Busy" if self._mount.go(tuple(numbers[one] for one in each.values), tracks) else "Alert"
        self._tell(each)

    def _poll(self, number: int) -> None:
        if number != self._polls:
            return
        self._read()
        period_s = float(self._all["POLLING_PERIOD"].values["PERIOD_MS"]) / 1000
        self._timeline.after(period_s, lambda: self._poll(number))

    def _read(self, always: bool = False) -> None:
        """Ask the telescope where it is, and tell what has changed."""
        tracks = self._all["TELESCOPE_TRACK_STATE"]
        if (tracks.values["TRACK_ON"] == "On") != self._mount.tracks:
            tracks.switch("TRACK_ON" if self._mount.tracks else "TRACK_OFF")
            tracks.state = "Busy" if self._mount.tracks else "Idle"
            self._tell(tracks)
        each = self._all[self._mount.coordinates]
        before = each.values, each.state
        here = self._mount.angles()
        each.values = {name: f"{value:.20g}" for name, value in zip(each.values, here, strict=True)}
        each.state = "Busy" if self._mount.moving else "Ok" if self._mount.tracks else "Idle"
        if always or (each.values, each.state) != before:
            self._tell(each)

    def _tell(self, each: Property, words: str = "") -> None:
        self._publish(each.update(self.device, self._timeline.utc_ns, words))

    def _publish(self, text: str) -> None:
        for client in list(self._clients.values()):
            if client.listens:
                client.say(text)


def _numbers(values: dict[str, str]) -> dict[str, float]:
    """Empty for what are none."""
    try:
        return {name: float(text) for name, text in values.items()}
    except ValueError:
        return {}
