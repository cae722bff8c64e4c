// Quicksort and heap sort of 256 Ki random 64-bit keys (2 MiB): branches that no predictor knows, and strided loads.
#include "guest.h"

enum { COUNT = 1 << 18 };

static uint64_t keys[COUNT];

static void insertion_sort(uint64_t *a, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t key = a[i];
        size_t j = i;
        for (; j > 0 && a[j - 1] > key; j--)
            a[j] = a[j - 1];
        a[j] = key;
    }
}

static uint64_t median(uint64_t a, uint64_t b, uint64_t c)
{
    if (a > b) {
        uint64_t t = a;
        a = b, b = t;
    }
    return c < a ? a : c > b ? b : c;
}

static void quicksort(uint64_t *a, size_t n)
{
    while (n > 16) {
        uint64_t pivot = median(a[0], a[n / 2], a[n - 1]);
        size_t i = 0, j = n - 1;
        for (;; i++, j--) {
            while (a[i] < pivot)
                i++;
            while (a[j] > pivot)
                j--;
            if (i >= j)
                break;
            uint64_t t = a[i];
            a[i] = a[j], a[j] = t;
        }
        // The smaller part by recursion, so that the stack stays logarithmic.
        size_t left = j + 1;
        if (left < n - left) {
            quicksort(a, left);
            a += left, n -= left;
        } else {
            quicksort(a + left, n - left);
            n = left;
        }
    }
    insertion_sort(a, n);
}

static void sift_down(uint64_t *a, size_t root, size_t n)
{
    uint64_t key = a[root];
    for (size_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && a[child] < a[child + 1])
            child++;
        if (a[child] <= key)
            break;
        a[root] = a[child];
    }
    a[root] = key;
}

static void heap_sort(uint64_t *a, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift_down(a, i, n);
    for (size_t end = n; --end > 0;) {
        uint64_t t = a[0];
        a[0] = a[end], a[end] = t;
        sift_down(a, 0, end);
    }
}

WORKLOAD("sort", 16)
{
    uint64_t random = 7, checksum = 0;
    for (uint64_t i = 0; i < iterations; i++) {
        for (int method = 0; method < 2; method++) {
            for (size_t k = 0; k < COUNT; k++)
                keys[k] = next_random(&random);
            if (method)
                heap_sort(keys, COUNT);
            else
                quicksort(keys, COUNT);
            for (size_t k = 1; k < COUNT; k++) {
                if (keys[k - 1] > keys[k])
                    return 0;
            }
            for (size_t k = 0; k < COUNT; k += 1021)
                checksum = fold(checksum, keys[k]);
        }
    }
    return checksum;
}
