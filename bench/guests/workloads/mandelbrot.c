// The Mandelbrot set, every row in double and in single precision: short loops of dependent floating-point arithmetic with a comparison each.
#include "guest.h"

enum { WIDTH = 192, LIMIT = 256 };

static uint32_t escape_double(double cx, double cy)
{
    double x = 0, y = 0;
    uint32_t n = 0;
    for (; n < LIMIT && x * x + y * y <= 4; n++) {
        double t = x * x - y * y + cx;
        y = 2 * x * y + cy;
        x = t;
    }
    return n;
}

static uint32_t escape_single(float cx, float cy)
{
    float x = 0, y = 0;
    uint32_t n = 0;
    for (; n < LIMIT && x * x + y * y <= 4; n++) {
        float t = x * x - y * y + cx;
        y = 2 * x * y + cy;
        x = t;
    }
    return n;
}

WORKLOAD("mandelbrot", 1300)
{
    uint64_t checksum = 0;
    for (uint64_t row = 0; row < iterations; row++) {
        double cy = -1.2 + 2.4 * (double)row / (double)iterations;
        for (int column = 0; column < WIDTH; column++) {
            double cx = -2.1 + 2.8 * column / WIDTH;
            checksum = fold(checksum, escape_double(cx, cy) << 16 | escape_single((float)cx, (float)cy));
        }
    }
    return checksum;
}
