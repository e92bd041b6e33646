/* One spelling for each sequence of bytes. */
#include "utvag/base64url.h"

#include <string.h>

#include "tests/unit/ring.h"

static const struct {
    const char *bytes, *text;
} known[] = {
    /* RFC 4648, section 10, without padding */
    { "", "" },           { "f", "Zg" },          { "fo", "Zm8" },          { "foo", "Zm9v" },
    { "foob", "Zm9vYg" }, { "fooba", "Zm9vYmE" }, { "foobar", "Zm9vYmFy" }, { "\xfb\xef\xbe\xff\xff\xff", "----____" },
};

START_TEST(test_known_answers_both_ways)
{
    char text[16];
    unsigned char bytes[16];
    size_t length = 99;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        base64url_encode(known[i].bytes, strlen(known[i].bytes), text);
        ck_assert_str_eq(text, known[i].text);
        ck_assert(base64url_decode(text, strlen(text), bytes, &length));
        ck_assert_uint_eq(length, strlen(known[i].bytes));
        ck_assert_int_eq(memcmp(bytes, known[i].bytes, length), 0);
    }
}
END_TEST

START_TEST(test_other_spellings_are_refused)
{
    static const char *const wrong[] = { "Z",    "Zg==", "Zg=",    "Zh",    "Zm9",       "Zm8+",
                                         "Zm8/", "Zm 8", "Zm9v\n", "Zm9vY", "\xc3\xa5zz" };
    unsigned char bytes[16];
    size_t length;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(!base64url_decode(wrong[i], strlen(wrong[i]), bytes, &length), "%s", wrong[i]);
    ck_assert(!base64url_decode("Zm\0v", 4, bytes, &length));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("base64url");
    tcase_add_test(tests, test_known_answers_both_ways);
    tcase_add_test(tests, test_other_spellings_are_refused);
    return ring_run("base64url", tests);
}
