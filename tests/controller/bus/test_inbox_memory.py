"""What the inbox remembers of a command, and that what it has forgotten ends no service."""

from __future__ import annotations

import pytest
from hand_clock import HandClock

from controller.bus.envelope import Command, Ids, body_as, decode
from controller.bus.inbox import Inbox
from controller.bus.port import Reply
from controller.bus.writer import Writer
from hal.clock import NS

ID = (3).to_bytes(16, "big")  # of a client that counts from 1 at each start


@pytest.mark.parametrize("consent", ["safety.arm", "safety.confirm"])
@pytest.mark.parametrize(("method", "control"), [("safety.disarm", False), ("ping", True), ("pointing.slew", False)])
def test_an_id_that_was_consent_s_is_another_command_s_once_it_is_forgotten_and_consent_s_never(
    consent: str, method: str, control: bool
) -> None:
    clock, answers = HandClock(), []
    writer = Writer("safety", clock, Ids(1), False)
    inbox = Inbox(writer)

    def send(method: str, control: bool = False) -> str:
        now_ns = clock.utc_ns()
        command = Command(
            v=1,
            k="req",
            m=method,
            src="anna",
            dst="safety",
            dst_boot=writer.boot,
            t=now_ns,
            id=ID,
            dl=now_ns + NS,
            b={},
        )
        inbox.admit(command, control, answers.append)
        for request in inbox.take():
            inbox.finish(request, Reply("", "done"))
        last = decode(answers[-1])
        return "" if last.k == "rep" else str(body_as(last, dict)["code"])

    assert send(consent) == ""
    for _ in range(130):
        clock.t_ns += NS
        inbox.take()
    assert send(method, control) == ""
    assert send(consent) == "PROTOCOL"
