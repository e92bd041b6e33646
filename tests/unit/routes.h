/* A small contract, made by hand, for the tests of what walks along one. */
#pragma once
#include <string.h>

#include "utvag/contract.h"

static const struct contract_parameter list_parameters[] = {
    { .name = "limit", .place = IN_QUERY },
    { .name = "status", .place = IN_QUERY },
};
static const struct contract_operation routes[] = {
    { .id = "getRoot", .method = "GET", .path = "/v1/", .open = true },
    { .id = "listChildren",
      .method = "GET",
      .path = "/v1/children",
      .personal = true,
      .parameters = list_parameters,
      .parameter_count = 2 },
    { .id = "createChild", .method = "POST", .path = "/v1/children", .personal = true },
    { .id = "readChild", .method = "GET", .path = "/v1/children/{id}", .personal = true },
    { .id = "searchChildren", .method = "POST", .path = "/v1/children/search", .personal = true },
    { .id = "readNeed", .method = "GET", .path = "/v1/children/{child_id}/needs/{id}" },
    { .id = "getKeys", .method = "GET", .path = "/.well-known/jwks.json", .open = true },
    { .id = "createToken", .method = "POST", .path = "/v1/oauth/token", .open = true, .form = true },
};
enum { ROUTE_COUNT = sizeof routes / sizeof *routes };

size_t contract_count(const struct contract *contract)
{
    (void)contract;
    return ROUTE_COUNT;
}

const struct contract_operation *contract_at(const struct contract *contract, size_t index)
{
    (void)contract;
    return &routes[index];
}

const struct contract_parameter *contract_parameter(const struct contract_operation *operation,
                                                    enum parameter_place place, const char *name)
{
    for (size_t i = 0; i < operation->parameter_count; i++)
        if (operation->parameters[i].place == place && strcmp(operation->parameters[i].name, name) == 0)
            return &operation->parameters[i];
    return NULL;
}
