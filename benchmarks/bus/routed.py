"""zenoh, two peers over tcp: a key for the command and one for its answer (its own ping-pong), one for telemetry."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from typing import Any

import zenoh

from benchmarks.bus.contest import Tell, telemetry

ASK, ANSWER, TELEMETRY = "bench/ask", "bench/answer", "bench/telemetry"


def session(**settings: str) -> Any:
    config = zenoh.Config()
    config.insert_json5("mode", '"peer"')
    config.insert_json5("scouting/multicast/enabled", "false")
    for key in ("listen", "connect"):
        config.insert_json5(f"{key}/endpoints", json.dumps([settings[key]] if key in settings else []))
    return zenoh.open(config)


class Zenoh:
    """Reliable, blocking when congested, sent at once (express) for commands."""

    def _serve(self) -> tuple[Any, str]:
        while True:
            endpoint = f"tcp/127.0.0.1:{random.randrange(10000, 30000)}"
            try:
                return session(listen=endpoint), endpoint
            except zenoh.ZError:
                continue

    def echo(self, tell: Tell) -> None:
        peer, endpoint = self._serve()
        questions = peer.declare_subscriber(ASK)
        answers = peer.declare_publisher(ANSWER, express=True, congestion_control=zenoh.CongestionControl.BLOCK)
        tell(endpoint)
        while True:
            answers.put(questions.recv().payload)

    def publish(self, tell: Tell, bursts: Iterator[int]) -> None:
        peer, endpoint = self._serve()
        publisher = peer.declare_publisher(TELEMETRY, congestion_control=zenoh.CongestionControl.BLOCK)
        tell(endpoint)
        data = telemetry()
        for count in bursts:
            for _ in range(count):
                publisher.put(data)

    def client(self, echo: Any, publish: Any) -> ZenohClient:
        return ZenohClient(echo, publish)


class ZenohClient:
    def __init__(self, echo: str, publish: str) -> None:
        self._peers = [session(connect=echo), session(connect=publish)]
        self._answers = self._peers[0].declare_subscriber(ANSWER)
        self._questions = self._peers[0].declare_publisher(
            ASK, express=True, congestion_control=zenoh.CongestionControl.BLOCK
        )
        self._telemetry = self._peers[1].declare_subscriber(TELEMETRY)

    def trips(self, payload: bytes, count: int) -> list[int]:
        spent = []
        for _ in range(count):
            start = time.perf_counter_ns()
            self._questions.put(payload)
            self._answers.recv().payload.to_bytes()
            spent.append(time.perf_counter_ns() - start)
        return spent

    def take(self, count: int) -> None:
        for _ in range(count):
            self._telemetry.recv().payload.to_bytes()

    def close(self) -> None:
        for peer in self._peers:
            peer.close()


CONTESTANTS: dict[str, Any] = {"zenoh": Zenoh()}
