# Translation with 3 levels of tables.
#define LAST table2
.equ LEVELS, 3
#include "paging.body.inc"
