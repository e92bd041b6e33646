/* What the rules of the ledger's reports say to people. */
#include "api/resources.h"

const struct text ledger_rules[] = {
    { "period_not_begun", 0, NULL, "Perioden går bara till och med i dag: det som kommer är inte bokfört.",
      "The period goes as far as today: what is to come is not booked." },
    { "period_backwards", 0, NULL, "Perioden slutar innan den börjar.", "The period ends before it begins." },
    { "period_too_long", 0, NULL, "Perioden är längre än tio år.", "The period is longer than ten years." },
    { "period_of_two_years", 0, NULL, "En SIE-fil är för ett kalenderår.", "A SIE file is for one calendar year." },
    { 0 },
};
