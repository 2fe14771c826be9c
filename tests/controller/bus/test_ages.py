"""A message is as old as it is, whatever its sender's clock says and whatever becomes of ours."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hand_clock import HandClock

from controller.bus.ages import SETTLE_NS, Ages
from controller.bus.envelope import Ids
from controller.bus.topics import SERVICE_HEARTBEAT, Heartbeat
from controller.bus.writer import Writer
from hal.clock import NS

UTC0_NS = 1_790_000_000 * NS
MS_NS = NS // 1000


@dataclass
class Sender:
    """Somebody whose UTC is `ahead_ns` of ours, and whose messages are under way for `delay_ns`."""

    clock: HandClock
    ages: Ages
    ahead_ns: int = 0
    ids: Ids = field(default_factory=lambda: Ids(1))

    def __post_init__(self) -> None:
        self.starts_anew()

    def starts_anew(self) -> None:
        own = HandClock(self.clock.t_ns, self.clock.utc_offset_ns + self.ahead_ns)
        self.own, self.writer = own, Writer("safety", own, self.ids, simulated=False)

    def age_ms(self, delay_ms: int = 1, step_ns: int = 0) -> float:
        """Of a message, when it comes; our UTC, and its, are set while it is under way."""
        self.own.t_ns, self.own.utc_offset_ns = self.clock.t_ns, self.clock.utc_offset_ns + self.ahead_ns
        message = self.writer.telemetry(SERVICE_HEARTBEAT, Heartbeat(1, 0, 0), 1)
        self.clock.utc_offset_ns += step_ns
        self.clock.t_ns += delay_ms * MS_NS
        return (self.clock.t_ns - self.ages.sent_ns(message)) / MS_NS


@pytest.fixture
def sender() -> Sender:
    clock = HandClock(utc_offset_ns=UTC0_NS)
    return Sender(clock, Ages(clock))


@pytest.mark.parametrize("step_s", [-12, -1, -0.09, 0.09, 1, 12, 7200])
def test_utc_that_is_set_makes_nothing_old_but_what_is_old(sender: Sender, step_s: float) -> None:
    assert [sender.age_ms(), sender.age_ms(20)] == [1, 20]
    under_way_ms = sender.age_ms(20, round(step_s * NS))
    assert under_way_ms in (0, 20, 110, 1020), "by an old stamp: nobody can tell"
    assert [sender.age_ms(20) for _ in range(3)] == [20] * 3
    sender.clock.t_ns += SETTLE_NS
    assert [sender.age_ms(20), sender.age_ms(3000)] == [20, 3000]
    assert sender.ages.apart_ns("safety") == 0


def test_a_sender_of_another_epoch_is_as_old_as_its_slowest_message_was_slower_than_its_fastest(
    sender: Sender,
) -> None:
    sender.ahead_ns = -365 * 86_400 * NS
    assert [sender.age_ms(1), sender.age_ms(500), sender.age_ms(1)] == [0, 499, 0]
    assert sender.ages.apart_ns("safety") == -sender.ahead_ns + MS_NS


def test_a_sender_whose_utc_was_set_back_is_fresh_again_with_its_next_start(sender: Sender) -> None:
    assert sender.age_ms() == 1
    sender.ahead_ns = -3600 * NS
    assert sender.age_ms() == pytest.approx(3_600_001), "it cannot be told from a message that waited"
    sender.starts_anew()
    assert sender.age_ms() == 0


def test_a_slewed_clock_is_not_a_step(sender: Sender) -> None:
    sender.ahead_ns = 365 * 86_400 * NS
    assert sender.age_ms(1) == 0
    for _ in range(100):
        sender.clock.utc_offset_ns -= MS_NS // 4000  # 250 parts in a million
        sender.age_ms(1)
    assert sender.age_ms(500) > 400


def test_what_has_waited_since_nobody_looked_tells_no_other_clock(sender: Sender) -> None:
    assert [sender.age_ms(60_000), sender.age_ms(12_000)] == [60_000, 12_000]
    assert sender.ages.apart_ns("safety") == 0
    sender.ages.emptied(sender.clock.t_ns)
    assert [sender.age_ms(), sender.age_ms(20)] == [1, 20]
    assert sender.ages.sure("safety")


def test_a_clock_that_is_a_little_behind_is_told_by_the_first_message_that_has_not_waited(sender: Sender) -> None:
    sender.ahead_ns = -12 * NS
    sender.clock.t_ns += 30 * NS
    sender.age_ms(30_000)
    assert sender.ages.apart_ns("safety") == 0
    assert not sender.ages.sure("safety")
    sender.ages.emptied(sender.clock.t_ns)
    assert [sender.age_ms(), sender.age_ms(500)] == [0, 499]
    assert sender.ages.apart_ns("safety") == 12 * NS + MS_NS
    assert sender.ages.sure("safety")


def test_what_is_known_of_a_clock_outlives_a_minute_in_which_nobody_looks(sender: Sender) -> None:
    sender.ahead_ns = -365 * 86_400 * NS
    sender.age_ms()
    assert sender.age_ms(60_000) == 59_999
    assert sender.ages.sure("safety")
    assert sender.ages.apart_ns("safety") == -sender.ahead_ns + MS_NS
