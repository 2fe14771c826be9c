#include "bs_loop.h"

float bs_sine(uint32_t phase)
{
    /* Fold to a quarter turn x in [-1, 1], then the odd Chebyshev-fitted polynomial of sin(pi/2 x). */
    int32_t folded = (int32_t)phase;
    if (folded > 0x40000000) {
        folded = (int32_t)(0x80000000u - phase);
    } else if (folded < -0x40000000) {
        folded = (int32_t)(0x80000000u - phase);
    }
    const float x = (float)folded * (1.0f / 1073741824.0f);
    const float xx = x * x;
    return x * (1.5707949f + xx * (-0.64592284f + xx * (0.07948559f + xx * -0.0043585f)));
}

float bs_clamp(float value, float limit)
{
    if (value > limit) {
        return limit;
    }
    return value < -limit ? -limit : value;
}

float bs_cascade(bs_axis_t *axis, float input)
{
    float value = input;
    for (uint32_t i = 0; i < axis->count; i++) {
        const bs_section_t *k = &axis->section[i];
        bs_section_state_t *s = &axis->state[i];
        const float out = k->b0 * value + s->s1;
        s->s1 = k->b1 * value - k->a1 * out + s->s2;
        s->s2 = k->b2 * value - k->a2 * out;
        value = out;
    }
    return value;
}

void bs_cascade_settle(bs_axis_t *axis, float input)
{
    float value = input;
    for (uint32_t i = 0; i < axis->count; i++) {
        const bs_section_t *k = &axis->section[i];
        const float out = value * (k->b0 + k->b1 + k->b2) / (1.0f + k->a1 + k->a2);
        axis->state[i].s2 = k->b2 * value - k->a2 * out;
        axis->state[i].s1 = k->b1 * value - k->a1 * out + axis->state[i].s2;
        value = out;
    }
}

int bs_section_stable(const bs_section_t *k)
{
    /* The stability triangle of 1 + a1/z + a2/z^2; written so that a NaN fails. */
    return k->a2 < 1.0f && k->a2 > -1.0f && k->a1 < 1.0f + k->a2 && k->a1 > -1.0f - k->a2;
}

void bs_sense(bs_board_t *board, const bs_io_t *io)
{
    const float *p = board->parameter;
    const float sum = io->quad_a + io->quad_b + io->quad_c + io->quad_d;
    board->quad_sum = sum;
    const float x = ((io->quad_a + io->quad_d) - (io->quad_b + io->quad_c)) / sum;
    const float y = ((io->quad_a + io->quad_b) - (io->quad_c + io->quad_d)) / sum;
    /* Signals beyond 2 are no light but a broken converter; a NaN fails every comparison. */
    board->quad_lost = !(sum >= p[BS_P_SUM_MIN] && sum > 0.0f && bs_clamp(x, 2.0f) == x && bs_clamp(y, 2.0f) == y);
    if (board->quad_lost) {
        board->quad_x = board->quad_y = board->error_x = board->error_y = 0.0f;
        return;
    }
    board->quad_x = x;
    board->quad_y = y;
    board->error_x = p[BS_P_MATRIX_XX] * board->quad_x + p[BS_P_MATRIX_XY] * board->quad_y;
    board->error_y = p[BS_P_MATRIX_YX] * board->quad_x + p[BS_P_MATRIX_YY] * board->quad_y;
}

static void follow_setpoints(bs_board_t *board)
{
    while (board->queue_count > 0) {
        const bs_point_t *to = &board->queue[board->queue_head];
        const int32_t left = (int32_t)(to->tick - board->tick);
        if (left > 0) {
            const int32_t span = (int32_t)(to->tick - board->from.tick);
            const float share = (float)(int32_t)(board->tick - board->from.tick) / (float)span;
            board->axis[0].target = board->from.x + (to->x - board->from.x) * share;
            board->axis[1].target = board->from.y + (to->y - board->from.y) * share;
            return;
        }
        board->from = *to;
        board->axis[0].target = to->x;
        board->axis[1].target = to->y;
        board->queue_head = (board->queue_head + 1) % BS_QUEUE;
        board->queue_count--;
    }
}

void bs_guide(bs_board_t *board)
{
    const float range = board->parameter[BS_P_MIRROR_RANGE];
    const float step = board->parameter[BS_P_SLEW_MAX] / (float)BS_TICK_RATE_HZ;
    switch (board->mode) {
    case BS_MODE_SETPOINT:
        follow_setpoints(board);
        break;
    case BS_MODE_TRACK: /* a lost quad has error zero: the integrators hold */
        board->axis[0].target += board->parameter[BS_P_LOOP_GAIN] * board->error_x;
        board->axis[1].target += board->parameter[BS_P_LOOP_GAIN] * board->error_y;
        break;
    case BS_MODE_IDLE:
        board->axis[0].target -= bs_clamp(board->axis[0].target, step);
        board->axis[1].target -= bs_clamp(board->axis[1].target, step);
        break;
    default: /* latched: held */
        break;
    }
    board->axis[0].target = bs_clamp(board->axis[0].target, range); /* also the integrator's anti-wind-up */
    board->axis[1].target = bs_clamp(board->axis[1].target, range);
}

float bs_inject(bs_injection_t *injection)
{
    if (injection->left_ticks == 0) {
        return 0.0f;
    }
    injection->left_ticks--;
    const float value = injection->amplitude * bs_sine(injection->phase);
    injection->phase += (uint32_t)(injection->increment >> 32);
    injection->increment += injection->slope;
    return value;
}
