from __future__ import annotations

import numpy as np
import pytest

from sim_hw.scene.noise import GaussMarkov, stream


@pytest.mark.parametrize("poles", [1, 2])
def test_noise_has_unit_variance_and_the_stated_density(poles: int) -> None:
    corner_hz, dt_s, n = 5.0, 1e-3, 1 << 18
    noise = GaussMarkov(stream(1, "test"), 2, dt_s, poles).draw(n, corner_hz)
    assert noise.var(axis=0) == pytest.approx([1.0, 1.0], rel=0.06)
    parts = noise[:, 0].reshape(64, -1) * np.hanning(n // 64)
    window = np.sum(np.hanning(n // 64) ** 2)
    density = 2 * dt_s * np.mean(np.abs(np.fft.rfft(parts, axis=1)) ** 2, axis=0) / window
    f_hz = np.fft.rfftfreq(n // 64, dt_s)
    for low, high in ((1.0, 3.0), (8.0, 12.0), (30.0, 50.0)):
        band = (f_hz >= low) & (f_hz < high)
        shape = (2 * poles / np.pi / corner_hz) / (1 + (f_hz[band] / corner_hz) ** 2) ** poles
        assert density[band].mean() == pytest.approx(shape.mean(), rel=0.2)


def test_streams_of_different_names_differ_and_of_one_name_repeat() -> None:
    a, b, c = (stream(7, name).standard_normal(4) for name in ("jitter", "wind", "jitter"))
    assert not np.array_equal(a, b)
    assert np.array_equal(a, c)
    assert not np.array_equal(a, stream(8, "jitter").standard_normal(4))


def test_drawing_in_two_parts_gives_the_same_noise() -> None:
    whole = GaussMarkov(stream(1, "x"), 2, 1e-3, 1).draw(100, 3.0)
    source = GaussMarkov(stream(1, "x"), 2, 1e-3, 1)
    assert np.array_equal(whole, np.concatenate([source.draw(40, 3.0), source.draw(60, 3.0)]))
