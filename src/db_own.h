/* What the files of db.c share. */
#pragma once
#include "db_pool.h"
#include "utvag/turns.h"

struct db {
    struct pool *pool;
    const struct config *config;
    struct turns *streams; /* places of db_stream.c */
};
