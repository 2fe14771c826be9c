"""The compiled filter against the textbook's matrices (Gelb, Applied Optimal Estimation, 1974, table 4.2-1)."""

from __future__ import annotations

import numpy as np
import pytest

from controller.tracking import kalman

N, MOVED = 18, 2


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def some_state(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    root = rng.standard_normal((N, N))
    return rng.standard_normal(N), root @ root.T


def some_rows(rng: np.random.Generator) -> np.ndarray:
    rows = rng.standard_normal((2, N))
    rows[0, ::3] = 0.0
    return rows


def transition(decay: np.ndarray, dt_s: float) -> np.ndarray:
    drift = np.eye(N)
    drift[MOVED, MOVED + 2] = drift[MOVED + 1, MOVED + 3] = dt_s
    return np.diag(np.exp(-decay * dt_s)) @ drift


def test_time_passes_as_by_the_transition_matrix(rng: np.random.Generator) -> None:
    x, P = some_state(rng)
    decay, wander, stationary = rng.uniform(0.0, 3.0, (3, N))
    dt_s = 0.02
    F = transition(decay, dt_s)
    noise = np.diag(wander * dt_s + stationary * (1 - np.exp(-2 * decay * dt_s)))
    want_x, want_P = F @ x, F @ P @ F.T + noise
    kalman.propagate(x, P, dt_s, decay, wander, stationary, MOVED)
    assert x == pytest.approx(want_x, rel=1e-12)
    assert pytest.approx(want_P, rel=1e-12) == P


def test_a_measurement_corrects_as_the_textbooks_gain_does(rng: np.random.Generator) -> None:
    (x, P), rows, seen = some_state(rng), some_rows(rng), rng.standard_normal(2)
    S = rows @ P @ rows.T + 0.7 * np.eye(2)
    gain = P @ rows.T @ np.linalg.inv(S)
    want_innovation = seen - rows @ x
    want_x, want_P = x + gain @ want_innovation, P - gain @ rows @ P
    innovation = np.empty(2)
    assert kalman.correct(x, P, rows, seen, 0.7, 5.0, innovation)
    assert innovation == pytest.approx(want_innovation, rel=1e-12)
    assert x == pytest.approx(want_x, rel=1e-9)
    assert pytest.approx(want_P, rel=1e-9, abs=1e-9) == P
    assert (P == P.T).all()


@pytest.mark.parametrize(("sigmas", "taken"), [(4.99, True), (5.01, False)])
def test_what_is_further_off_than_the_gate_changes_nothing(
    rng: np.random.Generator, sigmas: float, taken: bool
) -> None:
    (x, P), rows = some_state(rng), some_rows(rng)
    S = rows @ P @ rows.T + 0.7 * np.eye(2)
    off = np.linalg.cholesky(S) @ np.array([0.6, 0.8]) * sigmas  # so many standard deviations from what is expected
    before = x.copy(), P.copy()
    assert kalman.correct(x, P, rows, rows @ x + off, 0.7, 5.0, np.empty(2)) is taken
    unchanged = bool((x == before[0]).all() and (before[1] == P).all())
    assert unchanged is not taken


def test_what_shows_later_is_the_state_carried_on(rng: np.random.Generator) -> None:
    (x, P), rows = some_state(rng), some_rows(rng)
    decay = np.zeros(N)
    decay[MOVED + 2 :] = 0.4
    later = np.exp(-decay * 0.3) * x
    later[MOVED : MOVED + 2] += 0.3 * x[MOVED + 2 : MOVED + 4]
    assert kalman.value(x, rows, 0.3, decay, MOVED) == pytest.approx(tuple(rows @ later), rel=1e-12)
    assert kalman.variances(P, rows) == pytest.approx(tuple(np.diag(rows @ P @ rows.T)), rel=1e-12)
