#include "utvag/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What the platform itself says. Rules of the domain have their texts in api/rules.c. */
static const struct text platform[] = {
    /* the request's head */
    { "method_invalid", 0, NULL, "Metoden är inte giltig HTTP.", "The method is not valid HTTP." },
    { "header_invalid", 0, NULL, "Ett huvudfält har tecken som HTTP inte tillåter.",
      "A header has characters that HTTP does not allow." },
    { "header_repeated", 0, NULL, "Ett huvudfält som bara får finnas en gång finns flera gånger.",
      "A header that may occur once occurs several times." },
    { "framing_ambiguous", 0, NULL, "Anropets längd går att läsa på mer än ett sätt.",
      "The length of the request can be read in more than one way." },
    { "host_invalid", 0, NULL, "Huvudfältet Host saknas eller är ogiltigt.",
      "The header Host is missing or not valid." },
    { "target_invalid", 0, NULL,
      "Adressen är inte giltig. Sökvägar består av a–z, 0–9, -, ., _ och ~; frågedelen av giltig UTF-8.",
      "The address is not valid. Paths consist of a-z, 0-9, -, ., _ and ~; queries of valid UTF-8." },
    { "target_too_long", 0, NULL, "Adressen är längre än 2048 tecken.", "The address is longer than 2048 characters." },
    { "not_found", 0, NULL, "Det som söks finns inte, eller är inte till för dig.",
      "What you ask for does not exist, or is not for you." },
    { "method_not_allowed", 0, NULL, "Adressen finns, men inte för denna metod. Se Allow.",
      "The address exists, but not for this method. See Allow." },
    /* parameters */
    { "parameter_unknown", 0, NULL, "En frågeparameter finns inte i kontraktet.",
      "A query parameter is not in the contract." },
    { "parameter_repeated", 0, NULL, "Parametern får anges en gång.", "The parameter may be given once." },
    { "parameters_invalid", 0, NULL, "En eller flera parametrar är fel. Se errors.",
      "One or more parameters are wrong. See errors." },
    { "if_match_required", 0, NULL, "Ange i If-Match den ETag som du senast läste.",
      "State in If-Match the ETag that you last read." },
    { "if_match_invalid", 0, NULL, "If-Match ska vara en enda ETag från den här tjänsten.",
      "If-Match must be one single ETag of this service." },
    { "not_acceptable", 0, NULL, "Svaret finns inte i något av de format som Accept anger.",
      "The answer does not exist in any of the formats that Accept names." },
    /* the caller */
    { "token_missing", 0, NULL, "Anropet behöver en åtkomsttoken i Authorization: Bearer.",
      "The request needs an access token in Authorization: Bearer." },
    { "token_invalid", 0, NULL, "Åtkomsttoken är inte giltig. Hämta en ny.",
      "The access token is not valid. Fetch a new one." },
    { "token_expired", 0, NULL, "Åtkomsttoken har gått ut. Hämta en ny.",
      "The access token has expired. Fetch a new one." },
    { "token_revoked", 0, NULL, "Åtkomsttoken gäller inte längre. Logga in på nytt.",
      "The access token no longer holds. Log in again." },
    { "role_missing", 0, NULL, "Din roll får inte göra detta.", "Your role may not do this." },
    { "acting_officer_required", 0, NULL, "Ange i X-Acting-Officer vilken handläggare som ni gör detta för.",
      "State in X-Acting-Officer the officer for whom you do this." },
    { "acting_officer_invalid", 0, NULL,
      "X-Acting-Officer ska vara er egen beteckning på handläggaren: högst 100 tecken, inget identitetsnummer, och den "
      "som token anger om den anger någon.",
      "X-Acting-Officer must be your own reference for the officer: at most 100 characters, no identity number, and the "
      "one in the token if it has one." },
    { "client_certificate_required", 0, NULL, "Anslutningen behöver ett klientcertifikat som vi har godkänt.",
      "The connection needs a client certificate that we have approved." },
    /* the body */
    { "body_required", 0, NULL, "Anropet behöver en kropp.", "The request needs a body." },
    { "body_unexpected", 0, NULL, "Anropet tar ingen kropp.", "The request takes no body." },
    { "body_too_large", 0, NULL, "Kroppen är för stor.", "The body is too large." },
    { "body_invalid", 0, NULL, "Kroppen följer inte kontraktet. Se errors.",
      "The body does not follow the contract. See errors." },
    { "json_invalid", 0, NULL, "Kroppen är inte giltig JSON (UTF-8, varje medlem en gång, inget U+0000).",
      "The body is not valid JSON (UTF-8, each member once, no U+0000)." },
    { "json_too_deep", 0, NULL, "Kroppen har för många nivåer.", "The body has too many levels." },
    { "form_invalid", 0, NULL, "Kroppen är inte ett giltigt formulär (varje fält en gång, UTF-8).",
      "The body is not a valid form (each field once, UTF-8)." },
    { "media_type_unsupported", 0, NULL, "Kroppens Content-Type tas inte emot här.",
      "The Content-Type of the body is not taken here." },
    { "content_encoding_unsupported", 0, NULL, "Kroppen får inte vara komprimerad.",
      "The body may not be compressed." },
    /* faults of members and parameters */
    { "required", 0, NULL, "Måste anges.", "Must be given." },
    /* the service */
    { "overloaded", 0, NULL, "Tjänsten har för mycket att göra. Försök igen om en stund.",
      "The service has too much to do. Try again in a moment." },
    { "out_of_memory", 0, NULL, "Anropet behövde mer minne än vad som finns för ett anrop.",
      "The request needed more memory than there is for one request." },
    { "internal", 0, NULL, "Något gick fel hos oss. Ange trace_id om du hör av dig.",
      "Something went wrong with us. State trace_id if you contact us." },
    { "database_away", 0, NULL, "Databasen svarar inte just nu. Försök igen om en stund.",
      "The database does not answer just now. Try again in a moment." },
    { "too_slow", 0, NULL, "Det tog för lång tid. Försök igen, gärna med ett mindre urval.",
      "It took too long. Try again, with a smaller selection if you can." },
    { "record_busy", 0, NULL, "Någon annan ändrar samma sak just nu. Försök igen.",
      "Somebody else is changing the same thing just now. Try again." },
    { "commit_in_doubt", 0, NULL,
      "Vi vet inte om ändringen hann sparas. Skicka samma anrop igen med samma Idempotency-Key: då blir den gjord en gång.",
      "We do not know whether the change was saved. Send the same request again with the same Idempotency-Key: it is then "
      "made once." },
    { "version_stale", 0, NULL, "Någon annan har ändrat sedan du läste. Läs igen och gör om ändringen.",
      "Somebody else has changed it since you read it. Read it again and repeat your change." },
    { "idempotency_key_reused", 0, NULL, "Idempotency-Key har redan använts för ett annat anrop.",
      "The Idempotency-Key has been used for another request." },
    { "idempotency_in_flight", 0, NULL, "Ett anrop med samma Idempotency-Key pågår. Försök igen om en stund.",
      "A request with the same Idempotency-Key is under way. Try again in a moment." },
    { "cursor_invalid", 0, NULL, "Markören hör inte till den här listan. Börja om från första sidan.",
      "The cursor does not belong to this list. Begin again with the first page." },
    { "gates_failed", 0, NULL, "Ett eller flera villkor är inte uppfyllda. Se errors.",
      "One or more conditions are not met. See errors." },
    { "invalid", 0, NULL, "Värdet är inte giltigt.", "The value is not valid." },
    { NULL, 0, NULL, NULL, NULL },
};

