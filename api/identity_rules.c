/* What the rules of identity say. */
#include "api/resources.h"

const struct text identity_rules[] = {
    /* gates */
    { "request_pending", 0, NULL, "Något som en annan person har begärt väntar redan. Godkänn eller avslå det först.",
      "Something that another person asked for is pending already. Approve or reject it first." },
    { "nothing_pending", 0, NULL, "Ingenting väntar på godkännande.", "Nothing waits for approval." },
    { "invalid_status", 0, NULL, "Går inte i status {}.", "Not possible in the status {}." },
    /* constraints */
    { "email_taken", 409, "/email", "Adressen hör redan till en användare.", "The address belongs to a user already." },
    { "organisation_number_taken", 409, "/organisation_number", "Organisationsnumret hör redan till en organisation.",
      "The organisation number belongs to an agency already." },
    { "agency_municipality_unknown", 422, "/municipality_code", "Kommunkoden finns inte.",
      "There is no such municipality code." },
    { "municipality_has_code", 422, "/municipality_code", "En kommun har en kommunkod.",
      "A municipality has a municipality code." },
    { "agency_kind_unknown", 422, "/kind", "Slaget finns inte.", "There is no such kind." },
    { "partner_has_agency", 422, "/agency_id", "Rollen partner hör till en organisation: ange vilken.",
      "The role partner belongs to an agency: state which." },
    { "agency_holds_partner_only", 422, "/roles", "Den som hör till en partner kan bara ha rollen partner.",
      "Whoever belongs to a partner agency can hold the role partner only." },
    { "machine_never_decides", 422, "/roles", "En maskin beslutar, godkänner och fördelar aldrig.",
      "A machine never decides, approves or distributes." },
    { "intake_is_a_machine", 422, "/roles", "Rollen intake är en maskins.", "The role intake is a machine's." },
    /* signing in */
    { "login_failed", 0, NULL, "Adressen eller lösenordet är fel, eller så får kontot vänta efter många försök.",
      "The address or the password is wrong, or the account must wait after many tries." },
    { "invitation_invalid", 0, NULL, "Inbjudan finns inte, är redan använd eller har gått ut.",
      "The invitation does not exist, has been used, or has expired." },
    { "not_for_clients", 0, NULL, "En maskinklient väljer inget lösenord: den får sin hemlighet i svaret.",
      "A machine client chooses no password: it is given its secret in the answer." },
    { "unsupported_grant_type", 0, NULL, "Bara client_credentials stöds här.",
      "Only client_credentials is supported here." },
    { "client_secrets_off", 0, NULL, "Hemligheter tas inte emot i kroppen här.",
      "Secrets in the body are not accepted here." },
    { "invalid_client", 0, NULL, "Klienten eller dess hemlighet är fel.", "The client or its secret is wrong." },
    { "invalid_scope", 0, NULL, "Klienten har inte alla de roller som efterfrågas.",
      "The client does not hold all the roles that are asked for." },
    { 0 },
};
