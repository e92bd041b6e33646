/* Any YAML as the contract: it is loaded, or refused with a reason. */
#include <stdint.h>
#include <stdlib.h>

#include "utvag/contract.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char error[256] = "";
    struct contract *contract = contract_load((const char *)bytes, size, error, sizeof error);
    if (!contract && !error[0]) abort();
    contract_free(contract);
    return 0;
}
