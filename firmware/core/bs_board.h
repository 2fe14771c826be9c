/* Beam-steering board: the portable core.
 *
 * Steering mirror, quad cell, point-ahead element and emission enable line behind one framed serial protocol.
 * C11, single-precision, no I/O, no clock, no heap, no libm. The board around it provides bytes and a 10 kHz
 * interrupt; `bs_rx`, `bs_tx` and `bs_tick` must not preempt each other (one interrupt priority, or the tick's).
 *
 * Build with -ffp-contract=off: a fused multiply-add would make host and Cortex-M differ in the last bit.
 */
#ifndef BS_BOARD_H
#define BS_BOARD_H

#include <stddef.h>
#include <stdint.h>

#include "bs_dictionary.h"

#define BS_PROTOCOL_VERSION 1
#define BS_TICK_RATE_HZ 10000
#define BS_WATCHDOG_TICKS 2500 /* 250 ms without a heartbeat latches */
#define BS_GAP_TICKS 200       /* 20 ms of silence inside a frame end it */
#define BS_QUEUE 128           /* time-stamped set-points that wait */
#define BS_SECTIONS 8          /* biquad sections an axis */
#define BS_CAPTURE_FLOATS 20480
#define BS_CAPTURE_CHANNELS 8
#define BS_PAYLOAD 1040 /* largest payload either way */
#define BS_READ_MAX ((BS_PAYLOAD - 17) / 4) /* floats: tick and error, then first tick, wanted and filled */
#define BS_FRAME (BS_PAYLOAD + 9)
#define BS_TX 4096

/* What the board sees and drives, once a tick. Angles are line-of-sight radians in the mirror's own frame. */
typedef struct {
    float quad_a, quad_b, quad_c, quad_d; /* photocurrents, counter-clockwise from (+x, +y), nominal sum 1 */
    float mirror_x, mirror_y;             /* position sensor */
    float interlock;                      /* 1 closed */
    float cmd_x, cmd_y;                   /* mirror command */
    float paa_x, paa_y;                   /* point-ahead element */
    float enable;                         /* 1 = emission enable line up */
} bs_io_t;

typedef struct {
    float b0, b1, b2, a1, a2; /* a0 = 1 */
} bs_section_t;

typedef struct {
    float s1, s2; /* transposed direct form 2 */
} bs_section_state_t;

typedef struct {
    bs_section_t section[BS_SECTIONS];
    bs_section_state_t state[BS_SECTIONS];
    uint32_t count;
    bs_section_t shadow[BS_SECTIONS]; /* loaded piece by piece, taken over by one commit */
    float target;                     /* integrator, or the set-point: what enters the cascade */
} bs_axis_t;

typedef struct {
    uint32_t tick;
    float x, y;
} bs_point_t;

typedef struct {
    uint32_t left_ticks;
    uint32_t phase;     /* turns / 2^32 */
    int64_t increment;  /* turns a tick, 32.32 fixed point */
    int64_t slope;      /* of the increment, a tick */
    float amplitude;
    uint8_t axis;
    uint8_t before_cascade; /* into the cascade with the target, or behind it into the mirror command */
} bs_injection_t;

typedef struct {
    uint8_t channel[BS_CAPTURE_CHANNELS];
    uint8_t channels;
    uint32_t wanted, filled; /* floats */
    uint32_t tick_start;
    float data[BS_CAPTURE_FLOATS];
} bs_capture_t;

typedef struct {
    uint32_t ticks, saturated, lost;
    float quad_x, quad_y, quad_xx, quad_yy, sum, mirror_x, mirror_y;
} bs_statistics_t;

typedef struct {
    uint32_t tick;
    uint32_t serial;
    uint8_t mode;
    uint8_t enable_wanted;     /* the last heartbeat said so */
    uint8_t heartbeat_seen;    /* since start or reset: only then can the watchdog run out */
    uint8_t watchdog_latched;
    uint8_t emission_latched;  /* the interlock opened while the line was up */
    uint8_t enable;
    uint8_t interlock_closed;
    uint8_t quad_lost;
    uint32_t heartbeat_tick;

    float parameter[BS_PARAMETER_COUNT];
    bs_axis_t axis[2];
    float quad_x, quad_y, quad_sum, error_x, error_y;
    float point_ahead_x, point_ahead_y;
    bs_injection_t injection;
    float injected;

    bs_point_t queue[BS_QUEUE];
    uint32_t queue_head, queue_count;
    bs_point_t from; /* where the interpolation to the head of the queue starts */

    bs_capture_t capture;
    bs_statistics_t statistics;

    /* protocol */
    uint8_t rx[BS_FRAME];
    uint32_t rx_fill, rx_tick;
    uint16_t crc_errors;
    uint8_t answered;          /* the reply below answers `request_sequence` */
    uint16_t request_sequence, request_crc;
    uint8_t reply[BS_FRAME];
    uint32_t reply_length;
    uint8_t tx[BS_TX];
    uint32_t tx_head, tx_count;
    uint16_t tx_dropped;
} bs_board_t;

void bs_init(bs_board_t *board, uint32_t serial);
/* One tick of the loop and of everything that guards it: call at BS_TICK_RATE_HZ. */
void bs_tick(bs_board_t *board, bs_io_t *io);
/* Bytes from the host; a complete valid frame is executed and answered at once. */
void bs_rx(bs_board_t *board, const uint8_t *bytes, size_t length);
/* Takes up to `room` bytes for the host; returns how many. */
size_t bs_tx(bs_board_t *board, uint8_t *bytes, size_t room);

#endif
