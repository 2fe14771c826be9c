"""What a terminal and a service manager send is counted or ignored, and only for as long as somebody asks."""

from __future__ import annotations

import os
import signal

import pytest

from controller.services.signals import stop_signals


def test_a_second_word_is_urgent_and_one_count_is_shared_by_whoever_asks_within() -> None:
    with stop_signals() as told:
        assert not told()
        os.kill(os.getpid(), signal.SIGTERM)
        with stop_signals() as within:
            assert within(), "it came before"
            assert not within.urgent()
            os.kill(os.getpid(), signal.SIGINT)
        assert told.urgent()
        os.kill(os.getpid(), signal.SIGTERM)
        assert told.count == 3, "the inner one has left the handlers in place"


@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU])
def test_what_suspends_is_ignored_and_then_as_before(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_signals():
        assert signal.getsignal(number) is signal.SIG_IGN
    assert signal.getsignal(number) is before
