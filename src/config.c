#include "utvag/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "utvag/account_number.h"
#include "utvag/format.h"

enum kind { TEXT, NUMBER, SIZE, FLAG };

struct setting {
    const char *name; /* without UTVAG_ */
    size_t place;     /* offset in struct config */
    enum kind kind;
    long least, most; /* of a number */
    const char *fallback;
};

#define PLACE(member) offsetof(struct config, member)

static const struct setting settings[] = {
    { "DATABASE_URL", PLACE(database_url), TEXT, 0, 0, NULL },
    { "OWNER_DATABASE_URL", PLACE(owner_url), TEXT, 0, 0, NULL },
    { "ADDRESS", PLACE(address), TEXT, 0, 0, "127.0.0.1" },
    { "PORT", PLACE(port), NUMBER, 0, 65535, "8080" },
    { "ADMIN_ADDRESS", PLACE(admin_address), TEXT, 0, 0, "127.0.0.1" },
    { "ADMIN_PORT", PLACE(admin_port), NUMBER, -1, 65535, "9090" },
    { "BASE_URL", PLACE(base_url), TEXT, 0, 0, NULL },
    { "KEYS", PLACE(keys), TEXT, 0, 0, NULL },
    { "ISSUER", PLACE(issuer), TEXT, 0, 0, NULL },
    { "ISSUERS", PLACE(issuers), TEXT, 0, 0, NULL },
    { "DEMO", PLACE(demo), FLAG, 0, 0, "0" },
    { "CLIENT_SECRETS", PLACE(client_secrets), FLAG, 0, 0, NULL },
    { "PREPARE", PLACE(prepare), FLAG, 0, 0, "1" },
    { "POOL", PLACE(pool), NUMBER, 1, 1000, "16" },
    { "CONNECTIONS", PLACE(connections), NUMBER, 1, 100000, "1000" },
    { "CONNECTIONS_PER_ADDRESS", PLACE(connections_per_address), NUMBER, 0, 100000, "0" },
    { "RATE_PER_MINUTE", PLACE(rate_per_minute), NUMBER, 0, 1000000, "6000" },
    { "FAILED_LOGINS_PER_MINUTE", PLACE(failed_logins_per_minute), NUMBER, 0, 1000000, "10" },
    { "PROXIES", PLACE(proxies), TEXT, 0, 0, NULL },
    { "IN_FLIGHT", PLACE(in_flight), NUMBER, 1, 100000, "256" },
    { "TURN_WAIT_MS", PLACE(turn_wait_ms), NUMBER, 1, 60000, "500" },
    { "LOGINS", PLACE(logins), NUMBER, 1, 64, "2" },
    { "HEADER_LIMIT", PLACE(header_limit), SIZE, 4096, 1L << 20, "12288" },
    { "BODY_LIMIT", PLACE(body_limit), SIZE, 1024, 64L << 20, "1048576" },
    { "DEPTH_LIMIT", PLACE(depth_limit), NUMBER, 4, 512, "32" },
    { "REQUEST_SECONDS", PLACE(request_seconds), NUMBER, 1, 3600, "10" },
    { "IDLE_SECONDS", PLACE(idle_seconds), NUMBER, 1, 3600, "30" },
    { "STATEMENT_MS", PLACE(statement_ms), NUMBER, 1, 3600000, "5000" },
    { "LOCK_MS", PLACE(lock_ms), NUMBER, 1, 3600000, "2000" },
    { "POOL_WAIT_MS", PLACE(pool_wait_ms), NUMBER, 1, 3600000, "2000" },
    { "STREAMS", PLACE(streams), NUMBER, 1, 64, "2" },
    { "STREAM_SECONDS", PLACE(stream_seconds), NUMBER, 1, 3600, "300" },
    { "DRAIN_SECONDS", PLACE(drain_seconds), NUMBER, 0, 3600, "30" },
    { "LOG_LEVEL", PLACE(log_level), TEXT, 0, 0, "info" },
    { "CORS_ORIGINS", PLACE(origins), TEXT, 0, 0, NULL },
    { "TLS_CERTIFICATE", PLACE(tls_certificate), TEXT, 0, 0, NULL },
    { "TLS_KEY", PLACE(tls_key), TEXT, 0, 0, NULL },
    { "TLS_CLIENT_CA", PLACE(tls_client_ca), TEXT, 0, 0, NULL },
    { "ORGANISATION_NAME", PLACE(organisation_name), TEXT, 0, 0, "IMT" },
    { "ORGANISATION_NUMBER", PLACE(organisation_number), TEXT, 0, 0, NULL },
    { "EMERGENCY_CASE_CAP_ORE", PLACE(emergency_case_cap_ore), NUMBER, 0, INT_MAX, "500000" },
    { "EMERGENCY_ACTOR_CAP_ORE", PLACE(emergency_actor_cap_ore), NUMBER, 0, INT_MAX, "2000000" },
    { "TWO_APPROVERS_ABOVE_ORE", PLACE(two_approvers_above_ore), NUMBER, 0, INT_MAX, "2000000" },
    { "PAYER_IBAN", PLACE(payer_iban), TEXT, 0, 0, NULL },
    { "PAYER_BIC", PLACE(payer_bic), TEXT, 0, 0, NULL },
    { "SESSION_HOURS", PLACE(session_hours), NUMBER, 1, 168, "12" },
    { "DOUBLE_GRANT_DAYS", PLACE(double_grant_days), NUMBER, 0, 36500, "365" },
};
enum { SETTINGS = sizeof settings / sizeof settings[0] };

