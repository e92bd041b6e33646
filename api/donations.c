/* What came in. That a file counts once, and who may take a booking back, is in 0031_gifts.sql. */
#include "utvag/resource.h"

const struct operation donations[] = {
    { "listDonations", resource_list, "donation_bodies", NULL },
    { "createDonation", resource_write, NULL, "create_donation" },
    { "readDonation", resource_read, "donation_bodies", NULL },
    { "reverseDonation", resource_write, NULL, "reverse_donation" },
    { "loadDonations", resource_write, NULL, "load_donations" },
    { 0 },
};
