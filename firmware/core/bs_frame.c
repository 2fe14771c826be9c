#include "bs_frame.h"

#include <string.h>

uint16_t bs_crc(const uint8_t *bytes, uint32_t length)
{
    uint16_t crc = 0xFFFF;
    for (uint32_t i = 0; i < length; i++) {
        crc ^= (uint16_t)((uint16_t)bytes[i] << 8);
        for (int bit = 0; bit < 8; bit++) {
            crc = (uint16_t)((uint32_t)crc << 1 ^ ((crc & 0x8000u) ? 0x1021u : 0u));
        }
    }
    return crc;
}

uint16_t bs_get16(const uint8_t *b) { return (uint16_t)(b[0] | (b[1] << 8)); }

uint32_t bs_get32(const uint8_t *b)
{
    return (uint32_t)b[0] | ((uint32_t)b[1] << 8) | ((uint32_t)b[2] << 16) | ((uint32_t)b[3] << 24);
}

float bs_get_float(const uint8_t *bytes)
{
    const uint32_t bits = bs_get32(bytes);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint8_t *bs_put8(uint8_t *to, uint8_t value)
{
    *to = value;
    return to + 1;
}

uint8_t *bs_put16(uint8_t *to, uint16_t value) { return bs_put8(bs_put8(to, (uint8_t)value), (uint8_t)(value >> 8)); }

uint8_t *bs_put32(uint8_t *to, uint32_t value)
{
    return bs_put16(bs_put16(to, (uint16_t)value), (uint16_t)(value >> 16));
}

uint8_t *bs_put_float(uint8_t *to, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bs_put32(to, bits);
}

static void send_reply(bs_board_t *board)
{
    if (board->reply_length > BS_TX - board->tx_count) {
        board->tx_dropped++; /* a whole frame or nothing: the host asks again with the same sequence number */
        return;
    }
    for (uint32_t i = 0; i < board->reply_length; i++) {
        board->tx[(board->tx_head + board->tx_count) % BS_TX] = board->reply[i];
        board->tx_count++;
    }
}

static void answer(bs_board_t *board, uint16_t crc)
{
    const uint32_t length = bs_get16(board->rx + 2);
    const uint16_t sequence = bs_get16(board->rx + 4);
    const uint8_t type = board->rx[6];
    /* The same request again (its reply was lost) is answered again, not executed twice. A greeting starts afresh. */
    const int again = board->answered && sequence == board->request_sequence && crc == board->request_crc;
    if (!again || type == BS_COMMAND_HELLO) {
        uint8_t *r = board->reply;
        r = bs_put8(bs_put8(r, BS_SYNC_0), BS_SYNC_1);
        const uint32_t n = bs_execute(board, type, board->rx + BS_HEADER, length, board->reply + BS_HEADER);
        r = bs_put16(r, (uint16_t)n);
        r = bs_put16(r, sequence);
        bs_put8(r, (uint8_t)(type | 0x80));
        bs_put16(board->reply + BS_HEADER + n, bs_crc(board->reply + 2, n + 5));
        board->reply_length = n + BS_HEADER + 2;
        board->answered = 1;
        board->request_sequence = sequence;
        board->request_crc = crc;
    }
    send_reply(board);
}

static void drop(bs_board_t *board, uint32_t count)
{
    memmove(board->rx, board->rx + count, board->rx_fill - count);
    board->rx_fill -= count;
}

/* Tries to take one frame from the front of the buffer; returns 0 when more bytes are needed. */
static int take_frame(bs_board_t *board)
{
    uint32_t start = 0;
    while (start < board->rx_fill &&
           !(board->rx[start] == BS_SYNC_0 && (start + 1 == board->rx_fill || board->rx[start + 1] == BS_SYNC_1))) {
        start++;
    }
    drop(board, start);
    if (board->rx_fill < BS_HEADER) {
        return 0;
    }
    const uint32_t length = bs_get16(board->rx + 2);
    if (length > BS_PAYLOAD) {
        board->crc_errors++;
        drop(board, 1); /* that sync was no sync: look behind it */
        return 1;
    }
    if (board->rx_fill < length + BS_HEADER + 2) {
        return 0;
    }
    const uint16_t crc = bs_crc(board->rx + 2, length + 5);
    if (crc != bs_get16(board->rx + BS_HEADER + length)) {
        board->crc_errors++;
        drop(board, 1);
        return 1;
    }
    answer(board, crc);
    drop(board, length + BS_HEADER + 2);
    return 1;
}

void bs_rx(bs_board_t *board, const uint8_t *bytes, size_t length)
{
    if (board->tick - board->rx_tick > BS_GAP_TICKS) {
        board->rx_fill = 0; /* the rest of that frame will not come */
    }
    board->rx_tick = board->tick;
    for (size_t i = 0; i < length;) {
        while (i < length && board->rx_fill < BS_FRAME) {
            board->rx[board->rx_fill++] = bytes[i++];
        }
        while (take_frame(board)) {
        }
    }
}

size_t bs_tx(bs_board_t *board, uint8_t *bytes, size_t room)
{
    size_t n = 0;
    while (n < room && board->tx_count > 0) {
        bytes[n++] = board->tx[board->tx_head];
        board->tx_head = (board->tx_head + 1) % BS_TX;
        board->tx_count--;
    }
    return n;
}
