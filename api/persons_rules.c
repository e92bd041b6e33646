/* What the rules about persons say to people. */
#include "api/resources.h"

const struct text persons_rules[] = {
    { "reference_unknown", 0, NULL, "Det som anges här finns inte, eller är inte till för dig.",
      "What is given here does not exist, or is not for you." },
    { "protected_needs_officer", 0, NULL,
      "En maskin som inte hör till en organisation kan inte registrera någon vars uppgifter är skyddade, eller kan vara "
      "det: ingen skulle nå dem. Låt någon av personalen göra det.",
      "A machine that belongs to no agency cannot register someone who is protected, or may be: nobody could reach the "
      "record. Let one of the staff do it." },
    { "external_id_taken", 409, "/external_id", "Referensen används redan för en annan person.",
      "The reference is in use for another person." },
    { "external_id_resembles_identity_number", 422, "/external_id", "Referensen liknar ett personnummer.",
      "The reference resembles an identity number." },
    { "protected_person_has_no_place", 422, "/protection",
      "Adress och ort lagras inte för en person med skyddade eller okända personuppgifter.",
      "No address or place is stored for a person who is protected, or of whom that is not known." },
    { "identifier_exists", 409, NULL, "Personen har redan detta nummer.", "The person has this number already." },
    { "identifier_ends_after_it_begins", 422, "/valid_until", "Slutdatumet ligger före startdatumet.",
      "The end is before the beginning." },
    { "search_empty", 0, NULL, "Sökningen innehåller inget att söka på.", "The search holds nothing to look for." },
    { "relation_exists", 409, "/related_person_id", "Relationen finns redan.", "The relation is there already." },
    { "relation_to_herself", 422, "/related_person_id", "En person kan inte ha en relation till sig själv.",
      "A person cannot be related to herself." },
    { "relation_ends_after_it_begins", 422, "/until_on", "Slutdatumet ligger före startdatumet.",
      "The end is before the beginning." },
    { "exception_has_reason", 422, "/reason", "Ett undantag måste ha ett skäl.", "An exception must have a reason." },
    { "eligible_only_if_exploited_in_sweden", 422, "/exploited_in_sweden",
      "Den som inte har utnyttjats i Sverige omfattas bara genom ett undantag.",
      "Whoever was not exploited in Sweden is eligible only by an exception." },
    { "not_on_access_list", 409, NULL, "Bara den som själv står på behörighetslistan kan ge andra tillgång.",
      "Only who is on the access list herself may let another in." },
    { "officer_listed_already", 409, "/officer", "Handläggaren står redan på behörighetslistan.",
      "The officer is on the access list already." },
    { "access_list_needs_two", 409, NULL, "Minst två av personalen måste stå kvar på behörighetslistan.",
      "At least two of the staff must remain on the access list." },
    { 0 },
};
