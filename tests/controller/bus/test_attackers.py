"""Each attacker on a bus with keys is refused and counted, and whoever else uses it notices nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq
from zmq.utils.monitor import recv_monitor_message

from controller.bus.client import Client
from controller.bus.endpoints import Table, registry_endpoint, static_table
from controller.bus.envelope import COMMAND_BYTES_MAX, BusError, Envelope, Ids, body_as, decode, encode
from controller.bus.keys import make_key, make_station_key, own_key, station_public
from controller.bus.registry import Announcement, RegistryClient, RegistryServer, schema_hash
from controller.bus.roles import Principal
from controller.bus.security import AllowList, Security, client_security, dial_as, station_security
from controller.bus.socket_port import SocketPort
from controller.bus.topics import BUS_REFUSALS, SERVICE_HEARTBEAT, STATION_EVENT
from controller.bus.transport import MESSAGE_BYTES_MAX
from controller.bus.writer import Writer
from hal.clock import NS, Deadline, RealClock

FAILED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
CLOCK = RealClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    make_station_key(made)
    make_key(made, "anna", "operator")
    make_key(made, "olga", "observer")
    return made


@pytest.fixture
def link(table: Table, toy: Callable[..., Any], folder: Path) -> Iterator[Any]:
    """A toy service with keys, and an operator whose work every attack must leave undisturbed."""
    with (
        toy("link", security=station_security(folder), paced=False) as served,
        Client(table, security=client_security(folder, "anna")) as anna,
    ):
        served.anna = anna
        assert anna.call("link", "toy.before").code == ""
        first = anna.wait_for(SERVICE_HEARTBEAT, "link", 5.0)
        assert first is not None
        boot = anna.store.boot_of("link")
        served.executed.clear()
        yield served
        assert anna.call("link", "toy.after").code == ""
        assert served.executed[-1:] == ["toy.after"]
        undisturbed(anna, first, boot)


def undisturbed(anna: Client, first: Any, boot: bytes) -> None:
    """The loop went on turning, as the same start, and not one of its messages was lost."""
    deadline = Deadline(CLOCK, 5.0)
    while (last := anna.store.latest(SERVICE_HEARTBEAT, "link")).body.cycles <= first.body.cycles:
        assert not deadline.expired, "the loop stands still"
        anna.pause(0.02)
    assert last.seq - first.seq == (last.body.cycles - first.body.cycles) // 4
    assert not anna.store.gaps
    assert anna.store.boot_of("link") == boot


class Stranger:
    """A DEALER with any key or none, that says anything and hears what becomes of its connection."""

    def __init__(self, endpoint: str, keys: tuple[bytes, bytes, bytes] | None = None, routing_id: bytes = b"") -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self._context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, 5000)
        if routing_id:
            self.socket.setsockopt(zmq.ROUTING_ID, routing_id)
        if keys is not None:
            dial_as(self.socket, *keys)
        self._monitor = self.socket.get_monitor_socket(FAILED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self.socket.connect(endpoint)

    def __enter__(self) -> Stranger:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.disable_monitor()
        self._monitor.close(0)
        self.socket.close(0)
        self._context.term()

    def happens(self) -> int:
        """The next thing that happens to the connection."""
        assert self._monitor.poll(5000), "nothing happens"
        return int(recv_monitor_message(self._monitor)["event"])

    def ask(self, *frames: bytes) -> dict[str, Any]:
        """Send frames; the error, or nothing, that comes back."""
        self.socket.send_multipart(frames)
        while (answer := decode(self.socket.recv())).k == "ack":
            pass
        return body_as(answer, dict)


def keyed(folder: Path, name: str) -> tuple[bytes, bytes, bytes]:
    key = own_key(folder, name)
    return key.public, key.secret, station_public(folder)


def command(source: str, method: str = "toy.move", **fields: Any) -> Envelope:
    writer = Writer(source, CLOCK, Ids(), simulated=False)
    return msgspec.structs.replace(writer.request("link", method, {}, CLOCK.utc_ns() + NS, b""), **fields)


def told(anna: Client, topic: Any, want: Callable[[Any], bool]) -> Any:
    """The first sample that is wanted."""
    anna.subscribe(topic)
    deadline = Deadline(CLOCK, 5.0)
    while not deadline.expired:
        for sample in anna.samples(0.05):
            if sample.topic == topic.name and want(sample.body):
                return sample.body
    raise AssertionError("it was never told")


def counted(anna: Client, code: str, named: str = "") -> None:
    """The refusal is counted by its code, and told to the operator with who was refused."""
    anna.subscribe(BUS_REFUSALS)
    deadline, counts, said = Deadline(CLOCK, 5.0), 0, ""
    while not (counts and code in said and named in said):
        assert not deadline.expired, f"{counts} counted, said: {said}"
        for sample in anna.samples(0.05):
            if sample.topic == BUS_REFUSALS.name:
                counts = sample.body.refused.get(code, 0)
            elif sample.topic == STATION_EVENT.name and sample.body.code == "REFUSED_MESSAGE":
                said += sample.body.message


def test_who_is_listed_commands_and_is_known_by_the_key(link: Any) -> None:
    reply = link.anna.call("link", "toy.move")
    assert (reply.code, reply.body) == ("", {"source": "anna"})


def test_a_stranger_without_a_key_does_not_get_in_and_is_counted(link: Any, table: Table) -> None:
    for endpoint in (table["link"].cmd, table["link"].ctl, table["link"].tlm):
        with Stranger(endpoint) as stranger:
            with suppress(zmq.Again):  # cut off already
                stranger.socket.send(encode(command("anna", "stop")), zmq.NOBLOCK)
            assert stranger.happens() in {zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_DISCONNECTED}
    counted(link.anna, "CONNECTION", "without a key was refused")
    assert link.executed == []


def test_a_key_that_is_not_listed_does_not_get_in_and_is_named(link: Any, table: Table, folder: Path) -> None:
    public, secret = zmq.curve_keypair()
    with Stranger(table["link"].cmd, (public, secret, station_public(folder))) as stranger:
        assert stranger.happens() == zmq.EVENT_HANDSHAKE_FAILED_AUTH
    event = told(link.anna, STATION_EVENT, lambda body: body.code == "REFUSED_MESSAGE")
    assert public.decode() in event.message
    assert (event.level, "127.0.0.1" in event.message) == ("warning", True)
    assert link.executed == []


def test_a_false_station_is_not_spoken_to(table: Table, toy: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    false = tmp_path / "false"
    make_station_key(false)
    (false / "anna.public").write_bytes((folder / "anna.public").read_bytes())
    (false / "anna.public").chmod(0o600)
    with (
        toy("link", security=station_security(false)) as served,
        Client(table, security=client_security(folder, "anna")) as anna,
    ):
        assert anna.call("link", "stop", timeout_s=0.3, control=True).code == "TRANSPORT"
        assert anna.wait_for(SERVICE_HEARTBEAT, timeout_s=0.2) is None
        assert served.executed == []


def test_an_observer_looks_pings_and_stops_and_commands_nothing(link: Any, table: Table, folder: Path) -> None:
    with Client(table, security=client_security(folder, "olga")) as olga:
        assert olga.wait_for(SERVICE_HEARTBEAT, "link", 5.0) is not None
        assert olga.call("link", "ping", control=True).code == ""
        reply = olga.call("link", "toy.move")
        assert (reply.code, "olga is an observer and may not send toy.move" in reply.message) == ("AUTH", True)
        assert olga.call("link", "lease.acquire", control=True).code == "AUTH"
        assert link.executed == []
        assert olga.call("link", "stop", control=True).code == ""
        assert link.executed == ["stop"]
    counted(link.anna, "AUTH", "(from olga)")


@pytest.mark.parametrize("claimed", ["anna", "station", "supervisor", "link", "cli", ""])
def test_a_sender_that_claims_to_be_somebody_else_is_refused(
    link: Any, table: Table, folder: Path, claimed: str
) -> None:
    make_key(folder, "mallory", "supervisor")
    with Stranger(table["link"].cmd, keyed(folder, "mallory")) as mallory:
        error = mallory.ask(encode(command(claimed)))
        assert (error["code"], f"may not speak as {claimed!r}" in error["msg"]) == ("AUTH", True)
        assert "code" not in mallory.ask(encode(command("mallory")))
    assert link.executed == ["toy.move"]
    counted(link.anna, "AUTH", "(from mallory)")


def test_a_key_that_is_taken_off_the_list_loses_its_rights_while_connected(
    link: Any, table: Table, folder: Path
) -> None:
    make_key(folder, "bob", "operator")
    with Stranger(table["link"].cmd, keyed(folder, "bob")) as bob:
        assert "code" not in bob.ask(encode(command("bob")))
        (folder / "bob.public").unlink()
        key = own_key(folder, "bob").public.decode()
        assert bob.ask(encode(command("bob")))["code"] == "AUTH"
    assert link.executed == ["toy.move"]
    counted(link.anna, "AUTH", f"(from {key} at 127.0.0.1)")


def test_a_key_that_is_taken_off_the_list_loses_its_rights_while_it_sends_without_pause(
    link: Any, table: Table, folder: Path
) -> None:
    """Ten of them: now and then one is found out by other work of the service, not by the look at the folder."""
    for name in (f"bob{number}" for number in range(10)):
        make_key(folder, name, "operator")
        with Client(table, security=client_security(folder, name)) as bob:
            for _ in range(50):
                assert bob.call("link", "toy.move").code == ""
            (folder / f"{name}.public").unlink()
            for _ in range(200):  # two milliseconds of them may pass: the folder is looked at that often
                if code := bob.call("link", "toy.move").code:
                    break
        assert code == "AUTH"


def test_who_takes_over_the_connection_id_of_a_known_sender_has_not_its_rights(
    link: Any, table: Table, folder: Path
) -> None:
    """A ROUTER knows its peers by an id that they may choose; what is remembered of one holds for its key alone."""
    mine = command("anna")

    def ask(name: str) -> dict[str, Any]:
        message = msgspec.structs.replace(mine, id=Ids().message(CLOCK.utc_ns()), dl=CLOCK.utc_ns() + NS, dst_boot=boot)
        with Stranger(table["link"].cmd, keyed(folder, name), routing_id=b"the same") as stranger:
            for _ in range(5):
                message = msgspec.structs.replace(message, id=Ids().message(CLOCK.utc_ns()))
                answer = stranger.ask(encode(message))
            return answer

    boot = link.anna.store.boot_of("link")
    assert "code" not in ask("anna")
    assert len(link.executed) == 5
    deadline = Deadline(CLOCK, 5.0)
    while True:
        with suppress(zmq.Again):  # libzmq may still have the connection that was closed
            assert ask("olga")["code"] == "AUTH"
            break
        assert not deadline.expired
    assert len(link.executed) == 5
    counted(link.anna, "AUTH", "(from olga")


def subscriber(stack: ExitStack, table: Table, folder: Path, name: str) -> zmq.Socket[bytes]:
    """A socket that may write any subscription, connected to the telemetry of `link`."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    stack.callback(context.destroy, 0)
    socket = context.socket(zmq.XSUB)
    socket.setsockopt(zmq.RCVTIMEO, 5000)
    dial_as(socket, *keyed(folder, name))
    socket.connect(table["link"].tlm)
    return socket


