"""A stop comes after what was sent before it, and nothing of that is executed after it: on sockets, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zmq

from controller.bus.endpoints import Table
from controller.bus.envelope import Command, Ids, body_as, decode, encode
from controller.bus.port import Reply
from controller.bus.socket_port import SocketPort
from hal.clock import NS, Deadline, RealClock

CLOCK = RealClock()
IDS = Ids(7)


@pytest.fixture
def sent(port: Callable[..., SocketPort], table: Table) -> Iterator[tuple[SocketPort, Callable[..., None], Any]]:
    """A service, what sends to its channels, and the socket on which answers to commands come."""
    service: SocketPort = port("link")
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    sockets = {}
    for channel in ("cmd", "ctl"):
        sockets[channel] = socket = context.socket(zmq.DEALER)
        socket.connect(getattr(table["link"], channel))

    def send(channel: str, method: str, source: str = "anna") -> None:
        now_ns = CLOCK.utc_ns()
        words: dict[str, Any] = {"m": method, "src": source, "t": now_ns, "dl": now_ns + 30 * NS}
        command = Command(v=1, k="req", dst="link", dst_boot=service.boot, id=IDS.message(now_ns), b={}, **words)
        sockets[channel].send(encode(command))

    try:
        yield service, send, sockets["cmd"]
    finally:
        context.destroy(0)


def here(service: SocketPort, channel: str) -> None:
    """What was sent has come, and is not read yet."""
    server = service._server
    assert getattr(server, f"_{channel}").socket.poll(5000)


def executed(service: SocketPort, within_s: float = 0.0) -> list[str]:
    """What one turn hands over; all of it is answered."""
    methods = []
    for request in service.requests(within_s):
        methods.append(request.method)
        service.answer(request, Reply("", "done"))
    return methods


def test_a_command_that_waits_in_its_socket_is_not_executed_after_a_stop(sent: Any) -> None:
    service, send, answers = sent
    send("cmd", "toy.park")
    here(service, "cmd")
    send("ctl", "stop", "olga")
    here(service, "ctl")
    assert executed(service) == ["stop"]
    assert executed(service) == []
    assert answers.poll(5000)
    answer = decode(answers.recv())
    assert (answer.k, "was overtaken by stop" in body_as(answer, dict)["msg"]) == ("err", True)
    send("cmd", "toy.park")
    deadline = Deadline(CLOCK, 5.0)
    while not (done := executed(service)):
        assert not deadline.expired
    assert done == ["toy.park"], "sent anew it counts"


@pytest.mark.parametrize("within_s", [0.0, 0.005])
def test_nor_are_those_that_are_too_many_for_one_turn(sent: Any, within_s: float) -> None:
    service, send, answers = sent
    for _ in range(200):
        send("cmd", "toy.slew")
    here(service, "cmd")
    send("ctl", "stop")
    here(service, "ctl")
    stopped = executed(service)
    service._look_ns = CLOCK.now_ns() + 60 * NS  # it has just looked at its door, and blocks for commands alone
    deadline, refused = Deadline(CLOCK, 20.0), 0
    while refused < 200 and not deadline.expired:
        stopped += executed(service, within_s)
        while answers.poll(5):
            refused += decode(answers.recv()).k == "err"
    assert (stopped, refused) == (["stop"], 200)
