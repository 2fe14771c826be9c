"""The asyncio client does what the plain one does, and no cancelled wait of it loses or misplaces a message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.bus.async_client import AsyncClient
from controller.bus.endpoints import Table
from controller.bus.envelope import BusError
from controller.bus.holder import LeaseRefusedError, leased_async
from controller.bus.keys import make_key, make_station_key
from controller.bus.port import Reply
from controller.bus.security import client_security, station_security
from controller.bus.socket_port import SocketPort
from controller.bus.store import QUEUE_LENGTH
from controller.bus.topics import LINK_STATE, SERVICE_HEARTBEAT, STATION_EVENT, Heartbeat, LinkState, StationEvent
from controller.bus.transport import HIGH_WATER

MakePort = Callable[..., SocketPort]


def link(t_utc_ns: int = 1) -> LinkState:
    return LinkState(t_utc_ns, 1e-6, 1e-7, above=True)


async def heard(client: AsyncClient, server: SocketPort, topic: Any) -> Any:
    """The first sample, from a service that is turned meanwhile."""
    async with asyncio.timeout(5):
        while (sample := await client.wait_for(topic, timeout_s=0.01)) is None:
            server.requests()
    return sample


def test_a_command_is_executed_and_its_answer_comes_back(table: Table, toy: Callable[..., Any]) -> None:
    async def run() -> Reply:
        async with AsyncClient(table) as client:
            return await client.call("link", "pointing.slew", {"azimuth_rad": 1.0})

    with toy("link") as served:
        assert asyncio.run(run()) == Reply("", "done", body={"source": "cli", "azimuth_rad": 1.0})
    assert served.executed == ["pointing.slew"]


def test_a_hundred_commands_at_once_get_their_own_answers(table: Table, toy: Callable[..., Any]) -> None:
    async def run() -> list[int]:
        async with AsyncClient(table) as client:
            calls = [client.call("link", "toy.count", {"number": number}) for number in range(100)]
            return [(reply.body or {})["number"] for reply in await asyncio.gather(*calls)]

    with toy("link"):
        assert asyncio.run(run()) == list(range(100))


def test_a_stop_overtakes_a_command_that_is_being_executed(table: Table, toy: Callable[..., Any]) -> None:
    async def run() -> list[Reply]:
        async with AsyncClient(table) as client:
            held = asyncio.create_task(client.call("link", "toy.hold", timeout_s=5.0))
            while "toy.hold" not in served.executed:
                await asyncio.sleep(0.001)
            assert (await client.call("link", "stop", control=True)).code == ""
            return [await held]

    with toy("link") as served:
        assert asyncio.run(run()) == [Reply("BUSY", "held until the stop")]


def test_a_dead_server_is_a_sentence_and_nothing_was_executed(table: Table) -> None:
    async def run() -> list[Reply]:
        async with AsyncClient(table) as client:
            named = await client.call("camera", "camera.start")
            return [named, await client.call("link", "pointing.slew", timeout_s=0.1)]

    named, dead = asyncio.run(run())
    assert (named.code, dead.code) == ("TRANSPORT", "TRANSPORT")
    assert "'camera'" in named.message
    assert "pointing.slew was not executed" in dead.message


def test_a_service_that_hangs_leaves_the_outcome_unknown(port: MakePort, table: Table) -> None:
    hung = port("link")
    hung.publish(SERVICE_HEARTBEAT, Heartbeat(1, 0, 0))

    async def run() -> Reply:
        async with AsyncClient(table) as client:
            await heard(client, hung, SERVICE_HEARTBEAT)
            return await client.call("link", "pointing.slew", timeout_s=0.1)

    assert asyncio.run(run()).code == "TIMEOUT_UNKNOWN"
    assert hung.requests() == [], "and when it wakes up the command is too late"


def test_a_wait_that_was_cancelled_may_be_waited_for_again(table: Table, toy: Callable[..., Any]) -> None:
    async def run() -> Reply:
        async with AsyncClient(table) as client:
            held = client.send("link", "toy.hold", timeout_s=5.0)
            cancelled = 0
            while cancelled < 20 or "toy.hold" not in served.executed:  # a stop overtakes what is not executed yet
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(client.result(held), 0.001)
                cancelled += 1
            assert (await client.call("link", "stop", control=True)).code == ""
            return await client.result(held)

    with toy("link") as served:
        assert asyncio.run(run()) == Reply("BUSY", "held until the stop")
    assert served.executed.count("toy.hold") == 1


def test_a_body_that_cannot_be_written_is_refused_and_the_others_get_their_answers(
    table: Table, toy: Callable[..., Any]
) -> None:
    async def run() -> list[str]:
        async with AsyncClient(table) as client:
            assert (await client.call("link", "toy.first")).code == ""
            gone = asyncio.create_task(client.call("station", "stop", timeout_s=0.2, control=True))
            held = asyncio.create_task(client.call("link", "toy.hold", timeout_s=0.3))
            await asyncio.sleep(0)
            with pytest.raises(BusError, match=r"the body of toy\.first cannot be sent"):
                await client.call("link", "toy.first", {"azimuth_rad": object()})
            async with asyncio.timeout(5):
                return [(await gone).code, (await held).code]

    with toy("link"):
        assert asyncio.run(run()) == ["TRANSPORT", "TIMEOUT_UNKNOWN"]


def test_of_two_tasks_that_wait_for_one_answer_one_has_it_and_the_other_is_told(
    table: Table, toy: Callable[..., Any]
) -> None:
    async def run() -> list[Any]:
        async with AsyncClient(table) as client:
            request_id = client.send("link", "toy.first")
            async with asyncio.timeout(5):
                both = await asyncio.gather(*[client.result(request_id) for _ in range(2)], return_exceptions=True)
                with pytest.raises(BusError, match="its answer was taken"):
                    await client.result(request_id)
            return both

    with toy("link"):
        first, second = asyncio.run(run())
    assert (first.code, type(second)) == ("", BusError)


def test_a_call_that_was_cancelled_leaves_nothing_behind_and_disturbs_no_other(
    table: Table, toy: Callable[..., Any]
) -> None:
    async def run() -> None:
        async with AsyncClient(table) as client:
            for number in range(30):
                task = asyncio.create_task(client.call("link", "toy.count", {"number": -1}))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                reply = await client.call("link", "toy.count", {"number": number})
                assert (reply.body or {})["number"] == number
            assert not client._requester.waiting

    with toy("link"):
        asyncio.run(run())


def test_iteration_gets_every_event_once_and_in_order_however_often_it_is_cancelled(
    port: MakePort, table: Table
) -> None:
    sender = port("link")
    wanted = 300

    async def run() -> tuple[list[int], int]:
        got: list[int] = []
        async with AsyncClient(table) as client:
            samples = client.samples()
            sender.publish(SERVICE_HEARTBEAT, Heartbeat(1, 0, 0))
            await heard(client, sender, SERVICE_HEARTBEAT)
            cancelled = 0
            async with asyncio.timeout(20):
                while samples.waiting:
                    await anext(samples)
                for attempt in range(4 * wanted):
                    wait = asyncio.create_task(anext(samples))
                    await asyncio.sleep(0)
                    if attempt % 4 == 0:
                        sender.publish(STATION_EVENT, StationEvent("info", "code", str(attempt // 4)))
                    for _ in range(attempt % 3):
                        await asyncio.sleep(0)
                    wait.cancel()
                    try:
                        got.append(int((await wait).body.message))
                    except asyncio.CancelledError:
                        cancelled += 1
                while len(got) < wanted:
                    got.append(int((await anext(samples)).body.message))
            assert client.store.gaps.total() == 0
        return got, cancelled

    got, cancelled = asyncio.run(run())
    assert got == list(range(wanted))
    assert cancelled > wanted // 4, "hardly anything was tried"


def test_telemetry_that_comes_while_a_command_waits_reaches_the_iterator(
    table: Table, toy: Callable[..., Any], port: MakePort
) -> None:
    sender = port("bench")

    async def run() -> list[str]:
        async with AsyncClient(table) as client:
            samples = client.samples()
            sender.publish(SERVICE_HEARTBEAT, Heartbeat(1, 0, 0))
            await heard(client, sender, SERVICE_HEARTBEAT)
            for number in range(50):
                sender.publish(STATION_EVENT, StationEvent("info", "code", str(number)))
                assert (await client.call("link", "toy.count", {})).code == ""
            got: list[str] = []
            async with asyncio.timeout(5):
                async for sample in samples:
                    if sample.topic == STATION_EVENT.name:
                        got.append(sample.body.message)
                    if len(got) == 50:
                        return got
        return []

    with toy("link"):
        assert asyncio.run(run()) == [str(number) for number in range(50)]


def test_an_iterator_that_is_not_read_is_bounded_and_what_it_loses_is_counted(port: MakePort, table: Table) -> None:
    sender = port("link")
    sent = QUEUE_LENGTH + 10

    async def run() -> tuple[int, int]:
        async with AsyncClient(table) as client:
            client.subscribe(LINK_STATE)
            sender.publish(LINK_STATE, link(0))
            await heard(client, sender, LINK_STATE)
            unread = client.envelopes()

            def newest() -> int:
                sample = client.store.latest(LINK_STATE)
                return 0 if sample is None else sample.body.t_utc_ns

            async with asyncio.timeout(20):
                for number in range(1, sent + 1):
                    sender.publish(LINK_STATE, link(number))
                    while number % (HIGH_WATER // 4) in {0, sent % (HIGH_WATER // 4)} and newest() < number:
                        await asyncio.sleep(0.001)
            unread.end()
            return len([None async for _ in unread]), client.store.gaps[LINK_STATE.name]

    kept, gaps = asyncio.run(run())
    assert kept == QUEUE_LENGTH
    assert kept + gaps == sent


def test_what_is_there_now_comes_and_the_iteration_ends(port: MakePort, table: Table) -> None:
    sender = port("link")

    async def run() -> list[int]:
        async with AsyncClient(table) as client:
            client.subscribe(LINK_STATE)
            sender.publish(LINK_STATE, link(5))
            await heard(client, sender, LINK_STATE)
            assert [sample async for sample in client.samples(0)] == []
            samples = client.samples(0.05)
            sender.publish(LINK_STATE, link(6))
            with pytest.raises(BusError, match="no/topic"):
                client.subscribe("no/topic")
            return [sample.body.t_utc_ns async for sample in samples]

    assert asyncio.run(run()) == [6]


def test_a_client_that_is_closed_tells_whoever_waits(table: Table, toy: Callable[..., Any]) -> None:
    async def run() -> None:
        client = AsyncClient(table)
        samples = client.samples()
        waits = [
            asyncio.create_task(client.call("link", "toy.hold", timeout_s=5.0)),
            asyncio.create_task(client.wait_for(LINK_STATE, timeout_s=5.0)),
        ]
        await asyncio.sleep(0)  # both have begun
        await client.wait_for(SERVICE_HEARTBEAT, timeout_s=5.0)
        client.close()
        client.close()
        for wait in waits:
            with pytest.raises(BusError, match="closed"):
                await wait
        assert [sample.topic async for sample in samples if sample.topic == "no/topic"] == []

    with toy("link"):
        asyncio.run(run())


def test_a_client_that_is_closed_says_so_to_whoever_uses_it(table: Table) -> None:
    async def run() -> None:
        client = AsyncClient(table)
        client.close()
        for use in (client.call("link", "toy.count"), client.wait_for(LINK_STATE)):
            with pytest.raises(BusError, match="the client was closed"):
                await use
        with pytest.raises(BusError, match="the client was closed"):
            client.send("link", "toy.count")
        assert [sample async for sample in client.samples()] == []

    asyncio.run(run())


@pytest.mark.parametrize("keys", [False, True])
def test_a_lease_is_held_refused_to_others_and_given_back_by_a_task_that_is_cancelled(
    table: Table, toy: Callable[..., Any], tmp_path: Path, keys: bool
) -> None:
    folder = tmp_path / "keys"
    if keys:
        make_station_key(folder)
        for name in ("anna", "bob"):
            make_key(folder, name, "operator")

    def client(name: str) -> AsyncClient:
        return AsyncClient(table, name, security=client_security(folder, name) if keys else None)

    async def run() -> None:
        async with client("anna") as anna, client("bob") as bob:
            flying = asyncio.Event()

            async def fly() -> None:
                async with leased_async(anna, "gimbal", "flies") as lease:
                    assert (await anna.call("pointing", "pointing.slew", lease=lease)).code == ""
                    assert (await bob.call("pointing", "pointing.slew", lease=lease)).code == "AUTH"
                    flying.set()
                    await asyncio.Event().wait()

            task = asyncio.create_task(fly())
            await flying.wait()
            with pytest.raises(LeaseRefusedError, match=r"anna holds the lease of the gimbal \(flies\)"):
                async with leased_async(bob, "gimbal", "wants it"):
                    raise AssertionError("both hold it")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with leased_async(bob, "gimbal", "comes after") as lease:
                assert (await bob.call("pointing", "pointing.slew", lease=lease)).code == ""

    security = station_security(folder) if keys else None
    with toy("station", security=security), toy("pointing", security=security) as served:
        asyncio.run(run())
    assert served.executed == ["pointing.slew"] * 2


def test_a_wait_that_ended_leaves_nothing_behind_while_no_station_speaks(table: Table) -> None:
    async def run() -> int:
        async with AsyncClient(table, "anna") as anna:
            for _ in range(20):
                assert await anna.wait_for(SERVICE_HEARTBEAT, timeout_s=0.002) is None
            return len(anna._hearers)

    assert asyncio.run(run()) == 0


def test_a_lease_that_was_asked_for_by_a_task_that_is_cancelled_is_given_back() -> None:
    said: list[str] = []

    class Slow:
        """The keeper's answer comes when it may."""

        def __init__(self) -> None:
            self.may = asyncio.Event()

        async def call(self, service: str, method: str, *_: Any) -> Reply:
            said.append(method)
            if method == "lease.acquire":
                await self.may.wait()
            return Reply("", "granted", body={"id": "gimbal-1", "gen": 1, "expires_utc_ns": 0})

    async def run() -> None:
        caller = Slow()

        async def hold() -> None:
            async with leased_async(caller, "gimbal", "flies"):  # type: ignore[arg-type]
                raise AssertionError("it was cancelled before")

        task = asyncio.create_task(hold())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        caller.may.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert said == ["lease.acquire", "lease.release"]
