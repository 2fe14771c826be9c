"""A complete client of a running station with nothing but pyzmq and msgspec: prints some telemetry, then sends a stop.

python examples/bus_client.py [BASE_PORT [MESSAGES]]
"""

import sys
import uuid

import msgspec
import zmq

base_port = int(sys.argv[1]) if len(sys.argv) > 1 else 5560
messages = int(sys.argv[2]) if len(sys.argv) > 2 else 10

context = zmq.Context()
control, telemetry = context.socket(zmq.DEALER), context.socket(zmq.SUB)
for sock, port in ((control, base_port + 5), (telemetry, base_port + 6)):  # ctl and tlm of the service "station"
    sock.setsockopt(zmq.RCVTIMEO, 2000)
    sock.connect(f"tcp://127.0.0.1:{port}")
for topic in (b"station/mode", b"station/event"):
    telemetry.subscribe(topic + b"\0")

try:
    for _ in range(messages):
        topic, _, data = telemetry.recv().partition(b"\0")
        message = msgspec.msgpack.decode(data)
        print(topic.decode(), message["seq"], "sim" if message.get("sim") else "real", message["b"])

    stop = {"v": 1, "k": "req", "m": "stop", "src": "example", "id": uuid.uuid4().bytes, "dst": "station"}
    control.send(msgspec.msgpack.encode(stop))
    while (answer := msgspec.msgpack.decode(control.recv()))["k"] == "ack":
        pass  # accepted; the next message says what became of it
    print(answer["k"], answer["b"]["msg"])
except zmq.Again:
    sys.exit("no station answers: start one with `boresight run`")
finally:
    context.destroy(linger=0)
