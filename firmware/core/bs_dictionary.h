/* What the board tells the host about itself. Each table is written once; enumeration, defaults and the JSON text
 * that the host fetches come from it. */
#ifndef BS_DICTIONARY_H
#define BS_DICTIONARY_H

#include <stdint.h>

/*        type  NAME           name */
#define BS_COMMANDS(X)                  \
    X(0x01, HELLO, "hello")             \
    X(0x02, DICTIONARY, "dictionary")   \
    X(0x03, STATUS, "status")           \
    X(0x04, HEARTBEAT, "heartbeat")     \
    X(0x05, MODE, "mode")               \
    X(0x06, RESET, "reset")             \
    X(0x07, SETPOINTS, "setpoints")     \
    X(0x08, GET, "get")                 \
    X(0x09, SET, "set")                 \
    X(0x0A, POINT_AHEAD, "point_ahead") \
    X(0x0B, INJECT, "inject")           \
    X(0x0C, CAPTURE, "capture")         \
    X(0x0D, READ, "read")               \
    X(0x0E, SECTION, "section")         \
    X(0x0F, COMMIT, "commit")

#define BS_MODES(X)           \
    X(0, IDLE, "idle")        \
    X(1, SETPOINT, "setpoint") \
    X(2, TRACK, "track")      \
    X(3, LATCHED, "latched")

#define BS_ERRORS(X)                                              \
    X(0, OK, "ok")                                                \
    X(1, UNKNOWN, "no such command")                              \
    X(2, LENGTH, "wrong payload length")                          \
    X(3, RANGE, "value out of range")                             \
    X(4, LATCHED, "latched: reset first")                         \
    X(5, HEARTBEAT, "no fresh heartbeat")                         \
    X(6, QUEUE, "set-point queue is full")                        \
    X(7, ORDER, "set-points must go forward in time")             \
    X(8, UNSET, "loop gain or matrix is zero: calibrate first")   \
    X(9, UNSTABLE, "filter section is not stable")

/*        NAME          name            unit     minimum  maximum  default */
#define BS_PARAMETERS(X)                                                            \
    X(LOOP_GAIN, "loop_gain", "1", 0, 2, 0)              /* integrator gain a tick */ \
    X(MATRIX_XX, "matrix_xx", "rad", -1e-2, 1e-2, 0)     /* quad signal -> mirror */  \
    X(MATRIX_XY, "matrix_xy", "rad", -1e-2, 1e-2, 0)                                \
    X(MATRIX_YX, "matrix_yx", "rad", -1e-2, 1e-2, 0)                                \
    X(MATRIX_YY, "matrix_yy", "rad", -1e-2, 1e-2, 0)                                \
    X(SUM_MIN, "sum_min", "1", 0, 10, 0.05)              /* below: quad lost, hold */ \
    X(MIRROR_RANGE, "mirror_range", "rad", 1e-5, 2e-3, 2e-3)                        \
    X(SLEW_MAX, "slew_max", "rad/s", 1e-3, 100, 1)       /* to zero when idle */      \
    X(POINT_AHEAD_RANGE, "point_ahead_range", "rad", 0, 2e-3, 2e-4)

/*        NAME        name         unit */
#define BS_CHANNELS(X)                         \
    X(QUAD_X, "quad_x", "1")                   \
    X(QUAD_Y, "quad_y", "1")                   \
    X(QUAD_SUM, "quad_sum", "1")               \
    X(ERROR_X, "error_x", "rad")               \
    X(ERROR_Y, "error_y", "rad")               \
    X(MIRROR_X, "mirror_x", "rad")             \
    X(MIRROR_Y, "mirror_y", "rad")             \
    X(TARGET_X, "target_x", "rad")             \
    X(TARGET_Y, "target_y", "rad")             \
    X(COMMAND_X, "command_x", "rad")           \
    X(COMMAND_Y, "command_y", "rad")           \
    X(INJECTION, "injection", "rad")

#define BS_ENUM_COMMAND(number, name, text) BS_COMMAND_##name = number,
enum { BS_COMMANDS(BS_ENUM_COMMAND) };
#define BS_ENUM_MODE(number, name, text) BS_MODE_##name = number,
enum { BS_MODES(BS_ENUM_MODE) };
#define BS_ENUM_ERROR(number, name, text) BS_ERROR_##name = number,
enum { BS_ERRORS(BS_ENUM_ERROR) };
#define BS_ENUM_PARAMETER(name, text, unit, minimum, maximum, initial) BS_P_##name,
enum { BS_PARAMETERS(BS_ENUM_PARAMETER) BS_PARAMETER_COUNT };
#define BS_ENUM_CHANNEL(name, text, unit) BS_C_##name,
enum { BS_CHANNELS(BS_ENUM_CHANNEL) BS_CHANNEL_COUNT };

typedef struct {
    float minimum, maximum, initial;
} bs_parameter_t;

extern const bs_parameter_t bs_parameters[BS_PARAMETER_COUNT];
extern const char bs_dictionary_json[];
extern const uint32_t bs_dictionary_length;

#endif
