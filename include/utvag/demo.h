/* The demo's cases: requests made in the process itself, so that everything in them goes through the contract. */
#pragma once
#include <jansson.h>
#include <stdbool.h>

#include "utvag/service.h"

/* steps: [{as, do: "POST /path", officer?, if_match?, body?, save?: {variable: "/pointer" or "etag"}}]; texts may hold
   ${variable}, ${who:case_worker} (her id), ${today}, ${today+30} or ${today-30}. people: each `as` with {id, agency,
   roles, machine}. The service needs no socket, but all else. False at the first step that is refused, with the reason
   on stderr. */
bool demo_play(struct service *service, const json_t *steps, const json_t *people) __attribute__((warn_unused_result));
