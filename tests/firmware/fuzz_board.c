/* Random but well-framed requests, random light, under the compiler's sanitizers. Exits 1 with a line when the board does
 * what it must never do: emit with the interlock open or while latched, or command the mirror beyond its range. */
#include "bs_frame.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define REQUESTS 150000
#define RANGE 2e-3f

static uint64_t state = 88172645463325252u;

static uint32_t draw(void) /* xorshift64 (Marsaglia 2003) */
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

static float draw_float(void)
{
    static const float usual[] = {0.0f, 1e-4f, -1e-3f, 4900.0f, 1.0f, 0.5f};
    static const float extreme[] = {3e38f, -3e38f, INFINITY, -INFINITY, NAN, 1e-44f};
    const uint32_t which = draw() % 200;
    if (which < 6) {
        return extreme[which];
    }
    if (which < 100) {
        return usual[which % 6];
    }
    if (which < 175) {
        return (float)(draw() % 1000) / 1000.0f;
    }
    const uint32_t bits = draw(); /* any pattern */
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A payload of mostly the right length with mostly plausible values. */
static uint32_t draw_payload(const bs_board_t *board, uint8_t type, uint8_t *to)
{
    static const uint32_t usual[] = {0, 0, 6, 0, 1, 1, 0, 36, 1, 5, 8, 18, 7, 6, 22, 2, 0};
    const uint32_t length = draw() % 4 ? usual[type] : draw() % BS_PAYLOAD;
    for (uint32_t i = 0; i < length; i++) {
        to[i] = (uint8_t)(draw() % 3 ? draw() % 20 : draw());
    }
    if (type == BS_COMMAND_MODE || type == BS_COMMAND_HEARTBEAT) {
        to[0] = (uint8_t)(draw() % 3);
    }
    if (type == BS_COMMAND_SETPOINTS) {
        for (uint32_t i = 0; i + 12 <= length; i += 12) {
            bs_put32(to + i, board->tick + draw() % 50 + 5 * i);
            bs_put_float(bs_put_float(to + i + 4, draw_float()), draw_float());
        }
    }
    const uint32_t first = type == BS_COMMAND_SECTION ? 2 : type == BS_COMMAND_POINT_AHEAD ? 0 : 1;
    if (type == BS_COMMAND_SET || type == BS_COMMAND_SECTION || type == BS_COMMAND_POINT_AHEAD || type == BS_COMMAND_INJECT) {
        for (uint32_t i = first; i + 4 <= length && i < first + 12; i += 4) {
            bs_put_float(to + i, draw_float());
        }
    }
    return length;
}

static const char *run_ticks(bs_board_t *board, bs_io_t *io, uint32_t ticks)
{
    while (ticks-- > 0) {
        io->quad_a = draw_float();
        io->quad_b = draw_float();
        io->quad_c = draw_float();
        io->quad_d = draw_float();
        io->mirror_x = draw_float();
        io->interlock = draw() % 100 ? 1.0f : 0.0f;
        bs_tick(board, io);
        if (io->enable > 0.5f && (io->interlock <= 0.5f || board->mode == BS_MODE_LATCHED)) {
            return "emission against interlock or latch";
        }
        if (!(io->cmd_x <= RANGE && io->cmd_x >= -RANGE && io->cmd_y <= RANGE && io->cmd_y >= -RANGE)) {
            return "mirror command out of range";
        }
    }
    return NULL;
}

int main(void)
{
    static bs_board_t board;
    static bs_io_t io;
    uint8_t frame[BS_FRAME], reply[BS_TX];
    uint32_t done = 0;
    bs_init(&board, 1);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        const uint8_t type = (uint8_t)(1 + draw() % 16);
        const uint32_t length = draw_payload(&board, type, frame + BS_HEADER);
        bs_put8(bs_put16(bs_put16(bs_put8(bs_put8(frame, BS_SYNC_0), BS_SYNC_1), (uint16_t)length), (uint16_t)i), type);
        bs_put16(frame + BS_HEADER + length, bs_crc(frame + 2, length + 5));
        if (draw() % 50 == 0) {
            frame[draw() % (length + 9)] ^= (uint8_t)draw();
        }
        bs_rx(&board, frame, length + 9);
        done += bs_tx(&board, reply, sizeof reply) > 11 && reply[11] == BS_ERROR_OK;
        const char *wrong = run_ticks(&board, &io, draw() % 500 ? draw() % 6 : BS_WATCHDOG_TICKS + 500);
        if (wrong != NULL) {
            printf("%s after request %u\n", wrong, (unsigned)i);
            return 1;
        }
    }
    printf("%u requests executed\n", (unsigned)done);
    return 0;
}
