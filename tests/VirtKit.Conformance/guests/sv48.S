# Translation with 4 levels of tables.
#define LAST table3
.equ LEVELS, 4
#include "paging.body.inc"
