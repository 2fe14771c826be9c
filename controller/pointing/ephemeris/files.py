"""Which format a file has, told by its content; every target in it; one of them by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from controller.pointing.elements import parse_elements
from controller.pointing.ephemeris.ephemeris import Ephemeris, EphemerisError, nearest
from controller.pointing.ephemeris.text import as_text, read_bytes

FORMATS = "TLE, OMM (text, XML, JSON, CSV), OEM, OPM, CPF, SP3, SPK, a list of states (CSV) or a description (TOML)"

Parser = Callable[[str, str], Sequence[Ephemeris]]


def load_ephemerides(path: str | Path) -> list[Ephemeris]:
    """Every target of a file. Raises EphemerisError, ElementsError or KernelError: one sentence with file and line."""
    path = Path(path)
    content = read_bytes(path)
    if content.startswith((b"DAF/SPK", b"NAIF/DAF")):
        from controller.pointing.ephemeris.bodies import read_kernel

        return list(read_kernel(path))
    return parse_ephemerides(content, str(path))


def parse_ephemerides(content: bytes, source: str) -> list[Ephemeris]:
    """Every target of a file of text, `source` being its name in errors. Raises EphemerisError or ElementsError."""
    text = as_text(content, source)
    return list(_parser(text, source)(text, source))


def find_ephemeris(found: Sequence[Ephemeris], name: str = "") -> Ephemeris:
    """One target by its name or catalogue number; without a name the only one. Raises EphemerisError."""
    if not name and len(found) == 1:
        return found[0]
    names = [target.name for target in found]
    if not name:
        raise EphemerisError(f"{found[0].source} holds {len(found)} targets; name one with --target: {_list(names)}")
    wanted = name.strip().upper()
    for target in found:
        number = str(getattr(target, "catalogue_number", "") or getattr(target, "number", ""))
        if target.name.upper() == wanted or number == wanted:
            return target
    raise EphemerisError(f"{found[0].source} holds no target named {name}; {nearest(name, names)}")


def _parser(text: str, source: str) -> Parser:
    """Imports only the reader that is needed, so that the command starts at once."""
    from controller.pointing.ephemeris import omm, states
    from controller.pointing.ephemeris.ndm import kind_of

    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    upper = first.upper()
    kind = kind_of(text)
    if kind == "OEM":
        from controller.pointing.ephemeris.oem import parse_oem

        return parse_oem
    if kind == "OPM":
        from controller.pointing.ephemeris.opm import parse_opm

        return parse_opm
    if kind == "OMM" or upper.startswith(("[{", "{")) or upper == "[" or omm.is_csv(text):
        return omm.parse_omm
    if upper.split()[:2] == ["H1", "CPF"]:
        from controller.pointing.ephemeris.cpf import parse_cpf

        return parse_cpf
    if upper.startswith("#") and upper[1:2] in {"A", "B", "C", "D"} and upper[2:3] in {"P", "V"}:
        from controller.pointing.ephemeris.sp3 import parse_sp3

        return parse_sp3
    if states.is_states(text):
        return states.parse_states
    if "[target]" in text:
        from controller.pointing.ephemeris.described import parse_described

        return parse_described
    if any(line.startswith("1 ") and len(line.rstrip()) > 24 for line in text.splitlines()[:50]):
        return lambda content, where: parse_elements(content.splitlines(), where)
    shown = f" (it begins {first[:30]!r})" if first else " (it is empty)"
    raise EphemerisError(f"{source} is in no format that is read here{shown}; give {FORMATS}.")


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else ".")
