#include "utvag/problem.h"

struct problem problem(int status, const char *code) { return (struct problem){ .status = status, .code = code }; }
