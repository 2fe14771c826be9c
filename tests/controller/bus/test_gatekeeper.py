"""Who was turned away at a door with keys, and what can be said about where they came from."""

from __future__ import annotations

import socket
from collections import Counter
from types import SimpleNamespace
from typing import Any

import zmq

from controller.bus.gatekeeper import SOMEWHERE, Tally, Watched
from controller.bus.refusals import Refusals

NAMED = "a connection from 192.0.2.7 without a key was refused"
NAMELESS = f"a connection from {SOMEWHERE} without a key was refused"
NOBODY: Any = None  # the sockets of a Watched, which `hear` does not use


def knock(watched: Watched, connection: socket.socket, port: int) -> str:
    """A connection at `port` that proves no key, as libzmq tells it; what is said about it when it ends."""
    descriptor, endpoint = connection.fileno(), f"tcp://127.0.0.1:{port}"
    assert watched.hear(zmq.EVENT_ACCEPTED, descriptor, endpoint) == ""
    assert watched.hear(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, 0, endpoint) == ""
    return watched.hear(zmq.EVENT_DISCONNECTED, descriptor, endpoint)


def test_a_sentence_that_says_from_where_stays_before_one_that_cannot() -> None:
    tally = Tally()
    for sentence in (NAMELESS, NAMED, NAMELESS):
        tally.add(sentence)
    assert tally.take() == (3, NAMED)
    assert tally.take() == (0, "")
    tally.add(NAMELESS)
    assert tally.take() == (1, NAMELESS)


def test_whoever_is_still_there_is_named_and_a_descriptor_that_has_become_another_is_not() -> None:
    watched = Watched(NOBODY, NOBODY, NOBODY)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            port = server.getsockname()[1]
            assert knock(watched, accepted, port) == NAMED.replace("192.0.2.7", "127.0.0.1")
            assert knock(watched, client, port) == NAMELESS, "that socket is at another port"
        assert knock(watched, server, port) == NAMELESS, "a socket that is connected to nobody any more"


def test_who_knocks_without_a_key_does_not_hide_who_was_let_in_and_refused() -> None:
    inbox: Any = SimpleNamespace(refused=Counter({"PROTOCOL": 1}), latest_refusal="it floods (from olga)")
    transport: Any = SimpleNamespace(refusals=lambda: (2, NAMED))
    refusals = Refusals(inbox, transport)
    assert refusals.new() == f"refused 2 CONNECTION, 1 PROTOCOL; last: {NAMED}; it floods (from olga)"
    assert refusals.new() == f"refused 2 CONNECTION; last: {NAMED}"
    transport.refusals = lambda: (0, "")
    assert refusals.new() == ""
