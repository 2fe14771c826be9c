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


def test_a_closed_terminal_ends_and_is_never_urgent_since_shell_and_kernel_both_tell() -> None:
    with stop_signals() as told:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
        assert told()
        assert not told.urgent()
        os.kill(os.getpid(), signal.SIGTERM)
        assert told.urgent()


def test_under_nohup_a_closed_terminal_ends_nothing() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals() as told:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not told()
    finally:
        signal.signal(signal.SIGHUP, before)
