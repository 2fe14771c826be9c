/* Frames: A5 5A | length u16 | sequence u16 | type u8 | payload | CRC u16, little endian.
 * The CRC is CRC-16/CCITT-FALSE (polynomial 0x1021, start 0xFFFF) over length to payload. */
#ifndef BS_FRAME_H
#define BS_FRAME_H

#include "bs_board.h"

#define BS_SYNC_0 0xA5
#define BS_SYNC_1 0x5A
#define BS_HEADER 7

uint16_t bs_crc(const uint8_t *bytes, uint32_t length);
uint16_t bs_get16(const uint8_t *bytes);
uint32_t bs_get32(const uint8_t *bytes);
float bs_get_float(const uint8_t *bytes);
uint8_t *bs_put8(uint8_t *to, uint8_t value);
uint8_t *bs_put16(uint8_t *to, uint16_t value);
uint8_t *bs_put32(uint8_t *to, uint32_t value);
uint8_t *bs_put_float(uint8_t *to, float value);

/* bs_command.c: executes a request; writes the reply's payload and returns its length. */
uint32_t bs_execute(bs_board_t *board, uint8_t type, const uint8_t *payload, uint32_t length, uint8_t *reply);

#endif