def test_an_observer_that_subscribes_without_pause_delays_no_stop_and_is_shown_out(
    link: Any, table: Table, folder: Path
) -> None:
    with ExitStack() as stack:
        socket = subscriber(stack, table, folder, "olga")
        over = threading.Event()

        def flood() -> None:
            while not over.is_set():
                with suppress(zmq.Again):
                    socket.send(b"\x01", zmq.NOBLOCK)

        flooding = threading.Thread(target=flood)
        stack.callback(flooding.join)
        stack.callback(over.set)
        flooding.start()
        counted(link.anna, "PROTOCOL", "(from olga)")
        for _ in range(20):
            assert link.anna.call("link", "stop", control=True, timeout_s=1.0).code == ""
    assert link.executed == ["stop"] * 20


def test_a_key_that_is_taken_off_the_list_hears_no_more_telemetry_and_subscribes_to_none(
    link: Any, table: Table, folder: Path
) -> None:
    make_key(folder, "bob", "operator")
    with ExitStack() as stack:
        socket = subscriber(stack, table, folder, "bob")
        monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED)
        stack.callback(socket.disable_monitor)
        assert recv_monitor_message(monitor)["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED
        socket.send(b"\x01" + SERVICE_HEARTBEAT.name.encode())
        assert socket.recv()
        (folder / "bob.public").unlink()
        heard = []
        for _ in range(3):
            assert monitor.poll(5000), "nothing happens to its connection"
            heard.append(recv_monitor_message(monitor)["event"])
        assert heard == [zmq.EVENT_DISCONNECTED] * 3, "it tries again, and no handshake comes to its end"


def test_a_replayed_message_is_executed_once_and_an_old_one_never(link: Any, table: Table, folder: Path) -> None:
    with Stranger(table["link"].cmd, keyed(folder, "anna")) as stranger:
        recorded = encode(command("anna"))
        first = stranger.ask(recorded)
        assert [stranger.ask(recorded) for _ in range(3)] == [first] * 3
        assert link.executed == ["toy.move"]
        assert stranger.ask(encode(command("anna", dl=CLOCK.utc_ns() - 1)))["code"] == "DEADLINE"
        assert stranger.ask(encode(command("anna", dl=0)))["code"] == "SCHEMA"
        assert stranger.ask(encode(command("anna", dl=CLOCK.utc_ns() + 3600 * NS)))["code"] == "SCHEMA"
        assert stranger.ask(encode(command("anna", dst_boot=b"previous")))["code"] == "TRANSPORT"
    assert link.executed == ["toy.move"]
    counted(link.anna, "DEADLINE", "(from anna)")


def test_malformed_and_oversized_frames_are_refused_and_counted(link: Any, table: Table, folder: Path) -> None:
    with Stranger(table["link"].cmd, keyed(folder, "anna")) as stranger:
        for frames in ((b"",), (b"\xc1garbage",), (b"a", b"b"), (encode(command("anna")), b""), (b"\x00" * 65537,)):
            assert stranger.ask(*frames)["code"] == "PROTOCOL"
        padded = command("anna", b=msgspec.Raw(msgspec.msgpack.encode({"pad": b"x" * COMMAND_BYTES_MAX})))
        error = stranger.ask(encode(padded))
        assert (error["code"], "too long" in error["msg"]) == ("PROTOCOL", True)
    assert link.executed == []
    counted(link.anna, "PROTOCOL", "(from anna at 127.0.0.1)")


def test_who_sends_more_than_a_mebibyte_is_cut_off(link: Any, table: Table, folder: Path) -> None:
    with Stranger(table["link"].cmd, keyed(folder, "anna")) as stranger:
        assert stranger.happens() == zmq.EVENT_HANDSHAKE_SUCCEEDED
        stranger.socket.send(b"x" * (MESSAGE_BYTES_MAX + 1))
        assert stranger.happens() == zmq.EVENT_DISCONNECTED
    assert link.executed == []


def test_with_keys_every_address_of_the_machine_may_be_bound_and_reached(
    free_base_port: Callable[[int], int], folder: Path
) -> None:
    base_port = free_base_port(4)
    with pytest.raises(BusError, match=r"no keys.*boresight keys make"):
        static_table("0.0.0.0", base_port, ["link"])
    security, everywhere = station_security(folder), static_table("0.0.0.0", base_port, ["link"], keys=True)
    port = SocketPort("link", CLOCK, everywhere, security=security)
    try:
        here = static_table(base_port=base_port, services=["link"])
        with Client(here, security=client_security(folder, "olga")) as olga:
            sent = olga.send("link", "ping", control=True)
            deadline = Deadline(CLOCK, 5.0)
            while not deadline.expired and not port.requests():
                olga.pause(0.01)
                if (reply := olga._requester.result(sent)) is not None:
                    break
            assert reply is not None
            assert reply.code == ""
    finally:
        port.close()


def test_a_bus_that_lets_in_an_unlisted_key_does_not_start(
    table: Table, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    security = station_security(folder)
    monkeypatch.setattr(AllowList, "find", lambda self, public: Principal("anybody", "supervisor"))
    with pytest.raises(BusError, match="let in a key that is not listed"):
        SocketPort("link", CLOCK, table, security=security)


def test_without_a_gatekeeper_nobody_gets_in(folder: Path) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    server = context.socket(zmq.ROUTER)
    try:
        station_security(folder).serve(server)
        port = server.bind_to_random_port("tcp://127.0.0.1")
        with Stranger(f"tcp://127.0.0.1:{port}", keyed(folder, "anna")) as anna:
            assert anna.happens() != zmq.EVENT_HANDSHAKE_SUCCEEDED
    finally:
        server.close(0)
        context.term()


@contextmanager
def registry(endpoint: str, security: Security) -> Iterator[RegistryServer]:
    server = RegistryServer(endpoint, CLOCK, security)
    try:
        yield server
    finally:
        server.close()


def test_the_registry_answers_who_is_listed_and_takes_announcements_from_services_alone(
    free_base_port: Callable[[int], int], folder: Path
) -> None:
    import threading

    endpoint, stop = registry_endpoint(base_port=free_base_port(1)), threading.Event()
    here = Announcement("link", "tcp://127.0.0.1:1", "tcp://127.0.0.1:2", "tcp://127.0.0.1:3", b"1", schema_hash())

    def client(name: str) -> RegistryClient:
        return RegistryClient(endpoint, CLOCK, security=client_security(folder, name))

    with registry(endpoint, station_security(folder)) as server:

        def turn() -> None:
            while not stop.is_set():
                server.turn()
                CLOCK.sleep_until(CLOCK.now_ns() + NS // 500)

        thread = threading.Thread(target=turn)
        thread.start()
        try:
            with pytest.raises(BusError, match="for the services of the station"):
                client("anna").announce(here)
            RegistryClient(endpoint, CLOCK, "link", station_security(folder)).announce(here)
            assert list(client("olga").lookup()) == ["link"]
            with pytest.raises(BusError, match="no station answers"):
                RegistryClient(endpoint, CLOCK).lookup(0.2)
        finally:
            stop.set()
            thread.join()
