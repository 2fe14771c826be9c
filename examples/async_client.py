"""A client with asyncio: telemetry and commands at the same time, and events from before it came.

python examples/async_client.py [BASE_PORT [SECONDS]]
"""

import asyncio
import sys

from controller.bus.async_client import AsyncClient
from controller.bus.endpoints import static_table
from controller.bus.topics import STATION_EVENT, STATION_MODE


async def tell(client: AsyncClient, seconds: float) -> int:
    """Print each change of mode; returns how many messages came."""
    count, mode = 0, ""
    async for sample in client.samples(seconds):
        count += 1
        if sample.topic == STATION_MODE.name and sample.body.mode != mode:
            mode = sample.body.mode
            print("mode", mode, "simulated" if sample.simulated else "real")
    return count


async def main(base_port: int, seconds: float) -> int:
    async with AsyncClient(static_table(base_port=base_port), "example") as client:
        client.subscribe(STATION_MODE)
        telling = asyncio.create_task(tell(client, seconds))
        pong = await client.call("station", "ping", control=True)
        if pong.code:
            print(pong.message, file=sys.stderr)
            return 1
        for event in await client.events_since(STATION_EVENT, "station"):
            print("event", event.seq, event.body.message)
        stopped = await client.call("station", "stop", control=True)
        print("stop:", stopped.message)
        print(await telling, "messages")
    return 0


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 5560
    duration_s = float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
    sys.exit(asyncio.run(main(port, duration_s)))
