/* The signal path: what happens between quad cell and mirror in one tick. */
#ifndef BS_LOOP_H
#define BS_LOOP_H

#include "bs_board.h"

/* sin(2 pi phase / 2^32), within 2e-6. */
float bs_sine(uint32_t phase);
float bs_clamp(float value, float limit);
/* One sample through the axis' cascade. */
float bs_cascade(bs_axis_t *axis, float input);
/* Sets the cascade to the state that a constant `input` leads to, so that new filters start without a bump. */
void bs_cascade_settle(bs_axis_t *axis, float input);
int bs_section_stable(const bs_section_t *section);
/* Reads the quad cell: signals, sum, lost or not, error in the mirror's frame. */
void bs_sense(bs_board_t *board, const bs_io_t *io);
/* Moves both axes' targets by one tick of the mode. */
void bs_guide(bs_board_t *board);
/* Next sample of the injected sweep, 0 when none runs. */
float bs_inject(bs_injection_t *injection);

#endif
