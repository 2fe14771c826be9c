/* Requests. Every reply starts with the tick at which the request was executed (which is how the host maps our clock
 * to its own) and an error code; a refused request changes nothing. */
#include "bs_frame.h"
#include "bs_loop.h"

#include <string.h>

static uint8_t refuse_unless_alive(const bs_board_t *board)
{
    if (board->mode == BS_MODE_LATCHED) {
        return BS_ERROR_LATCHED;
    }
    const int fresh = board->heartbeat_seen && board->tick - board->heartbeat_tick <= BS_WATCHDOG_TICKS;
    return fresh ? BS_ERROR_OK : BS_ERROR_HEARTBEAT;
}

static int within(float value, float minimum, float maximum) { return value >= minimum && value <= maximum; }

static uint8_t *put_status(bs_board_t *board, uint8_t *r)
{
    bs_statistics_t *s = &board->statistics;
    const float n = s->ticks ? (float)s->ticks : 1.0f;
    const float seen = s->ticks > s->lost ? (float)(s->ticks - s->lost) : 1.0f;
    const uint8_t flags = (uint8_t)(board->enable | board->interlock_closed << 1 | board->quad_lost << 2 |
                                    board->watchdog_latched << 3 | board->emission_latched << 4 |
                                    (board->capture.filled < board->capture.wanted) << 5 |
                                    (board->injection.left_ticks > 0) << 6);
    r = bs_put8(bs_put8(r, board->mode), flags);
    r = bs_put16(r, (uint16_t)board->queue_count);
    r = bs_put16(bs_put16(r, board->crc_errors), board->tx_dropped);
    r = bs_put32(bs_put32(bs_put32(r, s->ticks), s->saturated), s->lost);
    r = bs_put_float(bs_put_float(r, s->quad_x / seen), s->quad_y / seen);
    r = bs_put_float(bs_put_float(r, s->quad_xx / seen), s->quad_yy / seen);
    r = bs_put_float(r, s->sum / n);
    r = bs_put_float(bs_put_float(r, s->mirror_x / n), s->mirror_y / n);
    memset(s, 0, sizeof *s);
    return r;
}

static uint8_t set_mode(bs_board_t *board, uint8_t mode)
{
    const float *p = board->parameter;
    if (board->mode == BS_MODE_LATCHED) {
        return BS_ERROR_LATCHED;
    }
    if (mode > BS_MODE_TRACK) {
        return BS_ERROR_RANGE;
    }
    if (mode != BS_MODE_IDLE) {
        const uint8_t error = refuse_unless_alive(board);
        if (error) {
            return error;
        }
    }
    if (mode == BS_MODE_TRACK &&
        (p[BS_P_LOOP_GAIN] == 0.0f || p[BS_P_MATRIX_XX] * p[BS_P_MATRIX_YY] == p[BS_P_MATRIX_XY] * p[BS_P_MATRIX_YX])) {
        return BS_ERROR_UNSET;
    }
    if (mode != board->mode) {
        board->queue_count = 0;
        board->mode = mode;
    }
    return BS_ERROR_OK;
}

static uint8_t add_setpoints(bs_board_t *board, const uint8_t *q, uint32_t count)
{
    const float range = board->parameter[BS_P_MIRROR_RANGE];
    if (count > BS_QUEUE - board->queue_count) {
        return BS_ERROR_QUEUE;
    }
    uint32_t last = board->tick;
    if (board->queue_count > 0) {
        last = board->queue[(board->queue_head + board->queue_count - 1) % BS_QUEUE].tick;
    }
    for (uint32_t i = 0; i < count; i++) { /* all of them or none */
        const uint32_t tick = bs_get32(q + 12 * i);
        if ((int32_t)(tick - last) <= 0) {
            return BS_ERROR_ORDER;
        }
        if (!within(bs_get_float(q + 12 * i + 4), -range, range) || !within(bs_get_float(q + 12 * i + 8), -range, range)) {
            return BS_ERROR_RANGE;
        }
        last = tick;
    }
    if (board->queue_count == 0) {
        board->from = (bs_point_t){board->tick, board->axis[0].target, board->axis[1].target};
    }
    for (uint32_t i = 0; i < count; i++) {
        bs_point_t *point = &board->queue[(board->queue_head + board->queue_count) % BS_QUEUE];
        *point = (bs_point_t){bs_get32(q + 12 * i), bs_get_float(q + 12 * i + 4), bs_get_float(q + 12 * i + 8)};
        board->queue_count++;
    }
    return BS_ERROR_OK;
}

