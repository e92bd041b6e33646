/* TLS: files that are not there stop the start; a certificate has the thumbprint that RFC 8705 gives it. */
#include "utvag/tls.h"

#include <check.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Made for this test, and of no use anywhere else. */
static const char certificate[] = "-----BEGIN CERTIFICATE-----\n"
                                  "MIIBdjCCARugAwIBAgIUFVuFc4Wu6z/5bhzMVzusCYow360wCgYIKoZIzj0EAwIw\n"
                                  "DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjQxMDI1MjJaGA8yMTI2MTAzMTEwMjUy\n"
                                  "MlowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABOlH\n"
                                  "MXAiNAWiKOR1sCk/54hvC11q4rp5TaKNWrHTWsIUQR8JEcGWOxHH/SOCBFphmlDt\n"
                                  "NAiBmRUwDRQgp2Zl6NajUzBRMB0GA1UdDgQWBBRW+Bh8fTJg/uR1FJzUg0jPJ3Le\n"
                                  "oTAfBgNVHSMEGDAWgBRW+Bh8fTJg/uR1FJzUg0jPJ3LeoTAPBgNVHRMBAf8EBTAD\n"
                                  "AQH/MAoGCCqGSM49BAMCA0kAMEYCIQCRkd5mFBo0QTbI+XGuabek4glDhINToW61\n"
                                  "obVWXdR7eAIhANyT7q/cx70fACdb8KWNqduELW1eccTSRze8p95Wc9BP\n"
                                  "-----END CERTIFICATE-----\n";
static const char key[] = "-----BEGIN PRIVATE KEY-----\n"
                          "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgoBbPGjNH3HKD3hdk\n"
                          "RR7Au1SmJaT6ROG98ZM5bg68/XGhRANCAATpRzFwIjQFoijkdbApP+eIbwtdauK6\n"
                          "eU2ijVqx01rCFEEfCRHBljsRx/0jggRaYZpQ7TQIgZkVMA0UIKdmZejW\n"
                          "-----END PRIVATE KEY-----\n";
/* openssl x509 -outform DER | openssl dgst -sha256 -binary | basenc --base64url, without its padding */
static const char thumbprint[] = "e_ySBNM7sSnAIiFvjY5rDBPodjsinzx7OneTEZcARMQ";

static gnutls_certificate_credentials_t credentials;
static gnutls_session_t server, client;
static int ends[2];

static void start(gnutls_session_t *session, unsigned flags, int end)
{
    fcntl(end, F_SETFL, O_NONBLOCK);
    ck_assert_int_eq(gnutls_init(session, flags | GNUTLS_NONBLOCK), 0);
    ck_assert_int_eq(gnutls_priority_set_direct(*session, TLS_PRIORITIES, NULL), 0);
    gnutls_credentials_set(*session, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_transport_set_int(*session, end);
}

/* Both sides show the same certificate, the client only if she is asked. */
static void shake_hands(bool asked)
{
    const gnutls_datum_t shown = { (unsigned char *)(uintptr_t)certificate, sizeof certificate - 1 };
    const gnutls_datum_t held = { (unsigned char *)(uintptr_t)key, sizeof key - 1 };
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    gnutls_certificate_allocate_credentials(&credentials);
    ck_assert_int_eq(gnutls_certificate_set_x509_key_mem(credentials, &shown, &held, GNUTLS_X509_FMT_PEM), 0);
    start(&server, GNUTLS_SERVER, ends[0]);
    start(&client, GNUTLS_CLIENT, ends[1]);
    if (asked) gnutls_certificate_server_set_request(server, GNUTLS_CERT_REQUEST);
    int one = GNUTLS_E_AGAIN, other = GNUTLS_E_AGAIN;
    for (int i = 0; i < 100 && (one || other); i++) {
        if (other) other = gnutls_handshake(client);
        if (one) one = gnutls_handshake(server);
        ck_assert_msg(!gnutls_error_is_fatal(one) && !gnutls_error_is_fatal(other), "%s, %s", gnutls_strerror(one),
                      gnutls_strerror(other));
    }
    ck_assert(!one && !other);
}

static void part(void)
{
    gnutls_deinit(server);
    gnutls_deinit(client);
    gnutls_certificate_free_credentials(credentials);
    close(ends[0]);
    close(ends[1]);
}

START_TEST(test_a_certificate_has_its_thumbprint)
{
    char out[TLS_THUMBPRINT];
    shake_hands(true);
    ck_assert(tls_thumbprint(server, out));
    ck_assert_str_eq(out, thumbprint);
    part();
}
END_TEST

START_TEST(test_who_shows_none_has_none)
{
    char out[TLS_THUMBPRINT];
    shake_hands(false);
    ck_assert(!tls_thumbprint(server, out));
    part();
}
END_TEST

START_TEST(test_files_are_read_whole_or_stop_the_start)
{
    char path[] = "/tmp/utvag-tls-XXXXXX";
    struct tls tls = { 0 };
    int file = mkstemp(path);
    ck_assert_int_eq(write(file, certificate, sizeof certificate - 1), sizeof certificate - 1);
    ck_assert_int_eq(write(file, key, sizeof key - 1), sizeof key - 1);
    struct config config = { .tls_certificate = path, .tls_key = path };
    ck_assert(tls_load(&config, &tls));
    ck_assert(tls.serves);
    ck_assert_ptr_null(tls.client_ca);
    tls_free(&tls);
    config.tls_client_ca = "/nowhere/ca.pem";
    ck_assert(!tls_load(&config, &tls));
    tls_free(&tls);
    config = (struct config){ 0 };
    ck_assert(tls_load(&config, &tls));
    ck_assert(!tls.serves);
    close(file);
    unlink(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tls");
    TCase *tests = tcase_create("tls");
    tcase_add_test(tests, test_a_certificate_has_its_thumbprint);
    tcase_add_test(tests, test_who_shows_none_has_none);
    tcase_add_test(tests, test_files_are_read_whole_or_stop_the_start);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
