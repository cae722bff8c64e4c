// A planetary system of seven bodies with a symplectic integrator, in double precision: multiply-add, divide and square root.
#include "guest.h"

enum { BODIES = 7 };

typedef struct {
    double x, y, z, vx, vy, vz, mass;
} body;

static body bodies[BODIES];

static double root(double x)
{
    __asm__("fsqrt.d %0, %1" : "=f"(x) : "f"(x));
    return x;
}

static void advance(double dt)
{
    for (int i = 0; i < BODIES; i++) {
        body *a = &bodies[i];
        for (int j = i + 1; j < BODIES; j++) {
            body *b = &bodies[j];
            double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
            double square = dx * dx + dy * dy + dz * dz + 0.01;
            double force = dt / (square * root(square));
            a->vx -= dx * b->mass * force, a->vy -= dy * b->mass * force, a->vz -= dz * b->mass * force;
            b->vx += dx * a->mass * force, b->vy += dy * a->mass * force, b->vz += dz * a->mass * force;
        }
    }
    for (int i = 0; i < BODIES; i++) {
        body *a = &bodies[i];
        a->x += dt * a->vx, a->y += dt * a->vy, a->z += dt * a->vz;
    }
}

WORKLOAD("nbody", 560000)
{
    uint64_t random = 3;
    for (int i = 0; i < BODIES; i++) {
        double *field = &bodies[i].x;
        for (int k = 0; k < 3; k++)
            field[k] = (double)(next_random(&random) >> 11) * 0x1p-53 * 20 - 10;
        for (int k = 3; k < 6; k++)
            field[k] = (double)(next_random(&random) >> 11) * 0x1p-53 - 0.5;
        bodies[i].mass = i == 0 ? 40 : 0.1 * i;
    }
    for (uint64_t i = 0; i < iterations; i++)
        advance(0.001);

    uint64_t checksum = 0;
    for (int i = 0; i < BODIES; i++) {
        checksum = fold_double(checksum, bodies[i].x);
        checksum = fold_double(checksum, bodies[i].vy);
    }
    return checksum;
}
