/* A plug-in that changes what it is given in place. */
#include "virtkit.h"

VIRTKIT_EXPORT(void, rotate, (char *text, size_t length, int by))
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] >= 'a' && text[i] <= 'z')
            text[i] = (char)('a' + (text[i] - 'a' + by) % 26);
    }
}
