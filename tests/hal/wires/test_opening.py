from __future__ import annotations

import pytest

from hal.clock import RealClock
from hal.errors import ResourceError
from hal.wires.opening import open_stream


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        ("sreial:///dev/ttyUSB0", r"did you mean serial://\?"),
        ("rfc2271://127.0.0.1:1", r"did you mean rfc2217://\?"),
        ("gopher://127.0.0.1:1", "There are serial://, socket://"),
        ("/dev/ttyUSB0", "write serial:///dev/"),
    ],
)
def test_a_scheme_that_nobody_knows_is_refused_with_the_nearest(resource: str, told: str) -> None:
    with pytest.raises(ResourceError, match=told) as refused:
        open_stream(resource, RealClock(), "gimbal", baud=9600)
    assert str(refused.value).startswith("gimbal: ")


def test_pyserials_own_handlers_are_left_to_pyserial() -> None:
    wire = open_stream("loop://", RealClock(), "gimbal", baud=9600)
    wire.write(b"there and back")
    assert wire.read(14, 1.0) == b"there and back"
    wire.close()
