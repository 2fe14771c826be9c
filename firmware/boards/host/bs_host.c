/* The board as a shared library: the emulator owns the bytes and the ticks. No Python.h; loaded with dlopen. */
#include "bs_board.h"

#include <stdlib.h>

#if defined(_WIN32)
#define BS_EXPORT __declspec(dllexport)
#else
#define BS_EXPORT __attribute__((visibility("default")))
#endif

#ifndef BS_SOURCE_HASH
#define BS_SOURCE_HASH "unknown"
#endif

BS_EXPORT const char *bs_host_source_hash(void) { return BS_SOURCE_HASH; }

BS_EXPORT bs_board_t *bs_host_new(uint32_t serial)
{
    bs_board_t *board = malloc(sizeof *board); /* the host has a heap, the core does not use it */
    if (board != NULL) {
        bs_init(board, serial);
    }
    return board;
}

BS_EXPORT void bs_host_free(bs_board_t *board) { free(board); }
BS_EXPORT void bs_host_tick(bs_board_t *board, bs_io_t *io) { bs_tick(board, io); }
BS_EXPORT void bs_host_rx(bs_board_t *board, const uint8_t *bytes, uint32_t length) { bs_rx(board, bytes, length); }
BS_EXPORT uint32_t bs_host_tx(bs_board_t *board, uint8_t *bytes, uint32_t room)
{
    return (uint32_t)bs_tx(board, bytes, room);
}
