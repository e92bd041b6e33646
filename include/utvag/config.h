/* Configuration: the environment (UTVAG_…), read once, validated whole, const afterwards. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct config {
    const char *database_url;     /* UTVAG_DATABASE_URL: libpq URL or keywords; the service's login role */
    const char *owner_url;        /* UTVAG_OWNER_DATABASE_URL: for migrate; default database_url */
    const char *address;          /* UTVAG_ADDRESS, default 127.0.0.1 */
    int port;                     /* UTVAG_PORT, default 8080; 0: any, told in the log line "listening" */
    const char *admin_address;    /* UTVAG_ADMIN_ADDRESS, default 127.0.0.1 */
    int admin_port;               /* UTVAG_ADMIN_PORT, default 9090; 0: any; -1: none */
    const char *base_url;         /* UTVAG_BASE_URL: how clients reach us, without /v1; default http://address:port */
    const char *keys;             /* UTVAG_KEYS: folder of the key ring (0700) */
    const char *issuer;           /* UTVAG_ISSUER: default base_url */
    const char *issuers;          /* UTVAG_ISSUERS: outside issuers (issuer.h), a JSON file; default none */
    bool demo;                    /* UTVAG_DEMO=1 */
    bool client_secrets;          /* UTVAG_CLIENT_SECRETS=1: secrets at the token endpoint; default: demo */
    bool prepare;                 /* UTVAG_PREPARE=1/0, default 1 */
    int pool;                     /* UTVAG_POOL, database connections, default 16 */
    int connections;              /* UTVAG_CONNECTIONS, default 1000 */
    int connections_per_address;  /* UTVAG_CONNECTIONS_PER_ADDRESS, default 0: no limit */
    int rate_per_minute;          /* UTVAG_RATE_PER_MINUTE, requests of one caller, default 6000; 0: no limit */
    int failed_logins_per_minute; /* UTVAG_FAILED_LOGINS_PER_MINUTE, per address and account, default 10; 0: no limit */
    const char *proxies;          /* UTVAG_PROXIES: addresses whose X-Forwarded-For and Client-Cert are believed */
    int in_flight;                /* UTVAG_IN_FLIGHT, requests carried out at once, default 256 */
    int turn_wait_ms;             /* UTVAG_TURN_WAIT_MS, how long one more waits before 503, default 500 */
    int logins;                   /* UTVAG_LOGINS, password hashes at once, default 2 */
    int session_hours;            /* UTVAG_SESSION_HOURS, a person is signed in at most, default 12 */
    size_t header_limit;   /* UTVAG_HEADER_LIMIT bytes a connection may take until its headers are in, default 12 KiB */
    size_t body_limit;     /* UTVAG_BODY_LIMIT bytes, default 1 MiB */
    int depth_limit;       /* UTVAG_DEPTH_LIMIT, nesting of a body, default 32 */
    int request_seconds;   /* UTVAG_REQUEST_SECONDS, header and body must be in, default 10 */
    int idle_seconds;      /* UTVAG_IDLE_SECONDS, default 30 */
    int statement_ms;      /* UTVAG_STATEMENT_MS, default 5000 */
    int lock_ms;           /* UTVAG_LOCK_MS, default 2000 */
    int pool_wait_ms;      /* UTVAG_POOL_WAIT_MS, default 2000 */
    int streams;           /* UTVAG_STREAMS, exports sent at once, each with a connection beside the pool, default 2 */
    int stream_seconds;    /* UTVAG_STREAM_SECONDS, an export is sent at most, default 300 */
    int drain_seconds;     /* UTVAG_DRAIN_SECONDS, default 30 */
    const char *log_level; /* UTVAG_LOG_LEVEL: debug info warn error; default info */
    const char *origins;   /* UTVAG_CORS_ORIGINS, comma separated; default none */
    const char *tls_certificate, *tls_key, *tls_client_ca; /* UTVAG_TLS_…: PEM files */
    const char *organisation_name;                         /* UTVAG_ORGANISATION_NAME: the charity's, default IMT */
    const char *organisation_number;                       /* UTVAG_ORGANISATION_NUMBER: the charity's, default none */
    /* UTVAG_PAYER_IBAN, UTVAG_PAYER_BIC: the account that payment files draw on; default none, in the demo nobody's */
    const char *payer_iban, *payer_bic;
    /* rules of the house that are settings */
    int emergency_case_cap_ore, emergency_actor_cap_ore; /* UTVAG_EMERGENCY_…; 5 000 kr, 20 000 kr */
    int two_approvers_above_ore;                         /* UTVAG_TWO_APPROVERS_ABOVE_ORE, default 20 000 kr */
    int double_grant_days;                               /* UTVAG_DOUBLE_GRANT_DAYS, default 365 */
};

/* Writes one line per bad value to stderr, naming it, and returns NULL if there was any. */
const struct config *config_read(void);
