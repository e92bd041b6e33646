/* What the rules of applications, needs, certifications and assessments say to people. */
#include <stddef.h>

#include "utvag/text.h"

extern const struct text applications_rules[];

const struct text applications_rules[] = {
    { "invalid_transition", 0, NULL, "Ansökans tillstånd ({}) tillåter inte detta.",
      "The application's state ({}) does not allow this." },
    { "needs_missing", 0, NULL, "Ansökan har inget behov att pröva.", "The application has no need to try." },
    { "not_assigned", 0, NULL, "Ärendet är inte fördelat till dig.", "The case is not assigned to you." },
    { "eligibility_missing", 0, NULL, "Någon som ett behov gäller är inte bedömd mot målgruppen.",
      "Someone whom a need is for is not assessed for eligibility." },
    { "certification_missing", 0, NULL, "Ett behov är inte intygat av ett ombud, eller intyget gäller inte längre.",
      "A need is not certified by an ombud, or the certification no longer holds." },
    { "assessment_missing", 0, NULL, "Samhällets skyldighet är inte bedömd för ett behov, eller svar väntas.",
      "A need is not assessed against society's obligation, or an answer is pending." },
    { "best_interest_missing", 0, NULL, "Barnets bästa är inte prövat för ett barn som berörs.",
      "The best interests of a child concerned are not assessed." },
    { "need_not_open", 0, NULL, "Ett behov är inte öppet.", "A need is not open." },
    { "need_repeated", 422, "/lines", "Ett behov anges två gånger.", "A need is named twice." },
    { "mandate_ended", 0, NULL, "Uppdraget är redan avslutat.", "The mandate has ended already." },
    { "mandate_not_in_force", 0, NULL, "Ombudets uppdrag gäller inte den dagen.",
      "The representative's mandate is not in force on that day." },
    { "mandate_period_invalid", 422, "/until_on", "Uppdraget slutar innan det börjar.",
      "The mandate ends before it begins." },
    { "already_revoked", 0, NULL, "Intyget är redan återkallat.", "The certification is revoked already." },
    { "evidence_required", 0, NULL, "Ange handling eller ombudets bekräftelse.",
      "State a document or the ombud's confirmation." },
    { "certification_needs_ombud", 0, NULL, "Ett intyg lämnas av ett ombud, inte här.",
      "A certification is given by an ombud, not here." },
    { "certification_period_invalid", 422, "/expires_on", "Intyget går ut innan det är utfärdat.",
      "The certification expires before it is given." },
    { "answered_before_asked", 422, "/answered_on", "Svaret är daterat före frågan.",
      "The answer is dated before the question." },
    { "pending_has_no_answer", 422, "/answered_on", "Ett svar som väntas har ingen dag.",
      "An answer that is pending has no day." },
    { "requested_ore_not_positive", 422, "/requested_ore", "Beloppet måste vara större än noll.",
      "The amount must be above zero." },
    { "application_external_id_taken", 409, "/external_id", "Beteckningen används redan för en annan ansökan.",
      "The reference is used for another application already." },
    { 0 },
};
