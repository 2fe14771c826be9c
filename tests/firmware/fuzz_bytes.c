/* One input of a coverage-guided fuzzer: pieces of a byte stream and ticks between them. The last byte of each piece's
 * header says whether the piece is framed for it, with the right CRC, so that what is behind the check is reached.
 * Built by benchmarks/fuzz.py; traps when the board does what it must never do. */
#include "bs_frame.h"

#include <stdlib.h>
#include <string.h>

#define RANGE 2e-3f

static uint32_t left; /* ticks of one input; silence beyond the watchdog is fuzz_board.c's */

static void ticks(bs_board_t *board, bs_io_t *io, uint32_t count, uint8_t light)
{
    for (; count > 0 && left > 0; count--, left--) {
        io->quad_a = (float)(light & 3);
        io->quad_b = (float)(light >> 2 & 3);
        io->quad_c = (float)(light >> 4 & 3);
        io->quad_d = 1.0f;
        io->interlock = light & 0x40 ? 0.0f : 1.0f;
        bs_tick(board, io);
        if (io->enable > 0.5f && (io->interlock <= 0.5f || board->mode == BS_MODE_LATCHED)) {
            abort(); /* emission against interlock or latch */
        }
        if (!(io->cmd_x <= RANGE && io->cmd_x >= -RANGE && io->cmd_y <= RANGE && io->cmd_y >= -RANGE)) {
            abort(); /* mirror command out of range */
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bs_board_t board;
    bs_io_t io;
    uint8_t frame[BS_FRAME], reply[BS_TX];
    memset(&io, 0, sizeof io);
    left = 200;
    bs_init(&board, 1);
    while (size >= 4) {
        const uint8_t kind = data[0], length = data[1], wait = data[2], light = data[3];
        data += 4;
        size -= 4;
        const size_t take = length < size ? length : size;
        if (kind < 200 && take <= BS_PAYLOAD) { /* a request: kind is its type */
            memcpy(frame + BS_HEADER, data, take);
            bs_put8(bs_put16(bs_put16(bs_put8(bs_put8(frame, BS_SYNC_0), BS_SYNC_1), (uint16_t)take), wait), kind % 17);
            bs_put16(frame + BS_HEADER + take, bs_crc(frame + 2, (uint32_t)take + 5));
            bs_rx(&board, frame, take + 9);
        } else {
            bs_rx(&board, data, take);
        }
        bs_tx(&board, reply, sizeof reply);
        ticks(&board, &io, wait % 8, light);
        data += take;
        size -= take;
    }
    return 0;
}
