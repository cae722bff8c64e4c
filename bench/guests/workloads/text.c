// Word counting in a hash table, Horspool search and case folding over half a MiB of generated prose: the byte-wise work of a shell script.
#include "guest.h"

enum { LENGTH = 1 << 19, WORDS = 512, BUCKETS = 1024 };

typedef struct {
    const char *word;
    uint32_t length, count;
} entry;

static char vocabulary[WORDS][12];
static char prose[LENGTH + 1], folded[LENGTH + 1];
static entry table[BUCKETS];

static size_t length_of(const char *s)
{
    const char *p = s;
    while (*p)
        p++;
    return (size_t)(p - s);
}

static int is_letter(char c)
{
    return (unsigned char)((c | 32) - 'a') < 26;
}

static void write_prose(void)
{
    uint64_t random = 23;
    for (int i = 0; i < WORDS; i++) {
        uint64_t r = next_random(&random);
        int n = 2 + (int)(r % 9);
        for (int k = 0; k < n; k++)
            vocabulary[i][k] = (char)('a' + (r >> (6 * k)) % 26);
    }
    for (size_t at = 0; at < LENGTH;) {
        // The product of two random numbers: some words are frequent, most are rare.
        uint64_t r = next_random(&random);
        const char *word = vocabulary[(r & 511) * (r >> 9 & 511) >> 9];
        for (size_t k = 0; word[k] && at < LENGTH; k++)
            prose[at++] = k == 0 && r >> 60 == 0 ? (char)(word[k] - 32) : word[k];
        if (at < LENGTH)
            prose[at++] = r >> 56 & 15 ? ' ' : '\n';
    }
}

static uint64_t count_words(const char *s)
{
    memset(table, 0, sizeof table);
    uint64_t distinct = 0;
    while (*s) {
        while (*s && !is_letter(*s))
            s++;
        const char *start = s;
        uint32_t hash = 2166136261u;
        for (; is_letter(*s); s++)
            hash = (hash ^ (unsigned char)*s) * 16777619u;
        uint32_t length = (uint32_t)(s - start);
        if (length == 0)
            break;
        entry *e = &table[hash % BUCKETS];
        while (e->word && (e->length != length || memcmp(e->word, start, length) != 0))
            e = e == &table[BUCKETS - 1] ? table : e + 1;
        if (!e->word) {
            e->word = start;
            e->length = length;
            distinct++;
        }
        e->count++;
    }
    return distinct;
}

static uint64_t search(const char *haystack, size_t length, const char *needle)
{
    size_t skip[256], n = length_of(needle);
    for (int i = 0; i < 256; i++)
        skip[i] = n;
    for (size_t i = 0; i + 1 < n; i++)
        skip[(unsigned char)needle[i]] = n - 1 - i;
    uint64_t found = 0;
    for (size_t at = 0; at + n <= length; at += skip[(unsigned char)haystack[at + n - 1]])
        found += memcmp(haystack + at, needle, n) == 0;
    return found;
}

WORKLOAD("text", 130)
{
    write_prose();
    uint64_t checksum = 0;
    for (uint64_t i = 0; i < iterations; i++) {
        size_t length = length_of(prose);
        for (size_t k = 0; k <= length; k++)
            folded[k] = prose[k] >= 'A' && prose[k] <= 'Z' ? (char)(prose[k] + 32) : prose[k];
        checksum = fold(checksum, count_words(folded));
        for (size_t k = 0; k < BUCKETS; k++)
            checksum = fold(checksum, table[k].count);
        for (int k = 0; k < 4; k++)
            checksum = fold(checksum, search(folded, length, vocabulary[(i * 4 + (uint64_t)k) % WORDS]));
        prose[i * 977 % LENGTH] = 'Q';
    }
    return checksum;
}
