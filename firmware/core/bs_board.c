#include "bs_board.h"

#include "bs_frame.h"
#include "bs_loop.h"

#include <string.h>

void bs_init(bs_board_t *board, uint32_t serial)
{
    memset(board, 0, sizeof *board);
    board->serial = serial;
    for (int i = 0; i < BS_PARAMETER_COUNT; i++) {
        board->parameter[i] = bs_parameters[i].initial;
    }
}

/* The only place that raises the enable line. Whatever speaks against it takes it down in this very tick; after a
 * local cause it stays down until the host resets. */
static void guard(bs_board_t *board, const bs_io_t *io)
{
    const int was_up = board->enable;
    board->interlock_closed = io->interlock > 0.5f;
    if (board->heartbeat_seen && board->tick - board->heartbeat_tick > BS_WATCHDOG_TICKS) {
        board->watchdog_latched = 1;
        board->mode = BS_MODE_LATCHED;
        board->queue_count = 0;
        board->injection.left_ticks = 0;
    }
    if (was_up && !board->interlock_closed) {
        board->emission_latched = 1;
    }
    board->enable = board->heartbeat_seen && board->enable_wanted && board->interlock_closed &&
                    !board->watchdog_latched && !board->emission_latched;
}

static void record(bs_board_t *board, const bs_io_t *io)
{
    bs_statistics_t *s = &board->statistics;
    s->ticks++;
    s->sum += board->quad_sum;
    s->lost += board->quad_lost;
    s->quad_x += board->quad_x;
    s->quad_y += board->quad_y;
    s->quad_xx += board->quad_x * board->quad_x;
    s->quad_yy += board->quad_y * board->quad_y;
    s->mirror_x += io->mirror_x;
    s->mirror_y += io->mirror_y;

    bs_capture_t *c = &board->capture;
    if (c->filled == c->wanted) {
        return;
    }
    if (c->filled == 0) {
        c->tick_start = board->tick;
    }
    const float value[BS_CHANNEL_COUNT] = {
        [BS_C_QUAD_X] = board->quad_x,          [BS_C_QUAD_Y] = board->quad_y,
        [BS_C_QUAD_SUM] = board->quad_sum,      [BS_C_ERROR_X] = board->error_x,
        [BS_C_ERROR_Y] = board->error_y,        [BS_C_MIRROR_X] = io->mirror_x,
        [BS_C_MIRROR_Y] = io->mirror_y,         [BS_C_TARGET_X] = board->axis[0].target,
        [BS_C_TARGET_Y] = board->axis[1].target, [BS_C_COMMAND_X] = io->cmd_x,
        [BS_C_COMMAND_Y] = io->cmd_y,           [BS_C_INJECTION] = board->injected,
    };
    for (uint32_t i = 0; i < c->channels; i++) {
        c->data[c->filled++] = value[c->channel[i]];
    }
}

void bs_tick(bs_board_t *board, bs_io_t *io)
{
    board->tick++;
    guard(board, io);
    bs_sense(board, io);
    bs_guide(board);
    board->injected = bs_inject(&board->injection);
    const float range = board->parameter[BS_P_MIRROR_RANGE];
    float command[2];
    int saturated = 0;
    for (int i = 0; i < 2; i++) {
        const float injected = board->injection.axis == i ? board->injected : 0.0f;
        const int before = board->injection.before_cascade;
        const float wanted =
            bs_cascade(&board->axis[i], board->axis[i].target + (before ? injected : 0.0f)) + (before ? 0.0f : injected);
        if (wanted != wanted) { /* filters that overflowed: start them afresh, hold the mirror meanwhile */
            bs_cascade_settle(&board->axis[i], board->axis[i].target);
            command[i] = i == 0 ? io->cmd_x : io->cmd_y;
        } else {
            command[i] = bs_clamp(wanted, range);
        }
        saturated |= command[i] != wanted;
    }
    board->statistics.saturated += (uint32_t)saturated;
    io->cmd_x = command[0];
    io->cmd_y = command[1];
    io->paa_x = board->point_ahead_x;
    io->paa_y = board->point_ahead_y;
    io->enable = board->enable ? 1.0f : 0.0f;
    record(board, io);
}