static int64_t turns(float frequency_hz)
{
    return (int64_t)(frequency_hz / (float)BS_TICK_RATE_HZ * 4294967296.0f) * 4294967296;
}

static uint8_t start_injection(bs_board_t *board, const uint8_t *q)
{
    const float from_hz = bs_get_float(q + 1), to_hz = bs_get_float(q + 5), amplitude = bs_get_float(q + 9);
    const uint32_t ticks = bs_get32(q + 13);
    const uint8_t error = refuse_unless_alive(board);
    if (error) {
        return error;
    }
    if (q[0] > 1 || q[17] > 1 || !within(from_hz, 0.0f, 4900.0f) || !within(to_hz, 0.0f, 4900.0f) || !within(amplitude, 0.0f, 1e-3f) ||
        ticks > 60u * BS_TICK_RATE_HZ) {
        return BS_ERROR_RANGE;
    }
    bs_injection_t *n = &board->injection;
    n->axis = q[0];
    n->before_cascade = q[17];
    n->amplitude = amplitude;
    n->phase = 0;
    n->increment = turns(from_hz);
    n->slope = ticks ? (turns(to_hz) - n->increment) / (int64_t)ticks : 0;
    n->left_ticks = ticks;
    return BS_ERROR_OK;
}

/* samples u32, then one u8 a channel; takes the place of a capture that still runs */
static uint8_t start_capture(bs_board_t *board, const uint8_t *q, uint32_t length)
{
    bs_capture_t *c = &board->capture;
    const uint32_t channels = length - 4, samples = bs_get32(q);
    if (channels > BS_CAPTURE_CHANNELS || samples > BS_CAPTURE_FLOATS / channels) {
        return BS_ERROR_RANGE;
    }
    for (uint32_t i = 0; i < channels; i++) {
        if (q[4 + i] >= BS_CHANNEL_COUNT) {
            return BS_ERROR_RANGE;
        }
        c->channel[i] = q[4 + i];
    }
    c->channels = (uint8_t)channels;
    c->wanted = samples * channels;
    c->filled = 0;
    return BS_ERROR_OK;
}

static uint8_t load_section(bs_board_t *board, const uint8_t *q)
{
    if (q[0] > 1 || q[1] >= BS_SECTIONS) {
        return BS_ERROR_RANGE;
    }
    const bs_section_t k = {bs_get_float(q + 2), bs_get_float(q + 6), bs_get_float(q + 10), bs_get_float(q + 14),
                            bs_get_float(q + 18)};
    if (!bs_section_stable(&k)) {
        return BS_ERROR_UNSTABLE;
    }
    if (!within(k.b0, -1e3f, 1e3f) || !within(k.b1, -1e3f, 1e3f) || !within(k.b2, -1e3f, 1e3f)) {
        return BS_ERROR_RANGE;
    }
    board->axis[q[0]].shadow[q[1]] = k;
    return BS_ERROR_OK;
}

static uint8_t commit(bs_board_t *board, const uint8_t *q)
{
    if (q[0] > BS_SECTIONS || q[1] > BS_SECTIONS) {
        return BS_ERROR_RANGE;
    }
    for (int i = 0; i < 2; i++) {
        bs_axis_t *axis = &board->axis[i];
        axis->count = q[i];
        memcpy(axis->section, axis->shadow, sizeof axis->section);
        bs_cascade_settle(axis, axis->target);
    }
    return BS_ERROR_OK;
}

static void heartbeat(bs_board_t *board, uint8_t enable)
{
    board->heartbeat_tick = board->tick;
    board->heartbeat_seen = 1;
    board->enable_wanted = enable;
}

static void reset_latch(bs_board_t *board)
{
    if (board->mode == BS_MODE_LATCHED) {
        board->mode = BS_MODE_IDLE;
    }
    if (board->mode == BS_MODE_IDLE) {
        board->heartbeat_seen = 0; /* the watchdog rests until the next heartbeat; a moving mirror keeps it */
    }
    board->watchdog_latched = board->emission_latched = 0;
    board->enable_wanted = 0;
}

static uint8_t set_parameter(bs_board_t *board, uint8_t id, float value)
{
    if (id >= BS_PARAMETER_COUNT || !within(value, bs_parameters[id].minimum, bs_parameters[id].maximum)) {
        return BS_ERROR_RANGE;
    }
    board->parameter[id] = value;
    return BS_ERROR_OK;
}