/* Read by what stands around the binary: ./dev and the tests. */
static const char *const others[] = { "VAR", "BINARY", "TEST_", NULL };

static struct config config;
static char base_url[300];
static int faults;

static void fault(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fault(const char *name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "utvag: UTVAG_%s: ", name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    faults++;
}

/* -- one setting ------------------------------------------------------------------------------------------------ */

static bool number_read(const char *text, long *out)
{
    char *end;
    errno = 0;
    *out = strtol(text, &end, 10);
    return text[0] != '\0' && *end == '\0' && errno == 0;
}

static void setting_read(const struct setting *setting)
{
    char name[64];
    snprintf(name, sizeof name, "UTVAG_%s", setting->name);
    const char *text = getenv(name);
    if (!text || !*text) text = setting->fallback;
    if (!text) return;

    char *place = (char *)&config + setting->place;
    long number = 0;
    if (setting->kind == TEXT) {
        memcpy(place, &text, sizeof text);
    } else if (setting->kind == FLAG) {
        if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0) fault(setting->name, "\"%s\" is neither 0 nor 1", text);
        *(bool *)place = text[0] == '1';
    } else if (!number_read(text, &number)) {
        fault(setting->name, "\"%s\" is not a whole number", text);
    } else if (number < setting->least || number > setting->most) {
        fault(setting->name, "%ld is not between %ld and %ld", number, setting->least, setting->most);
    } else if (setting->kind == SIZE) {
        *(size_t *)place = (size_t)number;
    } else {
        *(int *)place = (int)number;
    }
}

static bool name_is_known(const char *name, size_t length)
{
    for (size_t i = 0; i < SETTINGS; i++)
        if (strlen(settings[i].name) == length && strncmp(settings[i].name, name, length) == 0) return true;
    for (const char *const *other = others; *other; other++) {
        size_t known = strlen(*other);
        bool prefix = (*other)[known - 1] == '_';
        if ((prefix ? length > known : length == known) && strncmp(*other, name, known) == 0) return true;
    }
    return false;
}

/* A misspelt name would leave a default in force that somebody meant to change. */
static void names_check(void)
{
    for (char **variable = environ; *variable; variable++) {
        if (strncmp(*variable, "UTVAG_", 6) != 0) continue;
        const char *name = *variable + 6;
        size_t length = strcspn(name, "=");
        if (name_is_known(name, length)) continue;
        char copy[64];
        snprintf(copy, sizeof copy, "%.*s", (int)(length < 60 ? length : 60), name);
        fault(copy, "no such setting");
    }
}

/* -- the whole -------------------------------------------------------------------------------------------------- */

static socklen_t address_parse(const char *text, int port, struct sockaddr_storage *out)
{
    struct sockaddr_in *four = (struct sockaddr_in *)out;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)port);
        return sizeof *four;
    }
    if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)port);
        return sizeof *six;
    }
    return 0;
}

/* base_url must be known before the server listens: any port becomes a certain one here. */
static int port_choose(const char *name, const char *address, int port)
{
    struct sockaddr_storage place;
    socklen_t length = address_parse(address, port, &place);
    if (length == 0) {
        fault(name, "\"%s\" is not an IPv4 or IPv6 address", address);
        return port;
    }
    if (port != 0) return port;
    int fd = socket(place.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&place, length) == 0 &&
                 getsockname(fd, (struct sockaddr *)&place, &length) == 0;
    if (!bound) fault(name, "no free port at %s: %s", address, strerror(errno));
    if (fd >= 0) close(fd);
    return ntohs(((struct sockaddr_in *)&place)->sin_port); /* at the same place in both families */
}

static bool address_is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

static bool url_is_origin(const char *url, size_t length)
{
    size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
    if (scheme == 0 || length <= scheme) return false;
    for (size_t i = scheme; i < length; i++)
        if (strchr("/?#* \t@", url[i])) return false;
    return true;
}

static void origins_check(void)
{
    for (const char *origin = config.origins; origin && *origin;) {
        size_t length = strcspn(origin, ",");
        if (!url_is_origin(origin, length))
            fault("CORS_ORIGINS", "\"%.*s\" is not an origin like https://example.se", (int)length, origin);
        origin += length + (origin[length] == ',');
    }
}

