// Writes a JSON text of random depth and content, then tokenizes and checks it by recursive descent: byte loads, compares and unpredictable branches.
#include "guest.h"

enum { CAPACITY = 1 << 20 };

static char text[CAPACITY];
static char *out;
static const char *in;
static uint64_t random, checksum;

static void emit(const char *s)
{
    while (*s)
        *out++ = *s++;
}

static void emit_number(uint64_t n)
{
    char digits[20];
    int count = 0;
    do
        digits[count++] = (char)('0' + n % 10);
    while (n /= 10);
    while (count)
        *out++ = digits[--count];
}

static void emit_string(void)
{
    *out++ = '"';
    for (uint64_t n = next_random(&random) >> 60; n--;) {
        uint64_t r = next_random(&random) >> 32;
        if (r % 29 == 0)
            emit("\\n");
        else if (r % 31 == 0)
            emit("\\u00e9");
        else
            *out++ = (char)('a' + r % 26);
    }
    *out++ = '"';
}

static void emit_value(int depth)
{
    uint64_t kind = next_random(&random) >> 32;
    if (depth > 0 && kind % 8 < 4) {
        int is_object = kind % 2 == 0;
        *out++ = is_object ? '{' : '[';
        uint64_t members = kind / 8 % 6;
        for (uint64_t i = 0; i < members; i++) {
            emit(i ? ", " : " ");
            if (is_object) {
                emit_string();
                emit(": ");
            }
            emit_value(depth - 1);
        }
        *out++ = is_object ? '}' : ']';
    } else if (kind % 8 < 6) {
        if (kind & 8)
            *out++ = '-';
        emit_number(kind >> 12);
        if (kind & 16) {
            *out++ = '.';
            emit_number(kind & 0xfff);
        }
    } else if (kind % 8 == 6) {
        emit_string();
    } else {
        static const char *const words[] = { "true", "false", "null" };
        emit(words[kind / 8 % 3]);
    }
}

static void skip_space(void)
{
    while (*in == ' ' || *in == '\n' || *in == '\t' || *in == '\r')
        in++;
}

static int parse_string(void)
{
    uint64_t hash = 5381;
    for (in++; *in != '"'; in++) {
        if (*in < ' ')
            return 0;
        if (*in == '\\') {
            in++;
            if (*in == 'u') {
                for (int i = 0; i < 4; i++) {
                    char c = *++in;
                    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
                        return 0;
                }
            }
        }
        hash = hash * 33 + (unsigned char)*in;
    }
    in++;
    checksum = fold(checksum, hash);
    return 1;
}

static int parse_number(void)
{
    int negative = *in == '-';
    in += negative;
    if (*in < '0' || *in > '9')
        return 0;
    uint64_t whole = 0;
    for (; *in >= '0' && *in <= '9'; in++)
        whole = whole * 10 + (uint64_t)(*in - '0');
    if (*in == '.') {
        for (in++; *in >= '0' && *in <= '9'; in++)
            whole = whole * 31 + (uint64_t)(*in - '0');
    }
    checksum = fold(checksum, negative ? -whole : whole);
    return 1;
}

static int parse_word(const char *word)
{
    for (; *word; word++, in++) {
        if (*in != *word)
            return 0;
    }
    checksum = fold(checksum, (unsigned char)word[-1]);
    return 1;
}

static int parse_value(void)
{
    skip_space();
    switch (*in) {
    case '{':
    case '[': {
        int is_object = *in++ == '{';
        char end = is_object ? '}' : ']';
        uint64_t members = 0;
        skip_space();
        while (*in != end) {
            if (members++ && *in++ != ',')
                return 0;
            skip_space();
            if (is_object) {
                if (*in != '"' || !parse_string())
                    return 0;
                skip_space();
                if (*in++ != ':')
                    return 0;
            }
            if (!parse_value())
                return 0;
            skip_space();
        }
        in++;
        checksum = fold(checksum, members);
        return 1;
    }
    case '"': return parse_string();
    case 't': return parse_word("true");
    case 'f': return parse_word("false");
    case 'n': return parse_word("null");
    default: return parse_number();
    }
}

WORKLOAD("json", 280)
{
    random = 17;
    out = text;
    *out++ = '[';
    // A value of the greatest depth stays far below the distance that is kept to the end of the buffer.
    while (out < text + CAPACITY - CAPACITY / 4) {
        emit_value(4);
        emit(", ");
    }
    emit("null]");
    *out = 0;

    for (uint64_t i = 0; i < iterations; i++) {
        in = text;
        if (!parse_value() || in != out)
            return 0;
        checksum = fold(checksum, (uint64_t)(in - text));
    }
    return checksum;
}
