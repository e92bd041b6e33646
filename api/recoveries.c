/* Recoveries: claims on those who owe what the charity paid, until they are repaid or written off. */
#include "utvag/resource.h"

const struct operation recoveries[] = {
    { "listRecoveries", resource_list, "recovery_bodies", NULL },
    { "readRecovery", resource_read, "recovery_bodies", NULL },
    { "addRepayment", resource_write, NULL, "add_repayment" },
    { "writeOffRecovery", resource_write, NULL, "write_off_recovery" },
    { 0 },
};
