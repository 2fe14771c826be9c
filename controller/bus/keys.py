"""Key files: a folder with `NAME.public` for everybody who is listed, and `NAME.secret` where somebody's own key lives.

A station's folder is its allow-list: who has a readable `.public` there may connect, with the role that it says. An
operator's own folder elsewhere needs two files: the operator's `.secret` and the station's `.public`. All are 0600,
because who can write one can enlist, and who can read a secret is its owner.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import zmq
from zmq.utils import z85

from controller.bus.endpoints import STATION_SERVICES
from controller.bus.envelope import BusError
from controller.bus.roles import ROLES, STATION, Principal, Role

PUBLIC, SECRET = ".public", ".secret"
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
KNOWN: Final[dict[str, Role]] = {role: role for role in (*ROLES, STATION)}


class KeyFileError(BusError):
    """A key file is missing, wrong, or open to others; the message names it and what to do."""


@dataclass(frozen=True, slots=True)
class Key:
    """Somebody's key; `secret` is empty in a public half."""

    name: str
    role: Role
    public: bytes  # Z85, 40 characters
    secret: bytes = field(default=b"", repr=False)

    @property
    def principal(self) -> Principal:
        """Whose it is."""
        return Principal(self.name, self.role)


def make_key(folder: Path, name: str, role: Role) -> Key:
    """Write both halves of a new key. Raises KeyFileError on a bad name, and when there is such a key already."""
    if not NAME.fullmatch(name):
        raise KeyFileError(f"{name!r} is no name for a key: use small letters, digits, - and _, 32 at most")
    if role != STATION and name in STATION_SERVICES:
        raise KeyFileError(f"{name!r} is the name of a service; give the key the name of who will use it")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    public, secret = zmq.curve_keypair()
    key = Key(name, role, public, secret)
    for suffix in (PUBLIC, SECRET):
        if (path := folder / f"{name}{suffix}").exists():
            raise KeyFileError(f"{path} exists: delete both files of {name} to replace the key, or choose another name")
    _write(folder / f"{name}{SECRET}", key, secret)
    _write(folder / f"{name}{PUBLIC}", key, b"")
    return key


def make_station_key(folder: Path) -> Key | None:
    """The key of the station's own services, unless the folder has one."""
    return None if (folder / f"{STATION}{PUBLIC}").exists() else make_key(folder, STATION, STATION)


def listed(folder: Path) -> list[Key]:
    """Public halves of everybody on the list. Raises KeyFileError on the first file that is wrong or open to others."""
    check_folder(folder)
    return [read_key(path) for path in sorted(folder.glob(f"*{PUBLIC}"))]


def own_key(folder: Path, name: str = "") -> Key:
    """The secret key called `name`, or the only one in the folder besides the station's. Raises KeyFileError."""
    check_folder(folder)
    found = sorted(path.stem for path in folder.glob(f"*{SECRET}") if path.stem != STATION)
    if not name:
        if len(found) != 1:
            what = f"{len(found)} secret keys ({', '.join(found)})" if found else "no secret key but the station's"
            raise KeyFileError(
                f'{folder} holds {what}: say whose to use with key = "NAME" in [bus] of the rig file, or make one with '
                "`boresight keys make`"
            )
        name = found[0]
    return read_key(folder / f"{name}{SECRET}")


def station_public(folder: Path) -> bytes:
    """The public key by which a station proves that it is one. Raises KeyFileError."""
    return read_key(folder / f"{STATION}{PUBLIC}").public


def check_folder(folder: Path) -> None:
    """Raises KeyFileError when there is no such folder, or others may write to it."""
    if not folder.is_dir():
        raise KeyFileError(f"there is no key folder {folder}; `boresight keys make` makes it, [bus] keys names it")
    if (mode := _mode(folder)) & 0o022:
        raise KeyFileError(f"others may add keys to {folder} (mode {mode:04o}): chmod 700 {folder}")


def read_key(path: Path) -> Key:
    """The key in a file. Raises KeyFileError."""
    try:
        if (mode := _mode(path)) & 0o077:
            raise KeyFileError(f"{path} is open to others (mode {mode:04o}): chmod 600 {path}")
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KeyFileError(
            f"{path} does not exist: make it with `boresight keys make`, or copy it from the station's key folder"
        ) from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise KeyFileError(f"{path} is no key file ({error}): make the key anew") from None
    public, secret = (str(document.get(half, "")).encode() for half in ("public", "secret"))
    role = KNOWN.get(str(document.get("role")))
    if role is None or document.get("name") != path.stem:
        raise KeyFileError(f'{path} must have name = "{path.stem}" and a role of {", ".join(KNOWN)}')
    if (role == STATION) != (path.stem == STATION):
        raise KeyFileError(f"{path}: the role {STATION} and the name {STATION} go together; make the key anew")
    if not _is_pair(public, secret, path.suffix):
        raise KeyFileError(f"{path}: its key is damaged or of another pair; make the key anew")
    return Key(path.stem, role, public, secret)


def problems(folder: Path) -> list[str]:
    """Everything that is wrong in a folder, one sentence each."""
    try:
        check_folder(folder)
    except KeyFileError as error:
        return [str(error)]
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix not in {PUBLIC, SECRET}:
            continue
        try:
            read_key(path)
        except KeyFileError as error:
            found.append(str(error))
    if not (folder / f"{STATION}{PUBLIC}").exists():
        found.append(f"{folder} has no {STATION}{PUBLIC}: copy it from the station's key folder")
    return found


def _is_pair(public: bytes, secret: bytes, suffix: str) -> bool:
    try:
        if suffix == PUBLIC:
            return len(public) == 40 and len(z85.decode(public)) == 32 and not secret
        return zmq.curve_public(secret) == public
    except (ValueError, zmq.ZMQError, KeyError, IndexError, struct.error):  # z85: a group above 2^32 - 1
        return False


def _write(path: Path, key: Key, secret: bytes) -> None:
    lines = [f'name = "{key.name}"', f'role = "{key.role}"', f'public = "{key.public.decode()}"']
    lines += [f'secret = "{secret.decode()}"'] if secret else []
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
