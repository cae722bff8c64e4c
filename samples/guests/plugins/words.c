/* A plug-in that behaves: counts words, and logs what it found. */
#include "virtkit.h"

VIRTKIT_IMPORT(void, log, (const char *text, size_t length));

VIRTKIT_EXPORT(long, score, (int weight, const char *text, size_t length))
{
    long words = 0;
    for (size_t i = 0; i < length; i++)
        words += text[i] != ' ' && (i == 0 || text[i - 1] == ' ');
    log(text, length);
    return weight * words;
}
