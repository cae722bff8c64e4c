# Translation with 5 levels of tables.
#define LAST table4
.equ LEVELS, 5
#include "paging.body.inc"