static const struct text *tables[TEXT_TABLES] = { platform };
static int table_count = 1;

void text_add(const struct text *table)
{
    if (table_count == TEXT_TABLES) abort(); /* a programmer's error, seen at the first start */
    tables[table_count++] = table;
}

const struct text *text_find(const char *code)
{
    for (int i = 0; code && i < table_count; i++)
        for (const struct text *row = tables[i]; row->code; row++)
            if (strcmp(row->code, code) == 0) return row;
    return NULL;
}

const char *text_sentence(const char *code, enum language language)
{
    const struct text *text = text_find(code);
    if (!text) return language == SWEDISH ? "Se code." : "See code.";
    return language == SWEDISH ? text->swedish : text->english;
}

const char *text_reason(int status, enum language language)
{
    static const struct {
        int status;
        const char *swedish, *english;
    } reasons[] = {
        { 400, "Felaktigt anrop", "Bad request" },
        { 401, "Inte inloggad", "Unauthorized" },
        { 403, "Inte tillåtet", "Forbidden" },
        { 404, "Finns inte", "Not found" },
        { 405, "Fel metod", "Method not allowed" },
        { 406, "Format saknas", "Not acceptable" },
        { 408, "För långsamt", "Request timeout" },
        { 409, "Konflikt", "Conflict" },
        { 410, "Borttaget", "Gone" },
        { 412, "Ändrat av någon annan", "Precondition failed" },
        { 413, "För stort", "Content too large" },
        { 414, "För lång adress", "URI too long" },
        { 415, "Formatet stöds inte", "Unsupported media type" },
        { 422, "Innehållet är fel", "Unprocessable content" },
        { 428, "Villkor saknas", "Precondition required" },
        { 429, "För många anrop", "Too many requests" },
        { 500, "Internt fel", "Internal server error" },
        { 501, "Stöds inte", "Not implemented" },
        { 503, "Inte tillgängligt just nu", "Service unavailable" },
        { 504, "Svar dröjer", "Gateway timeout" },
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status) return language == SWEDISH ? reasons[i].swedish : reasons[i].english;
    return language == SWEDISH ? "Fel" : "Error";
}

/* The weight of a range such as sv-SE;q=0.8, in thousandths. */
static int range_weight(const char *range, size_t length)
{
    const char *parameter = memchr(range, ';', length);
    if (!parameter) return 1000;
    parameter += 1 + strspn(parameter + 1, " \t");
    if (parameter + 2 >= range + length || strncasecmp(parameter, "q=", 2) != 0) return 1000;
    double weight = strtod(parameter + 2, NULL);
    return weight > 0 && weight <= 1 ? (int)(weight * 1000 + 0.5) : 0;
}

enum language text_language(const char *accept_language)
{
    int swedish = 0, english = 0;
    for (const char *at = accept_language; at && *at;) {
        at += strspn(at, ", \t");
        size_t length = strcspn(at, ",");
        int weight = range_weight(at, length);
        bool whole = length == 2 || (length > 2 && strchr("-; \t", at[2]));
        if (whole && strncasecmp(at, "sv", 2) == 0 && weight > swedish) swedish = weight;
        if (whole && strncasecmp(at, "en", 2) == 0 && weight > english) english = weight;
        at += length;
    }
    /* What both prefer equally is told by order. */
    if (swedish != english) return swedish > english ? SWEDISH : ENGLISH;
    const char *first_sv = swedish ? strcasestr(accept_language, "sv") : NULL;
    const char *first_en = english ? strcasestr(accept_language, "en") : NULL;
    return first_sv && first_en && first_sv < first_en ? SWEDISH : ENGLISH;
}
