#include "utvag/service.h"

#include <stdatomic.h>

static atomic_bool draining;

void service_drain(void) { atomic_store(&draining, true); }

bool service_draining(void) { return atomic_load(&draining); }
