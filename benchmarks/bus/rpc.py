"""gRPC: unary calls and one stream in both directions; telemetry is a stream from the server. Bytes, no protobuf."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from benchmarks.bus.contest import WINDOW, Tell, telemetry

NAME = "bench.Bus"
LIMIT = [("grpc.max_receive_message_length", 1 << 22)]


class Grpc:
    """The handler of one process does both roles; the publisher's process does the telemetry alone."""

    def __init__(self, stream: bool) -> None:
        self._stream = stream

    def _serve(self, tell: Tell) -> Any:
        data = telemetry()

        def unary(request: bytes, context: Any) -> bytes:
            return request

        def both(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            yield from requests

        def burst(request: bytes, context: Any) -> Iterator[bytes]:
            for _ in range(int(request)):
                yield data

        handlers = {
            "Unary": grpc.unary_unary_rpc_method_handler(unary),
            "Both": grpc.stream_stream_rpc_method_handler(both),
            "Burst": grpc.unary_stream_rpc_method_handler(burst),
        }
        server = grpc.server(ThreadPoolExecutor(4), options=LIMIT)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        tell(f"127.0.0.1:{port}")
        return server

    def echo(self, tell: Tell) -> None:
        self._serve(tell).wait_for_termination()

    def publish(self, tell: Tell, bursts: Iterator[int]) -> None:
        server = self._serve(tell)
        for _ in bursts:
            pass  # a stream is asked for by its reader
        server.stop(None)

    def client(self, echo: Any, publish: Any) -> GrpcClient:
        return GrpcClient(echo, publish, self._stream)


class GrpcClient:
    def __init__(self, echo: str, publish: str, stream: bool) -> None:
        self._channels = [grpc.insecure_channel(echo, LIMIT), grpc.insecure_channel(publish, LIMIT)]
        self._unary = self._channels[0].unary_unary(f"/{NAME}/Unary")
        self._burst = self._channels[1].unary_stream(f"/{NAME}/Burst")
        self._wishes: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._answers = None
        if stream:
            self._answers = self._channels[0].stream_stream(f"/{NAME}/Both")(iter(self._wishes.get, None))

    def trips(self, payload: bytes, count: int) -> list[int]:
        spent = []
        for _ in range(count):
            start = time.perf_counter_ns()
            if self._answers is None:
                self._unary(payload)
            else:
                self._wishes.put(payload)
                next(self._answers)
            spent.append(time.perf_counter_ns() - start)
        return spent

    def take(self, count: int) -> None:
        while count > 0:
            count -= sum(1 for _ in self._burst(str(min(count, WINDOW)).encode()))

    def close(self) -> None:
        self._wishes.put(None)
        for channel in self._channels:
            channel.close()


CONTESTANTS: dict[str, Any] = {"gRPC unary": Grpc(stream=False), "gRPC stream": Grpc(stream=True)}
