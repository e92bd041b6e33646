#include <signal.h>

#include "utvag/command.h"
#include "utvag/config.h"
#include "utvag/db.h"
#include "utvag/issuer.h"
#include "utvag/keyring.h"
#include "utvag/log.h"
#include "utvag/metrics.h"
#include "utvag/migrate.h"
#include "utvag/password.h"
#include "utvag/rate.h"
#include "utvag/server.h"
#include "utvag/token.h"
#include "utvag/turns.h"

/* Blocked in every thread, so that only signal_wait takes them. */
static void signals_block(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static bool service_open(struct service *service)
{
    const struct config *config = service->config;
    password_lane(config->logins);
    if (config->issuers && !(service->issuers = issuers_open(config->issuers, config->issuer))) return false;
    if (!migrate_verify(config->database_url, config->demo)) return false;
    service->tokens = token_verifier_new(service->keyring, config->issuer);
    service->metrics = metrics_new(service->contract);
    service->turns = turns_new(service->config->in_flight, service->config->turn_wait_ms);
    service->door = turns_new(turns_at_door(service->config->in_flight), service->config->turn_wait_ms);
    service->rate = rate_new(config);
    service->db = db_open(config);
    return service->tokens && service->metrics && service->turns && service->door && service->rate && service->db;
}

static void service_close(struct service *service)
{
    if (service->db) db_close(service->db);
    if (service->metrics) metrics_free(service->metrics);
    turns_free(service->turns);
    turns_free(service->door);
    rate_free(service->rate);
    if (service->tokens) token_verifier_free(service->tokens);
    issuers_free(service->issuers);
}

/* Until SIGTERM or SIGINT. This thread, which has nothing else to do, looks once a second whether keys were rotated (ours, or
   those of outside issuers), and once a minute clears away what has had its time. */
static void wait_for_end(const struct service *service, const sigset_t *signals)
{
    const struct timespec second = { .tv_sec = 1 };
    for (unsigned seconds = 0; sigtimedwait(signals, NULL, &second) < 0; seconds++) {
        keyring_look(service->keyring);
        if (service->issuers && issuers_look(service->issuers)) token_forget(service->tokens);
        if (seconds % 60 == 0) db_forget_expired(service->db);
    }
}

/* Serves until SIGTERM or SIGINT; readiness then says no, and requests in flight end. */
static int serve(const struct service *service, const sigset_t *signals)
{
    struct server *server = server_start(service);
    if (!server) return 1;
    int status = 1;
    if (service->config->admin_port < 0 || server_start_admin(server)) {
        wait_for_end(service, signals);
        service_drain();
        log_line(LOG_INFO, "stopping", NULL);
        status = 0;
    }
    server_stop(server, service->config->drain_seconds);
    return status;
}

int command_serve(struct service *service, int count, char **arguments)
{
    (void)count, (void)arguments;
    sigset_t signals;
    signals_block(&signals);
    int status = service_open(service) ? serve(service, &signals) : 1;
    service_close(service);
    if (status == 0) log_line(LOG_INFO, "stopped", NULL);
    return status;
}
