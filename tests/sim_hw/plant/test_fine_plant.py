"""Mirror, quad cell and the compiled block."""

from __future__ import annotations

import math
import struct
from binascii import crc_hqx
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from sim_hw.devices.beamboard import IO, BeamBoard
from sim_hw.plant.fine import FineBlock, FineParameters, FinePlant
from sim_hw.plant.fine_block import axis_step, quad_cells
from sim_hw.plant.mirror import AXIS_STATE, axis_constants

Floats = NDArray[np.float64]
STILL = FineParameters(shot_nea_rad=0.0, floor_nea_rad=0.0, position_noise_rad=0.0, crosstalk=(0.0, 0.0, 0.0, 0.0))


def send(board: BeamBoard, sequence: int, kind: int, payload: bytes) -> None:
    body = struct.pack("<HHB", len(payload), sequence, kind) + payload
    board.receive(b"\xa5\x5a" + body + struct.pack("<H", crc_hqx(body, 0xFFFF)))


def tracking_plant(seed: int = 1) -> tuple[FinePlant, BeamBoard]:
    """A closed loop with gentle gain, so that the firmware's answers are part of what is compared."""
    board = BeamBoard()
    plant = FinePlant(FineParameters.draw(np.random.default_rng(seed)), np.random.default_rng([seed, 1]))
    plant.attach(board.tick_address, board.board_address, board.io)
    for sequence, (kind, payload) in enumerate(
        [(9, struct.pack("<Bf", number, value)) for number, value in ((0, 0.02), (1, 6e-5), (4, 6e-5))]
        + [(4, b"\x00"), (5, b"\x02")]
    ):
        send(board, sequence + 1, kind, payload)
    return plant, board


