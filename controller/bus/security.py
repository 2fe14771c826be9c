"""CURVE on the bus: the options of sockets that authenticate each other, and the list of who may connect."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import zmq

from controller.bus.keys import PUBLIC, Key, KeyFileError, check_folder, listed, own_key, read_key, station_public
from controller.bus.roles import STATION, Principal
from hal.clock import NS, Clock, RealClock

ZAP_DOMAIN: Final = "boresight"
FILES_NS: Final = NS // 4  # the folder tells of files that come and go; the files themselves are asked this often
USER_ID: Final = b"User-Id"  # of a frame: the public key (Z85) of its connection, as our gatekeeper told libzmq


class AllowList:
    """Who is listed in a key folder now: a file that goes away takes its owner's rights with it, at once.

    One that is changed in place, or opened to others, does so within a quarter of a second. Raises KeyFileError at the
    start, naming the first file that is wrong; a file that turns bad later is not listed.
    """

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self._folder = folder
        self._path = str(folder)
        self._now_ns = (clock or RealClock()).now_ns
        self._looking = threading.Lock()  # the gatekeeper's thread looks, too
        self._seen_ns = 0  # before anything may have changed
        self._files: list[tuple[str, int, int]] = []
        self._files_due_ns = 0
        # By public key (Z85), as of the latest look; always the same dict.
        self.principals = {key.public.decode(): key.principal for key in listed(folder)}
        self.known = set(self.principals)  # whoever was listed at any time
        self.removed = 0  # how many were taken off
        self.epoch = object()  # another one whenever a connection may have got another owner, or an owner other rights

    def find(self, public: bytes) -> Principal | None:
        """The owner of a public key (Z85), or None for somebody who is not listed.

        Nobody is turned away by what was known a quarter of a second ago, as libzmq does not knock again: a file that
        was being written, or came in the same tick of the folder's clock as the one before it, is looked at once more.
        """
        self.look()
        if (found := self.principals.get(public.decode())) is None:
            self._files_due_ns = 0
            self.look()
            found = self.principals.get(public.decode())
        return found

    def look(self) -> None:
        """Take in what has changed in the folder."""
        try:
            changed_ns = os.stat(self._path).st_mtime_ns
        except OSError:
            changed_ns = -1
        now_ns = self._now_ns()
        if changed_ns == self._seen_ns and now_ns < self._files_due_ns:
            return
        with self._looking:
            self._take_in(changed_ns, now_ns)

    def _take_in(self, changed_ns: int, now_ns: int) -> None:
        self._files_due_ns = now_ns + FILES_NS
        files = self._stamps()  # before they are read: what changes meanwhile is read again
        if changed_ns != self._seen_ns or files != self._files:
            found = self._read()
            self.principals.update(found)
            self.known |= found.keys()
            for public in set(self.principals) - found.keys():
                self.principals.pop(public, None)
                self.removed += 1
            self._seen_ns, self._files = changed_ns, files
            self.epoch = object()

    def admitted(self) -> None:
        """Somebody is let in, and may take the connection id of one who has gone."""
        self.epoch = object()

    def _stamps(self) -> list[tuple[str, int, int]]:
        """When the public files were changed (what they hold, or who may open them), and how long they are.

        A file is made and filled within one tick of the kernel's clock: of when alone, an empty one stayed empty.
        """
        with suppress(OSError):
            stats = ((path.name, path.stat()) for path in self._folder.glob(f"*{PUBLIC}"))
            return sorted((name, stat.st_ctime_ns, stat.st_size) for name, stat in stats)
        return []

    def _read(self) -> dict[str, Principal]:
        found = {}
        with suppress(KeyFileError, OSError):
            check_folder(self._folder)
            for path in sorted(self._folder.glob(f"*{PUBLIC}")):
                with suppress(KeyFileError):
                    key = read_key(path)
                    found[key.public.decode()] = key.principal
        return found


class Everybody:
    """Without keys: whoever is on this machine, with the same rights for ever."""

    epoch: Final = object()

    def look(self) -> None:
        """Nothing changes."""


@dataclass(frozen=True)
class Security:
    """The key that this process speaks with, the station's public key, and who may connect here."""

    me: Key
    station: bytes
    allowed: AllowList

    def serve(self, socket: zmq.Socket[bytes]) -> None:
        """Make a socket, before it is bound, refuse everybody who is not listed."""
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self.me.secret)
        socket.setsockopt_string(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without a gatekeeper nobody is let in, instead of everybody

    def dial(self, socket: zmq.Socket[bytes]) -> None:
        """Make a socket, before it connects, prove who we are and accept nobody but the station."""
        dial_as(socket, self.me.public, self.me.secret, self.station)

    def principal(self, frame: zmq.Frame) -> Principal | None:
        """Who sent a frame, by the key of its connection; None for somebody who is not listed any more."""
        self.allowed.look()
        return self.allowed.principals.get(frame.get(USER_ID))


def speaker(name: str, security: Security | None) -> str:
    """What to write as sender: the name of our key; a service of the station may use its own."""
    return name if security is None or security.me.role == STATION else security.me.name


def dial_as(socket: zmq.Socket[bytes], public: bytes, secret: bytes, server: bytes) -> None:
    """Set a key pair and the key that the other side must have."""
    socket.setsockopt(zmq.CURVE_PUBLICKEY, public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
    socket.setsockopt(zmq.CURVE_SERVERKEY, server)


def station_security(folder: Path) -> Security:
    """For a service of the station. Raises KeyFileError."""
    me = read_key(folder / f"{STATION}.secret")
    return Security(me, me.public, AllowList(folder))


def client_security(folder: Path, name: str = "") -> Security:
    """For whoever operates: the key called `name`, or the only one there is. Raises KeyFileError."""
    return Security(own_key(folder, name), station_public(folder), AllowList(folder))
