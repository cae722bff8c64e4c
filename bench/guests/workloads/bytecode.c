// A stack machine with a switch for a dispatcher that runs a prime sieve and a Collatz search: one indirect jump for every few instructions.
#include "guest.h"

enum opcode { PUSH, LOAD, STORE, FETCH, PUT, ADD, SUB, MUL, MOD, AND, SHR, LESS, EQUAL, JUMP, JUMP_ZERO, HALT };

// Words: an opcode, then its operand where it has one (PUSH, LOAD, STORE and the jumps).
static const int32_t sieve[] = {
    /*  0 */ PUSH, 2, STORE, 0,                                       // i = 2
    /*  4 */ LOAD, 0, PUSH, 8192, LESS, JUMP_ZERO, 55,                // while (i < 8192)
    /* 11 */ LOAD, 0, FETCH, PUSH, 0, EQUAL, JUMP_ZERO, 46,           //   if (memory[i] == 0)
    /* 19 */ LOAD, 2, LOAD, 0, ADD, STORE, 2,                         //     sum += i
    /* 26 */ LOAD, 0, LOAD, 0, ADD, STORE, 1,                         //     for (j = 2 * i; j < 8192; j += i)
    /* 33 */ LOAD, 1, PUSH, 8192, LESS, JUMP_ZERO, 46,                //
    /* 40 */ PUSH, 1, LOAD, 1, JUMP, 57,                              //       memory[j] = 1, out of line
    /* 46 */ LOAD, 0, PUSH, 1, ADD, STORE, 0, JUMP, 4,                //   i++
    /* 55 */ HALT, HALT,
    /* 57 */ PUT, LOAD, 1, LOAD, 0, ADD, STORE, 1, JUMP, 33,
};

static const int32_t collatz[] = {
    /*  0 */ PUSH, 1, STORE, 0,                                       // n = 1
    /*  4 */ LOAD, 0, PUSH, 600, LESS, JUMP_ZERO, 56,                 // while (n < 600)
    /* 11 */ LOAD, 0, STORE, 1,                                       //   x = n
    /* 15 */ LOAD, 1, PUSH, 1, EQUAL, JUMP_ZERO, 24, JUMP, 47,        //   while (x != 1)
    /* 24 */ LOAD, 2, PUSH, 1, ADD, STORE, 2,                         //     steps++
    /* 31 */ LOAD, 1, PUSH, 1, AND, JUMP_ZERO, 58,                    //     x = x & 1 ? 3 * x + 1 : x >> 1
    /* 38 */ LOAD, 1, PUSH, 3, MUL, JUMP, 67, HALT, HALT,
    /* 47 */ LOAD, 0, PUSH, 1, ADD, STORE, 0, JUMP, 4,                //   n++
    /* 56 */ HALT, HALT,
    /* 58 */ LOAD, 1, PUSH, 1, SHR, STORE, 1, JUMP, 15,
    /* 67 */ PUSH, 1, ADD, STORE, 1, JUMP, 15,
};

// What the two programs have to answer.
enum { SUM_OF_PRIMES = 3908641, COLLATZ_STEPS = 32494 };

static int64_t memory[8192];
static int64_t stack[64];

static __attribute__((noinline)) int64_t execute(const int32_t *code)
{
    int64_t variables[4] = { 0 };
    int64_t *sp = stack;
    const int32_t *pc = code;
    for (;;) {
        switch ((enum opcode)*pc++) {
        case PUSH: *sp++ = *pc++; break;
        case LOAD: *sp++ = variables[*pc++]; break;
        case STORE: variables[*pc++] = *--sp; break;
        case FETCH: sp[-1] = memory[sp[-1] & 8191]; break;
        case PUT: sp -= 2; memory[sp[1] & 8191] = sp[0]; break;
        case ADD: sp--; sp[-1] += sp[0]; break;
        case SUB: sp--; sp[-1] -= sp[0]; break;
        case MUL: sp--; sp[-1] *= sp[0]; break;
        case MOD: sp--; sp[-1] %= sp[0]; break;
        case AND: sp--; sp[-1] &= sp[0]; break;
        case SHR: sp--; sp[-1] >>= sp[0] & 63; break;
        case LESS: sp--; sp[-1] = sp[-1] < sp[0]; break;
        case EQUAL: sp--; sp[-1] = sp[-1] == sp[0]; break;
        case JUMP: pc = code + *pc; break;
        case JUMP_ZERO: pc = *--sp ? pc + 1 : code + *pc; break;
        case HALT: return variables[2];
        }
    }
}

WORKLOAD("bytecode", 120)
{
    uint64_t checksum = 0;
    for (uint64_t i = 0; i < iterations; i++) {
        memset(memory, 0, sizeof memory);
        int64_t sum = execute(sieve), steps = execute(collatz);
        if (sum != SUM_OF_PRIMES || steps != COLLATZ_STEPS)
            return 0;
        checksum = fold(checksum, (uint64_t)(sum + steps) + i);
    }
    return checksum;
}
