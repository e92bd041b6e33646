/* What the rules of gifts say to people. */
#include "api/resources.h"

const struct text donations_rules[] = {
    { "donation_reference_taken", 0, NULL, "En gåva med den referensen finns redan.",
      "There is a donation with that reference already." },
    { "donor_or_anonymous", 0, NULL, "Ange givaren, eller att gåvan är anonym: det ena av dem.",
      "State the donor, or that the gift is anonymous: one of them." },
    { "ends_before_it_begins", 0, NULL, "Slutet ligger före början.", "The end lies before the beginning." },
    { "reversed_already", 0, NULL, "Bokningen är redan tillbakatagen.", "The booking is taken back already." },
    { "donation_in_use", 0, NULL, "Något av gåvan är utlovat eller utbetalt.",
      "Something of the gift is promised or paid." },
    { 0 },
};