static void proxies_check(void)
{
    for (const char *proxy = config.proxies; proxy && *proxy;) {
        size_t length = strcspn(proxy, ",");
        char address[INET6_ADDRSTRLEN] = "";
        struct sockaddr_storage place;
        if (length < sizeof address) memcpy(address, proxy, length);
        if (!address_parse(address, 0, &place))
            fault("PROXIES", "\"%.*s\" is not an IPv4 or IPv6 address", (int)length, proxy);
        proxy += length + (proxy[length] == ',');
    }
}

static void base_url_set(void)
{
    size_t length = config.base_url ? strlen(config.base_url) : 0;
    if (config.base_url) {
        bool web = strncmp(config.base_url, "https://", 8) == 0 || strncmp(config.base_url, "http://", 7) == 0;
        if (!web || config.base_url[length - 1] == '/' || strpbrk(config.base_url, "?# "))
            fault("BASE_URL", "\"%s\" is not a URL like https://api.example.se, without a slash at its end",
                  config.base_url);
        return;
    }
    bool six = strchr(config.address, ':') != NULL;
    snprintf(base_url, sizeof base_url, "%s://%s%s%s:%d", config.tls_certificate ? "https" : "http", six ? "[" : "",
             config.address, six ? "]" : "", config.port);
    config.base_url = base_url;
}

static void file_check(const char *name, const char *path)
{
    if (path && access(path, R_OK) != 0) fault(name, "\"%s\": %s", path, strerror(errno));
}

static void organisation_check(void)
{
    const char *number = config.organisation_number;
    const struct format *format = format_find("organisationsnummer");
    if (number && (strspn(number, "0123456789") != 6 || !format->holds(number, strlen(number))))
        fault("ORGANISATION_NUMBER", "\"%s\" is not a number like 802002-4280 with its check digit", number);
}

/* The account that payments go from: whole, or not at all. */
static void payer_check(void)
{
    const char *iban = config.payer_iban, *bic = config.payer_bic;
    if (iban && !account_number_iban(iban, strlen(iban)))
        fault("PAYER_IBAN", "\"%s\" is not an IBAN", iban);
    else if (iban && !bic)
        fault("PAYER_IBAN", "set without UTVAG_PAYER_BIC");
    if (bic && !account_number_bic(bic, strlen(bic)))
        fault("PAYER_BIC", "\"%s\" is not a BIC", bic);
    else if (bic && !iban)
        fault("PAYER_BIC", "set without UTVAG_PAYER_IBAN");
}

static void whole_check(void)
{
    static const char levels[] = " debug info warn error ";
    char level[32];
    snprintf(level, sizeof level, " %.20s ", config.log_level);
    if (strpbrk(config.log_level, " ") || !strstr(levels, level))
        fault("LOG_LEVEL", "\"%s\" is none of debug, info, warn, error", config.log_level);

    if (config.demo && !address_is_loopback(config.address))
        fault("DEMO", "the demo is served on a loopback address only, not on %s", config.address);
    if (config.tls_certificate && !config.tls_key) fault("TLS_KEY", "missing, while UTVAG_TLS_CERTIFICATE is set");
    if (config.tls_key && !config.tls_certificate) fault("TLS_CERTIFICATE", "missing, while UTVAG_TLS_KEY is set");
    if (config.tls_client_ca && !config.tls_certificate)
        fault("TLS_CERTIFICATE", "missing, while UTVAG_TLS_CLIENT_CA is set");
    file_check("TLS_CERTIFICATE", config.tls_certificate);
    file_check("TLS_KEY", config.tls_key);
    file_check("TLS_CLIENT_CA", config.tls_client_ca);
    origins_check();
    proxies_check();
    organisation_check();
    payer_check();
}

static void defaults_derive(void)
{
    config.port = port_choose("ADDRESS", config.address, config.port);
    if (config.admin_port >= 0)
        config.admin_port = port_choose("ADMIN_ADDRESS", config.admin_address, config.admin_port);
    base_url_set();
    if (!config.issuer) config.issuer = config.base_url;
    if (!config.owner_url) config.owner_url = config.database_url;
    if (config.demo && !config.payer_iban) { /* an account that is nobody's: the example of IBAN's registry */
        config.payer_iban = "SE4550000000058398257466";
        config.payer_bic = "ESSESESS";
    }
    const char *secrets = getenv("UTVAG_CLIENT_SECRETS");
    if (!secrets || !*secrets) config.client_secrets = config.demo;
}

const struct config *config_read(void)
{
    memset(&config, 0, sizeof config);
    faults = 0;
    names_check();
    for (size_t i = 0; i < SETTINGS; i++) setting_read(&settings[i]);
    whole_check();
    defaults_derive();
    return faults ? NULL : &config;
}
