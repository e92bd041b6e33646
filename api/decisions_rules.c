/* What the rules of decisions and emergency grants say to people. */
#include <stddef.h>

#include "utvag/text.h"

extern const struct text decisions_rules[];

const struct text decisions_rules[] = {
    { "need_not_proposed", 0, NULL, "Ett behov är inte föreslaget till beslut.", "A need is not proposed for decision." },
    { "need_not_decided", 0, NULL, "Ett behov är inte beslutat och kan inte omprövas.",
      "A need is not decided, so it cannot be reconsidered." },
    { "four_eyes_required", 409, NULL,
      "Den som har föreslagit, bedömt eller intygat får inte besluta, och den som har beslutat får inte godkänna i efterhand.",
      "Whoever proposed, assessed or recorded a certification may not decide, and whoever decided may not ratify." },
    { "not_eligible", 0, NULL, "Personen omfattas inte. Ett undantag (eligibility) behöver skäl.",
      "The person is not eligible. An exception (eligibility) needs a reason." },
    { "society_obliged", 0, NULL, "Samhället är skyldigt att ge stödet. Det kan ges som förskott eller hänvisas.",
      "Society is obliged to give this support. It may be given as an advance, or referred." },
    { "possible_double_grant", 0, NULL,
      "Samma slags behov kan redan vara beviljat för personen eller någon närstående. Ett undantag (double_grant) behöver skäl.",
      "The same kind of need may have been granted already, to the person or someone linked to her. An exception "
      "(double_grant) needs a reason." },
    { "not_an_emergency_category", 0, NULL, "Behovet är inte av ett slag som får beviljas akut.",
      "The need is not of a kind that may be granted in an emergency." },
    { "emergency_case_cap", 0, NULL, "Taket för akuta beviljanden i ansökan är nått.",
      "The cap on emergency grants in the application is reached." },
    { "emergency_actor_cap", 0, NULL, "Ditt tak för akuta beviljanden under 30 dagar är nått.",
      "Your cap on emergency grants within 30 days is reached." },
    { "ratification_overdue", 0, NULL,
      "Ett tidigare akut beviljande av dig är inte godkänt av någon annan inom 7 dagar, eller inte intygat inom 14.",
      "An earlier emergency grant of yours was not ratified by another within 7 days, or not certified within 14." },
    { "already_ratified", 0, NULL, "Det akuta beviljandet är redan godkänt.", "The emergency grant is ratified already." },
    { "amount_follows_outcome", 422, "/lines", "Belopp anges när behovet beviljas helt eller delvis, och bara då.",
      "An amount is given when the need is granted, wholly or partly, and only then." },
    { "amount_not_positive", 422, "/lines", "Beloppet måste vara större än noll.", "The amount must be above zero." },
    { "advance_when_granted", 422, "/lines", "Bara det som beviljas kan vara ett förskott.",
      "Only what is granted can be an advance." },
    { "exception_stated_twice", 422, "/exceptions", "Ett undantag anges två gånger.", "An exception is stated twice." },
    { 0 },
};