def disturbance(n: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(5)
    return np.cumsum(rng.normal(0, 0.4e-6, (n, 2)), axis=0), rng.uniform(0.5, 1.5, n)


def joined(blocks: list[FineBlock]) -> Floats:
    return np.concatenate([np.hstack([b.residual, b.mirror, b.point_ahead, b.enable[:, None]]) for b in blocks])


def test_a_run_gives_the_same_bits_however_it_is_cut() -> None:
    los, power = disturbance(20_000)
    whole, _ = tracking_plant()
    expected = joined([whole.run(los, power)])
    cut, _ = tracking_plant()
    edges = [0, 1, 2, 15, 16, 700, 8191, 8192, 8193, 17_000, 20_000]
    parts = [cut.run(los[a:b], power[a:b]) for a, b in pairwise(edges)]
    assert np.array_equal(joined(parts), expected)
    assert np.abs(expected[:, 2]).max() > 1e-6  # the firmware did move the mirror


def test_compiled_and_plain_python_give_the_same_bits() -> None:
    los, power = disturbance(400)
    compiled, first = tracking_plant()
    plain, second = tracking_plant()
    expected = joined([compiled.run(los, power)])
    assert np.array_equal(joined([plain.run(los, power, compiled=False)]), expected)
    assert np.array_equal(first.io, second.io)


def test_a_plant_without_a_board_refuses_to_run() -> None:
    with pytest.raises(RuntimeError, match="attach"):
        FinePlant(STILL, np.random.default_rng(1)).run(np.zeros((1, 2)), np.ones(1))


def test_io_of_a_wrong_shape_is_refused() -> None:
    board = BeamBoard()
    with pytest.raises(ValueError, match=r"float32\[12\]"):
        FinePlant(STILL, np.random.default_rng(1)).attach(1, 1, board.io[:4])


def axis_response(commands: Floats, parameters: FineParameters = STILL, state: Floats | None = None) -> Floats:
    constants = axis_constants(
        (parameters.resonance_hz[0], parameters.second_mode_hz[0]), (parameters.damping, parameters.second_damping),
        parameters.second_share, parameters.range_rad, parameters.hysteresis, 1e-4,
    )  # fmt: skip
    state = np.zeros(AXIS_STATE) if state is None else state
    return np.array([axis_step(state, constants, float(command)) for command in commands])


def test_the_mirror_waits_one_full_sample() -> None:
    # axis_step k takes the command of tick k-1 (the plant runs before the firmware); one sample later it moves.
    position = axis_response(np.full(4, 1e-5))
    assert position[0] == 0.0
    assert position[1] > 1e-6


def test_the_mirror_rings_at_its_two_modes() -> None:
    position = axis_response(np.full(8192, 1e-5))
    spectrum = np.abs(np.fft.rfft((position - position[-1]) * np.hanning(8192)))
    f = np.fft.rfftfreq(8192, 1e-4)
    low, high = f < 2000, f > 2000
    assert abs(f[low][np.argmax(spectrum[low])] - 1000) < 3  # required: 1 kHz
    assert abs(f[high][np.argmax(spectrum[high])] - 2600) < 6  # required: second mode at 2.6 kHz


def test_the_first_mode_decays_as_two_per_cent_damping_does() -> None:
    ring = axis_response(np.full(400, 1e-5))[2:] - 0.96e-5
    first, later = np.abs(ring[:50]).max(), np.abs(ring[200:250]).max()
    # 200 ticks of 1 kHz: exp(-0.02 * 2 pi * 1000 * 0.02) = 0.081
    assert later / first == pytest.approx(math.exp(-0.02 * math.tau * 1000 * 0.02), rel=0.15)


def test_a_mirror_that_has_rung_down_is_still_and_holds_no_denormal_numbers() -> None:
    state = np.zeros(AXIS_STATE)
    axis_response(np.concatenate([np.full(10, 1e-6), np.zeros(60_000)]), state=state)
    assert (
        state[:4] == 0.0
    ).all()  # 708 e-folds at 126 a second to the smallest double: after 5.6 s it was stuck there


def test_hysteresis_opens_the_loop_by_one_per_cent_of_the_stroke() -> None:
    sweep = np.concatenate(
        [np.linspace(0, 2e-3, 20_000), np.linspace(2e-3, -2e-3, 40_000), np.linspace(-2e-3, 2e-3, 40_000)]
    )
    position = axis_response(sweep)
    down, up = position[40_000], position[80_000]  # both at zero command
    assert (down - up) / 4e-3 == pytest.approx(0.01, rel=0.1)  # required: hysteresis 1 %


def test_the_command_is_limited_to_the_range() -> None:
    settled = axis_response(np.full(6000, 1.0))[-1]
    assert settled == pytest.approx(2e-3, rel=0.03)  # required: range 2 mrad


def cells(x: float, y: float, parameters: FineParameters, normal: Floats | None = None, power: float = 1.0) -> Floats:
    io = np.zeros(12, dtype=np.float32)
    k = np.array([
        parameters.spot_radius_rad, parameters.half_field_rad, parameters.shot_nea_rad, parameters.floor_nea_rad,
        *parameters.crosstalk, parameters.quad_slope_per_rad(),
    ])  # fmt: skip
    quad_cells(x, y, power, k, np.zeros(4, np.float32) if normal is None else normal.astype(np.float32), io)
    return io[:4].astype(np.float64)


def signal(currents: Floats) -> tuple[float, float]:
    a, b, c, d = currents
    return (a + d - b - c) / currents.sum(), (a + b - c - d) / currents.sum()


@pytest.mark.parametrize(("x_over_w", "expected"), [(0.05, 0.07966), (0.1, 0.15852), (0.25, 0.38292), (0.5, 0.68269)])
def test_a_wide_quad_has_the_error_function_for_its_curve(x_over_w: float, expected: float) -> None:
    wide = FineParameters(half_field_rad=1e-2, crosstalk=(0.0, 0.0, 0.0, 0.0), shot_nea_rad=0, floor_nea_rad=0)
    got, across = signal(cells(x_over_w * 100e-6, 0.0, wide))
    assert got == pytest.approx(expected, abs=2e-5)  # erf(sqrt(2) x/w), tabulated
    assert abs(across) < 1e-6


def test_light_leaves_the_quad_at_the_edge_of_its_field() -> None:
    sums = [cells(x, 0.0, STILL).sum() for x in (0.0, 100e-6, 300e-6)]
    assert sums[0] > 0.9
    assert 0.4 < sums[1] < 0.6
    assert sums[2] < 1e-3


def test_crosstalk_mixes_neighbouring_cells_and_keeps_the_sum() -> None:
    leaky = FineParameters(crosstalk=(0.03, 0.01, 0.01, 0.01), shot_nea_rad=0.0, floor_nea_rad=0.0)
    clean, mixed = cells(30e-6, 0.0, STILL), cells(30e-6, 0.0, leaky)
    assert mixed.sum() == pytest.approx(clean.sum(), rel=1e-6)
    assert abs(signal(mixed)[1]) > 1e-3
    assert abs(signal(clean)[1]) < 1e-6


@pytest.mark.parametrize("power", [0.34, 1.0, 1.7])
def test_noise_at_the_null_is_the_stated_noise_equivalent_angle(power: float) -> None:
    p = FineParameters()
    rng = np.random.default_rng(2)
    step = 1e-7
    slope = (signal(cells(step, 0, p, power=power))[0] - signal(cells(-step, 0, p, power=power))[0]) / (2 * step)
    readings = [signal(cells(0, 0, p, rng.standard_normal(4), power))[0] / slope for _ in range(4000)]
    stated = p.noise_equivalent_angle_rad(power)
    assert np.std(readings) == pytest.approx(stated, rel=0.06)  # 4000 draws: 1.1 % one sigma
    assert 0.45e-6 < stated < 1.55e-6  # required: 0.5 to 1.5 urad a sample


def test_every_draw_stays_inside_the_stated_spread() -> None:
    drawn = [FineParameters.draw(np.random.default_rng(seed)) for seed in range(50)]
    firsts = np.array([p.resonance_hz for p in drawn])
    assert 940 < firsts.min() < 965
    assert 1035 < firsts.max() < 1060  # required: +-5 %
    assert len({p.mirror_rotation_rad for p in drawn}) == 50
    assert all(isinstance(v, (float, list)) for v in drawn[0].summary().values())


def test_point_ahead_turns_with_the_mirrors_frame() -> None:
    board = BeamBoard()
    plant = FinePlant(FineParameters(mirror_rotation_rad=math.pi / 2), np.random.default_rng(1))
    plant.attach(board.tick_address, board.board_address, board.io)
    send(board, 1, 10, struct.pack("<ff", 5e-5, 0.0))
    block = plant.run(np.zeros((400, 2)), np.ones(400))
    assert block.point_ahead[-1] == pytest.approx((0.0, 5e-5), abs=1e-9)
    assert not block.enable.any()
    assert board.io[IO["paa_x"]] == np.float32(5e-5)
