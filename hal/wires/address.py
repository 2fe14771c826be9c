"""HOST:PORT of a resource."""

from __future__ import annotations

from hal.errors import ResourceError

PORT_MAX = 65_535


def host_and_port(resource: str, name: str, form: str) -> tuple[str, int]:
    """Host and port of `SCHEME://HOST:PORT`, IPv6 in brackets; a path may follow http://HOST:PORT.

    Raises ResourceError naming the right `form`.
    """
    place = resource.partition("://")[2]
    if resource.startswith("http://"):
        place = place.partition("/")[0]
    host, colon, port = place.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isdigit() and 0 < int(port) <= PORT_MAX):
        raise ResourceError(f'{name}: "{resource}" names no host and port; write {form} in the rig file, [{name}].')
    return host, int(port)
