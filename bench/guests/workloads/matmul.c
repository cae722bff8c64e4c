// Matrix multiplication, 96 x 96, in double and in single precision: fused multiply-add fed by streams of loads.
#include "guest.h"

enum { N = 96 };

static double a[N][N], b[N][N], c[N][N];
static float fa[N][N], fb[N][N], fc[N][N];

#define MULTIPLY(type, left, right, product)          \
    for (int i = 0; i < N; i++) {                     \
        for (int j = 0; j < N; j++) {                 \
            type sum = 0;                             \
            for (int k = 0; k < N; k++)               \
                sum += left[i][k] * right[k][j];      \
            product[i][j] = sum;                      \
        }                                             \
    }

WORKLOAD("matmul", 66)
{
    uint64_t random = 11, checksum = 0;
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            a[i][j] = (double)(next_random(&random) >> 11) * 0x1p-53 - 0.5;
            b[i][j] = (double)(next_random(&random) >> 11) * 0x1p-53 - 0.5;
            fa[i][j] = (float)b[i][j];
            fb[i][j] = (float)a[i][j];
        }
    }
    for (uint64_t i = 0; i < iterations; i++) {
        MULTIPLY(double, a, b, c)
        MULTIPLY(float, fa, fb, fc)
        // The product feeds the next round, so that no round can be left out.
        a[i % N][0] = c[i % N][i % 7] * 0.25;
        fa[i % N][0] = fc[i % N][i % 5] * 0.25f;
        checksum = fold_double(checksum, c[i % N][(i * 7) % N] + (double)fc[(i * 3) % N][i % N]);
    }
    return checksum;
}
