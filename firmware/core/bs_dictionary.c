#include "bs_dictionary.h"

#include "bs_board.h"

#define BS_LIMITS(name, text, unit, minimum, maximum, initial) {(float)(minimum), (float)(maximum), (float)(initial)},
const bs_parameter_t bs_parameters[BS_PARAMETER_COUNT] = {BS_PARAMETERS(BS_LIMITS)};

#define BS_TEXT_(x) #x
#define BS_TEXT(x) BS_TEXT_(x)

/* Every list ends in null so that each row may end in a comma; the host drops it. */
#define BS_JSON_NUMBERED(number, name, text) "{\"id\":" BS_TEXT(number) ",\"name\":\"" text "\"},"
#define BS_JSON_COMMAND(number, name, text) "{\"id\":\"" #number "\",\"name\":\"" text "\"},"
#define BS_JSON_PARAMETER(name, text, unit, minimum, maximum, initial)                             \
    "{\"name\":\"" text "\",\"unit\":\"" unit "\",\"min\":" BS_TEXT(minimum) ",\"max\":" BS_TEXT(maximum) \
    ",\"default\":" BS_TEXT(initial) "},"
#define BS_JSON_CHANNEL(name, text, unit) "{\"name\":\"" text "\",\"unit\":\"" unit "\"},"

const char bs_dictionary_json[] =
    "{\"board\":\"boresight beam board\",\"protocol\":" BS_TEXT(BS_PROTOCOL_VERSION)
    ",\"tick_rate_hz\":" BS_TEXT(BS_TICK_RATE_HZ)
    ",\"watchdog_ticks\":" BS_TEXT(BS_WATCHDOG_TICKS)
    ",\"queue\":" BS_TEXT(BS_QUEUE)
    ",\"sections\":" BS_TEXT(BS_SECTIONS)
    ",\"capture_floats\":" BS_TEXT(BS_CAPTURE_FLOATS)
    ",\"capture_channels\":" BS_TEXT(BS_CAPTURE_CHANNELS)
    ",\"commands\":[" BS_COMMANDS(BS_JSON_COMMAND) "null]"
    ",\"modes\":[" BS_MODES(BS_JSON_NUMBERED) "null]"
    ",\"errors\":[" BS_ERRORS(BS_JSON_NUMBERED) "null]"
    ",\"parameters\":[" BS_PARAMETERS(BS_JSON_PARAMETER) "null]"
    ",\"channels\":[" BS_CHANNELS(BS_JSON_CHANNEL) "null]}";
const uint32_t bs_dictionary_length = sizeof bs_dictionary_json - 1;
