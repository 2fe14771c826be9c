"""The process around one service of a running station: `python -m controller.services.host LAUNCH`.

It ends when told to (SIGTERM), when the service ends, or when the supervisor that started it has died.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Final

from controller.bus.port import Port
from controller.bus.socket_port import SocketPort
from controller.bus.topics import STATION_EVENT, StationEvent
from controller.errors import BoresightError
from controller.services.launch import Launch, LaunchError, decode_launch, named
from controller.services.libraries import read_libraries
from controller.services.signals import SUSPENDING
from hal.errors import HalError
from hal.wires import wirelog

EXIT_REFUSED: Final = 3  # one sentence on stderr says what to do
EXIT_CRASHED: Final = 4  # a fault of ours: the traceback is on stderr
SPARE_BYTES, SPARE_PIECE_BYTES = 1 << 20, 448  # what Python maps at once for objects, and a piece small enough for it
HELD_EVERY: Final = 1000  # pieces: one is held in each such map, since Python returns to the system what is all free
_held: list[bytes] = []


class StopFlag:
    """Set by SIGTERM or by the death of the process that started this one."""

    def __init__(self, parent_pid: int = 0, parent: Callable[[], int] = os.getppid) -> None:
        self._parent = parent
        self._parent_pid = parent_pid or parent()
        self._told = False
        self._loading = True

    def loaded(self) -> None:
        """The service is made: from now on it ends in good order. Until then it has nothing to leave in order."""
        self._loading = False

    def catch_signals(self) -> None:
        """SIGTERM ends the service in good order; what a terminal sends is the supervisor's to handle."""
        signal.signal(signal.SIGTERM, self._tell)
        for number in (signal.SIGINT, signal.SIGHUP, *SUSPENDING):
            signal.signal(number, signal.SIG_IGN)

    def _tell(self, number: int, where: FrameType | None) -> None:
        self._told = True
        if self._loading:  # imports and compiling take seconds, and swallow an exception now and then
            os._exit(0)

    def __call__(self) -> bool:
        """True once the service should end."""
        return self._told or self._parent() != self._parent_pid


def take_priority(priority: int) -> str:
    """Schedule every thread of this process first-in-first-out; returns what the operator should know, if anything.

    Called once the imports are done and the devices open: that work would stop the whole machine. What the main thread
    starts does not inherit it. The others start nothing and go without that mark: a thread of libzmq that begins to run
    only now reads its policy and sets it again, and with a mark that it does not know that is EINVAL, and abort().
    """
    if priority <= 0:
        return ""
    try:
        for thread in map(int, os.listdir("/proc/self/task")):
            mark = os.SCHED_RESET_ON_FORK if thread == os.getpid() else 0
            os.sched_setscheduler(thread, os.SCHED_FIFO | mark, os.sched_param(priority))
    except (PermissionError, OSError) as error:
        return (
            f"runs without real-time priority ({error.strerror}): late steps are more frequent; allow {priority} with "
            "`LimitRTPRIO=` of its systemd unit, `rtprio` in /etc/security/limits.d, or CAP_SYS_NICE (docs/deploy.md)"
        )
    return ""


def take_cpus(cpus: Sequence[int]) -> str:
    """Keep every thread of this process, and those to come, on these processors; returns what the operator should know.

    Called before anything else has started a thread of its own.
    """
    if not cpus:
        return ""
    why = "some are not this machine's"
    try:
        for thread in os.listdir("/proc/self/task"):
            os.sched_setaffinity(int(thread), cpus)
    except OSError as error:
        why = error.strerror or str(error)
    if (had := os.sched_getaffinity(0)) == set(cpus):
        return ""
    return (
        f"runs on processors {_listed(had)}, and [supervisor] cpus says {_listed(cpus)} ({why}): change it, or "
        "`CPUAffinity=` and `AllowedCPUs=` of its systemd unit"
    )


def _listed(cpus: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(cpus)))


def keep_memory() -> None:
    """What is in memory now stays there: the garbage collector need not look at it again, which takes 0.1 s.

    And what comes finds memory that was used before: a page that is new to the process costs a loop a page fault.
    """
    gc.collect()
    gc.freeze()
    touched = [bytes(SPARE_PIECE_BYTES) for _ in range(SPARE_BYTES // SPARE_PIECE_BYTES)]
    _held[:] = touched[::HELD_EVERY]


def host(
    launch: Launch,
    stop: Callable[[], bool],
    opened: Callable[[], None] = lambda: None,
    loaded: Callable[[], None] = lambda: None,
) -> int:
    """Run one service to its end; returns the exit code.

    `loaded` is called when it is made and its devices come next, `opened` when its loop begins.
    """
    clock = launch.make_clock()
    unbound = take_cpus(launch.cpus)
    if launch.wire_log:
        wirelog.start(Path(launch.wire_log))
    port: SocketPort | None = None
    try:
        simulated, security = bool(launch.addresses), launch.security()
        port = SocketPort(launch.service, clock, launch.table(), simulated, stop, security=security)
        rig = named(launch.loader)(Path(launch.rig), launch.addresses)
        refuse_other_devices(launch, getattr(rig, "emulated", frozenset(launch.addresses)))
        service = named(launch.factory)(clock, port, rig, Path(launch.run_dir))
        loaded()
        service.run(lambda: _begin(port, launch, unbound, opened))
        return 0
    except (HalError, BoresightError) as error:
        return _ended(port, launch.service, "REFUSED", str(error), EXIT_REFUSED)
    except Exception as error:
        with suppress(OSError):
            traceback.print_exc()
        sentence = f"{launch.service} has a fault of its own ({type(error).__name__}: {error}); see its log"
        return _ended(port, launch.service, "CRASHED", sentence, EXIT_CRASHED)
    finally:
        if port is not None:
            port.close()


def refuse_other_devices(launch: Launch, emulated: Set[str]) -> None:
    """The other services, and the lock on emission, go by the rig file as it was at the station's start.

    Raises LaunchError when devices have become real or emulated since.
    """
    if changed := sorted(emulated ^ launch.addresses.keys()):
        raise LaunchError(
            f"{launch.rig} was changed while the station runs: {', '.join(changed)} was "
            f"{'real' if changed[0] in emulated else 'emulated'} at its start; stop the station and start it again"
        )


def _begin(port: Port, launch: Launch, unbound: str, opened: Callable[[], None]) -> None:
    opened()
    for warning in filter(None, (unbound, take_priority(launch.priority))):
        port.publish(STATION_EVENT, StationEvent("warning", "PRIORITY", f"{launch.service} {warning}"))


def _ended(port: SocketPort | None, service: str, code: str, sentence: str, exit_code: int) -> int:
    with suppress(OSError):  # a log on a full disk; it is said over the bus, too
        print(sentence, file=sys.stderr, flush=True)  # noqa: T201  (its stderr is its log)
    if port is not None:
        port.publish(STATION_EVENT, StationEvent("error", code, f"{service}: {sentence}"))
    return exit_code


def main(arguments: list[str]) -> int:
    """Entry point of the process."""
    launch = decode_launch(arguments[0])
    stop = StopFlag(launch.parent)
    stop.catch_signals()

    def loaded() -> None:
        read_libraries()  # while SIGTERM still ends the process at once: a cold disk takes seconds
        stop.loaded()

    return host(launch, stop, keep_memory, loaded)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
