/* SipHash-2-4 by the vectors of its authors: key 00 01 … 0f, text 00 01 … */
#include "utvag/siphash.h"

#include "tests/unit/ring.h"

static uint64_t of_length(size_t length)
{
    unsigned char key[SIPHASH_KEY], text[64];
    for (size_t i = 0; i < sizeof key; i++) key[i] = (unsigned char)i;
    for (size_t i = 0; i < sizeof text; i++) text[i] = (unsigned char)i;
    return siphash(key, text, length);
}

START_TEST(test_hashes_are_those_of_the_reference)
{
    ck_assert_uint_eq(of_length(0), UINT64_C(0x726fdb47dd0e0e31));
    ck_assert_uint_eq(of_length(1), UINT64_C(0x74f839c593dc67fd));
    ck_assert_uint_eq(of_length(8), UINT64_C(0x93f5f5799a932462));
    ck_assert_uint_eq(of_length(15), UINT64_C(0xa129ca6149be45e5));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("siphash");
    tcase_add_test(tests, test_hashes_are_those_of_the_reference);
    return ring_run("siphash", tests);
}