static uint8_t point_ahead(bs_board_t *board, float x, float y)
{
    const float range = board->parameter[BS_P_POINT_AHEAD_RANGE];
    if (!within(x, -range, range) || !within(y, -range, range)) {
        return BS_ERROR_RANGE;
    }
    board->point_ahead_x = x;
    board->point_ahead_y = y;
    return BS_ERROR_OK;
}

static uint8_t *put_chunk(uint8_t *r, const void *from, uint32_t length)
{
    memcpy(r, from, length);
    return r + length;
}

static uint8_t *put_capture(const bs_capture_t *c, uint32_t offset, uint32_t count, uint8_t *r)
{
    r = bs_put32(bs_put32(bs_put32(r, c->tick_start), c->wanted), c->filled);
    for (uint32_t i = offset; i < c->filled && i < offset + count; i++) {
        r = bs_put_float(r, c->data[i]);
    }
    return r;
}

uint32_t bs_execute(bs_board_t *board, uint8_t type, const uint8_t *q, uint32_t length, uint8_t *reply)
{
    uint8_t error = BS_ERROR_LENGTH;
    uint8_t *r = bs_put32(reply, board->tick) + 1; /* the error code goes between */
    switch (type) {
    case BS_COMMAND_HELLO:
        if (length == 0) {
            error = BS_ERROR_OK;
            r = bs_put32(bs_put32(bs_put16(r, BS_PROTOCOL_VERSION), board->serial), bs_dictionary_length);
        }
        break;
    case BS_COMMAND_DICTIONARY:
        if (length == 6) {
            const uint32_t offset = bs_get32(q), count = bs_get16(q + 4);
            error = offset <= bs_dictionary_length && count <= BS_PAYLOAD - 16 ? BS_ERROR_OK : BS_ERROR_RANGE;
            if (!error) {
                const uint32_t left = bs_dictionary_length - offset;
                r = put_chunk(r, bs_dictionary_json + offset, count < left ? count : left);
            }
        }
        break;
    case BS_COMMAND_HEARTBEAT:
        if (length == 1) {
            error = q[0] <= 1 ? BS_ERROR_OK : BS_ERROR_RANGE;
            if (!error) {
                heartbeat(board, q[0]);
                r = put_status(board, r);
            }
        }
        break;
    case BS_COMMAND_STATUS:
        if (length == 0) {
            error = BS_ERROR_OK;
            r = put_status(board, r);
        }
        break;
    case BS_COMMAND_MODE:
        if (length == 1) {
            error = set_mode(board, q[0]);
        }
        break;
    case BS_COMMAND_RESET:
        if (length == 0) {
            error = BS_ERROR_OK;
            reset_latch(board);
        }
        break;
    case BS_COMMAND_SETPOINTS:
        if (length % 12 == 0) {
            error = add_setpoints(board, q, length / 12);
            r = bs_put16(r, (uint16_t)(BS_QUEUE - board->queue_count));
        }
        break;
    case BS_COMMAND_GET:
        if (length == 1) {
            error = q[0] < BS_PARAMETER_COUNT ? BS_ERROR_OK : BS_ERROR_RANGE;
            r = error ? r : bs_put_float(r, board->parameter[q[0]]);
        }
        break;
    case BS_COMMAND_SET:
        if (length == 5) {
            error = set_parameter(board, q[0], bs_get_float(q + 1));
        }
        break;
    case BS_COMMAND_POINT_AHEAD:
        if (length == 8) {
            error = point_ahead(board, bs_get_float(q), bs_get_float(q + 4));
        }
        break;
    case BS_COMMAND_INJECT:
        if (length == 18) {
            error = start_injection(board, q);
        }
        break;
    case BS_COMMAND_CAPTURE:
        if (length > 4) {
            error = start_capture(board, q, length);
        }
        break;
    case BS_COMMAND_READ:
        if (length == 6) {
            const uint32_t count = bs_get16(q + 4);
            error = count <= BS_READ_MAX ? BS_ERROR_OK : BS_ERROR_RANGE;
            r = error ? r : put_capture(&board->capture, bs_get32(q), count, r);
        }
        break;
    case BS_COMMAND_SECTION:
        if (length == 22) {
            error = load_section(board, q);
        }
        break;
    case BS_COMMAND_COMMIT:
        if (length == 2) {
            error = commit(board, q);
        }
        break;
    default:
        error = BS_ERROR_UNKNOWN;
        break;
    }
    reply[4] = error;
    return error ? 5 : (uint32_t)(r - reply);
}
