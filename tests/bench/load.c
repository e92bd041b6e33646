/* Fills a migrated database that holds the demo's agencies and users with applicants, sealed for real: persons, numbers,
   keys, blind tokens, access lists, and applications with needs for three in ten.

     load DATABASE APPLICANTS READY KNOWN

   DATABASE: as the superuser. READY: applications besides that are ready for decision, over different persons and kinds of
   need, and as many payments, each in a file of its own that the bank has. One gift pays for all; 64 projects have one each. KNOWN: a file that gets, for up to 20 000 unprotected applicants of the demo's first agency, a line of id and
   identity number. UTVAG_KEYS: the key ring. Rows go as COPY, a connection a table, past triggers; indexes are made last. */
#include <libpq-fe.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "utvag/blind.h"
#include "utvag/digest.h"
#include "utvag/keyring.h"
#include "utvag/seal.h"
#include "utvag/uuid.h"

enum { ROW_ROOM = 8192, TEXT_ROOM = 2048, KNOWN_MOST = 20000, AGENCIES = 17, DAY = 86400, SPREAD_DAYS = 1095 };

enum table { PERSONS, IDENTIFIERS, KEYS, TOKENS, LISTS, APPLICATIONS, NEEDS, TABLES };

static const char *const copies[TABLES] = {
    [PERSONS] = "persons (id, kind, agency_id, external_id, protection, protection_effective, birth_date_basis, sealed,"
                " sealed_place, created_at, updated_at)",
    [IDENTIFIERS] = "identifiers (id, person_id, kind, sealed, created_at)",
    [KEYS] = "vault.data_keys (record_id, person_id, wrapped)",
    [TOKENS] = "vault.blind_tokens (index, token, record_id, person_id)",
    [LISTS] = "access_list (person_id, officer, reason_code)",
    [APPLICATIONS] = "applications (id, person_id, agency_id, external_id, state, submitted_on, assigned_to,"
                     " resume_state, dismissal_reason_code, protected, created_at, updated_at, sealed)",
    [NEEDS] = "needs (id, application_id, person_id, category_code, status, requested_ore, concerns_child, sealed,"
              " created_at, updated_at)",
};

static struct {
    const char *database;
    struct keyring *ring;
    PGconn *pg[TABLES];
    char workers[2][UUID_SIZE], triage[2][UUID_SIZE];
    time_t today;
    FILE *known;
    long known_count;
} load;

static void fail(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(1);
}

static PGresult *query(PGconn *pg, const char *sql, ExecStatusType wanted)
{
    PGresult *result = PQexec(pg, sql);
    if (PQresultStatus(result) != wanted) fail(PQerrorMessage(pg));
    return result;
}

static void command(PGconn *pg, const char *sql) { PQclear(query(pg, sql, PGRES_COMMAND_OK)); }

static PGconn *connect_as_replica(void)
{
    PGconn *pg = PQconnectdb(load.database);
    if (PQstatus(pg) != CONNECTION_OK) fail(PQerrorMessage(pg));
    command(pg, "SET session_replication_role = replica");
    command(pg, "SET client_min_messages = warning");
    command(pg, "SET maintenance_work_mem = '512MB'");
    return pg;
}

/* Rows ---------------------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void put(enum table table, const char *format, ...)
{
    char row[ROW_ROOM];
    va_list values;
    va_start(values, format);
    int length = vsnprintf(row, sizeof row, format, values);
    va_end(values);
    if (length < 0 || (size_t)length >= sizeof row) fail("a row is too long");
    if (PQputCopyData(load.pg[table], row, length) != 1) fail(PQerrorMessage(load.pg[table]));
}

/* What SQL makes of md5(kind || number)::uuid, so that statements can name a record by its number. */
static void name_record(const char *kind, long number, char out[UUID_SIZE])
{
    unsigned char digest[16];
    char text[64], hex[33];
    int length = snprintf(text, sizeof text, "%s%ld", kind, number);
    EVP_Digest(text, (size_t)length, digest, NULL, EVP_md5(), NULL);
    digest_hex(digest, sizeof digest, hex);
    snprintf(out, UUID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

/* Even bits from a number (splitmix64), so that a record is the same in each run. */
static uint64_t mix(long number, uint64_t use)
{
    uint64_t x = ((uint64_t)number + 1) * 0x9e3779b97f4a7c15u + use * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static void write_time(time_t at, char out[32])
{
    struct tm day;
    gmtime_r(&at, &day);
    strftime(out, 32, "%Y-%m-%d %H:%M:%S+00", &day);
}

struct sealing {
    const char *table, *record, *person;
    unsigned char key[KEY_BYTES];
};

/* A data key for the record, into the vault. */
static void sealing_begin(struct sealing *sealing, const char *table, const char *record, const char *person)
{
    unsigned char wrapped[SEAL_WRAPPED];
    char hex[2 * SEAL_WRAPPED + 1];
    *sealing = (struct sealing){ .table = table, .record = record, .person = person };
    if (!seal_make_key(load.ring, record, sealing->key, wrapped)) fail("sealing");
    digest_hex(wrapped, sizeof wrapped, hex);
    put(KEYS, "%s\t%s\t\\\\x%s\n", record, person, hex);
}

static const char *seal(const struct sealing *sealing, const char *column, const char *text, char hex[TEXT_ROOM])
{
    unsigned char sealed[TEXT_ROOM / 2];
    size_t length = strlen(text);
    struct seal_place place = { sealing->table, column, sealing->record };
    if (length + SEAL_OVERHEAD > sizeof sealed / 2 || !seal_close(sealing->key, &place, text, length, sealed))
        fail("sealing");
    memcpy(hex, "\\\\x", 3);
    digest_hex(sealed, length + SEAL_OVERHEAD, hex + 3);
    return hex;
}

static void put_token(const char *index, const char *value, const char *record, const char *person)
{
    unsigned char token[BLIND_BYTES];
    char hex[2 * BLIND_BYTES + 1];
    if (!blind_token(load.ring, index, value, token)) fail("a blind token");
    digest_hex(token, sizeof token, hex);
    put(TOKENS, "%s\t\\\\x%s\t%s\t%s\n", index, hex, record, person);
}

/* Persons ------------------------------------------------------------------------------------------------------------- */

struct person {
    long number;
    char id[UUID_SIZE], agency[UUID_SIZE], created[32], updated[32], born[11], identity[13], phone[16];
    bool protected;
};

/* One in ten each for the demo's first two agencies, two for the charity itself, the rest for others. */
static void choose_agency(struct person *person)
{
    long tenth = person->number % 10;
    if (tenth < 2)
        snprintf(person->agency, UUID_SIZE, "d0000000-0000-4000-8000-00000000000%c", tenth ? '2' : '1');
    else if (tenth < 4)
        strcpy(person->agency, "\\N");
    else
        name_record("agency ", person->number / 10 % AGENCIES, person->agency);
}

/* A number of the right form, each another's: 50 years of birth days, and 999 on each. */
static void choose_identity(struct person *person)
{
    time_t born = (time_t)(person->number % 18000) * DAY - (time_t)3650 * DAY;
    struct tm day;
    int sum = 0;
    gmtime_r(&born, &day);
    strftime(person->born, sizeof person->born, "%Y-%m-%d", &day);
    strftime(person->identity, sizeof person->identity, "%Y%m%d", &day);
    snprintf(person->identity + 8, 5, "%03ld", person->number / 18000 % 999 + 1);
    for (int i = 2; i < 11; i++) {
        int product = (person->identity[i] - '0') * (i % 2 ? 1 : 2);
        sum += product / 10 + product % 10;
    }
    person->identity[11] = (char)('0' + (10 - sum % 10) % 10);
    person->identity[12] = '\0';
    /* No country has this code. */
    snprintf(person->phone, sizeof person->phone, "+999%08ld", person->number);
}

static void person_make(long number, struct person *person)
{
    *person = (struct person){ .number = number, .protected = number / 10 % 10 == 9 };
    name_record("", number, person->id);
    choose_agency(person);
    choose_identity(person);
    time_t created = load.today - (time_t)(mix(number, 1) % (SPREAD_DAYS * (uint64_t)DAY));
    write_time(created, person->created);
    write_time(created + (time_t)(mix(number, 2) % (uint64_t)(load.today - created + 1)), person->updated);
}

static const char *reference(const struct person *person, char out[24])
{
    if (person->agency[0] == '\\') return "\\N";
    snprintf(out, 24, "ref-%ld", person->number);
    return out;
}

static void put_person(const struct person *person)
{
    char text[TEXT_ROOM], sealed[TEXT_ROOM], place[TEXT_ROOM], external[24];
    struct sealing sealing;
    sealing_begin(&sealing, "persons", person->id, person->id);
    snprintf(text, sizeof text,
             "{\"given_name\":\"Testa%ld\",\"family_name\":\"Testsson\",\"alias\":\"Lisa\",\"birth_date\":\"%s\","
             "\"phone\":\"%s\",\"language_code\":\"sq\",\"interpreter_needed\":true,"
             "\"safe_contact\":{\"channel\":\"text\",\"times\":\"vardagar 9-11\"},\"trafficking_status\":\"actual\","
             "\"exploitation_types\":[\"forced_labour\"],\"notes\":\"Bor tillfälligt hos en bekant.\"}",
             person->number, person->born, person->phone);
    seal(&sealing, "sealed", text, sealed);
    const char *lives =
        person->protected || mix(person->number, 3) % 2
            ? "\\N"
            : seal(&sealing, "sealed_place",
                   "{\"street_address\":\"Provgatan 1\",\"postal_code\":\"123 45\",\"city\":\"Almby\"}", place);
    const char *protection = person->protected ? "sekretessmarkering" : "none";
    put(PERSONS, "%s\tapplicant\t%s\t%s\t%s\t%s\tstated\t%s\t%s\t%s\t%s\n", person->id, person->agency,
        reference(person, external), protection, protection, sealed, lives, person->created, person->updated);
    put_token("phone", person->phone, person->id, person->id);
}

static void put_identifier(const struct person *person)
{
    char id[UUID_SIZE], text[64], sealed[TEXT_ROOM];
    struct sealing sealing;
    name_record("identifier ", person->number, id);
    sealing_begin(&sealing, "identifiers", id, person->id);
    snprintf(text, sizeof text, "{\"number\":\"%s\"}", person->identity);
    put(IDENTIFIERS, "%s\t%s\tpersonnummer\t%s\t%s\n", id, person->id, seal(&sealing, "sealed", text, sealed),
        person->created);
    put_token("identity_number", person->identity, id, person->id);
    if (person->number % 10 || person->protected || load.known_count++ >= KNOWN_MOST) return;
    fprintf(load.known, "%s\t%s\n", person->id, person->identity);
}

static void put_access_list(const struct person *person)
{
    if (person->agency[0] == '\\')
        put(LISTS, "%s\tuser:%s\tregistration\n", person->id, load.workers[person->number / 10 % 2]);
    else
        put(LISTS, "%s\tagency:%s:handl-%ld\tregistration\n", person->id, person->agency, person->number % 7);
    for (int i = 0; i < 2; i++) put(LISTS, "%s\tuser:%s\ttriage\n", person->id, load.triage[i]);
}

static void put_need(const struct person *person, const char *application, long number, const char *status)
{
    static const char *const categories[] = { "food", "glasses", "dental_care", "travel", "clothes", "legal_aid" };
    char id[UUID_SIZE], sealed[TEXT_ROOM];
    struct sealing sealing;
    name_record("need ", number, id);
    sealing_begin(&sealing, "needs", id, person->id);
    put(NEEDS, "%s\t%s\t%s\t%s\t%s\t%d\tfalse\t%s\t%s\t%s\n", id, application, person->id, categories[number % 6],
        status, 50000, seal(&sealing, "sealed", "{\"description\":\"Behövs snart.\"}", sealed), person->created,
        person->updated);
}

static void put_application(const struct person *person)
{
    static const struct {
        const char *state, *need;
        bool submitted, assigned;
    } kinds[] = {
        { "draft", "open", false, false },      { "submitted", "open", true, false },
        { "submitted", "open", true, false },   { "under_review", "open", true, true },
        { "under_review", "open", true, true }, { "decided", "granted", true, true },
        { "decided", "granted", true, true },   { "closed", "granted", true, true },
        { "withdrawn", "lapsed", true, false }, { "closed", "refused", true, true },
    };
    uint64_t kind = mix(person->number, 4) % 10;
    char id[UUID_SIZE], external[24], sealed[TEXT_ROOM];
    struct sealing sealing;
    name_record("application ", person->number, id);
    sealing_begin(&sealing, "applications", id, person->id);
    seal(&sealing, "sealed", "{\"summary\":\"Behöver stöd till det mest nödvändiga medan kommunen utreder.\"}", sealed);
    put(APPLICATIONS, "%s\t%s\t%s\t%s\t%s\t%.10s\t%s\t\\N\t\\N\t%s\t%s\t%s\t%s\n", id, person->id, person->agency,
        reference(person, external), kinds[kind].state, kinds[kind].submitted ? person->created : "\\N",
        kinds[kind].assigned ? load.workers[person->number / 10 % 2] : "\\N", person->protected ? "true" : "false",
        person->created, person->updated, sealed);
    for (long i = 0; i <= person->number % 2; i++) put_need(person, id, 2 * person->number + i, kinds[kind].need);
}

static void put_all(long applicants)
{
    struct person person;
    for (long i = 0; i < applicants; i++) {
        person_make(i, &person);
        put_person(&person);
        if (mix(i, 5) % 5) put_identifier(&person);
        if (person.protected) put_access_list(&person);
        if (mix(i, 6) % 10 < 3) put_application(&person);
        if (i && i % 100000 == 0) fprintf(stderr, "load: %ld applicants\n", i);
    }
}

/* The database -------------------------------------------------------------------------------------------------------- */

/* Indexes that hold up no constraint, as commands that make them again. */
static PGresult *indexes_drop(PGconn *pg)
{
    PGresult *made =
        query(pg,
              "SELECT pg_get_indexdef(i.indexrelid), format('DROP INDEX %s', i.indexrelid::regclass) FROM pg_index i"
              " WHERE i.indrelid IN ('persons'::regclass, 'identifiers'::regclass, 'vault.data_keys'::regclass,"
              "  'vault.blind_tokens'::regclass, 'access_list'::regclass, 'applications'::regclass, 'needs'::regclass)"
              " AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)",
              PGRES_TUPLES_OK);
    for (int i = 0; i < PQntuples(made); i++) command(pg, PQgetvalue(made, i, 1));
    return made;
}

static void indexes_make(PGconn *pg, PGresult *made)
{
    for (int i = 0; i < PQntuples(made); i++) command(pg, PQgetvalue(made, i, 0));
    PQclear(made);
}

static void users_find(PGconn *pg, const char *role, char out[2][UUID_SIZE])
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "SELECT id FROM principals WHERE '%s' = ANY (roles) AND kind = 'user' ORDER BY id LIMIT 2", role);
    PGresult *found = query(pg, sql, PGRES_TUPLES_OK);
    if (PQntuples(found) != 2) fail("the demo's users are not there");
    for (int i = 0; i < 2; i++) strcpy(out[i], PQgetvalue(found, i, 0));
    PQclear(found);
}

static void copies_begin(void)
{
    char sql[512];
    for (int i = 0; i < TABLES; i++) {
        load.pg[i] = connect_as_replica();
        snprintf(sql, sizeof sql, "COPY %s FROM STDIN", copies[i]);
        PQclear(query(load.pg[i], sql, PGRES_COPY_IN));
    }
}

static void copies_end(void)
{
    for (int i = 0; i < TABLES; i++) {
        if (PQputCopyEnd(load.pg[i], NULL) != 1) fail(PQerrorMessage(load.pg[i]));
        PGresult *result = PQgetResult(load.pg[i]);
        if (PQresultStatus(result) != PGRES_COMMAND_OK) fail(PQerrorMessage(load.pg[i]));
        PQclear(result);
        PQfinish(load.pg[i]);
    }
}

/* Number r is the r-th of persons × kinds of need, none of which comes twice for a person; neighbours are of different
   kinds, which take turns in deciding.
   id: md5('ready ' || r), need: md5('ready need ' || r). */
static const char ready_sql[] =
    "CREATE TEMP TABLE ready AS WITH who AS MATERIALIZED ("
    "  SELECT id, agency_id, row_number() OVER (ORDER BY id) - 1 AS at FROM"
    "   (SELECT id, agency_id FROM persons WHERE NOT protected AND kind = 'applicant' LIMIT %ld) q),"
    " places AS MATERIALIZED (SELECT r, r %% w.count AS at, r / w.count AS round"
    "  FROM generate_series(0, %ld - 1) r, (SELECT count(*) FROM who) w)"
    " SELECT r, p.id AS person_id, p.agency_id, md5('ready ' || r)::uuid AS id, md5('ready need ' || r)::uuid AS need_id,"
    "  md5('ready certification ' || r)::uuid AS certification_id, c.code AS category_code,"
    "  d.code AS paid_code FROM places JOIN who p USING (at) JOIN need_categories c ON c.position = 1 + (at + round) %% 26"
    "  JOIN need_categories d ON d.position = 1 + (at + round + 13) %% 26;"
    "INSERT INTO applications (id, person_id, agency_id, state, submitted_on, assigned_to, protected)"
    "  SELECT id, person_id, agency_id, 'ready_for_decision', current_date - 7, '%s', false FROM ready;"
    "INSERT INTO needs (id, application_id, person_id, category_code, status, proposed_by, concerns_child, requested_ore)"
    "  SELECT need_id, id, person_id, category_code, 'proposed', '%s', false, 50000 FROM ready;"
    "INSERT INTO proposals (id, application_id, proposed_by)"
    "  SELECT md5('ready proposal ' || r)::uuid, id, '%s' FROM ready;"
    "INSERT INTO proposal_lines (proposal_id, need_id, application_id, outcome, amount_ore)"
    "  SELECT md5('ready proposal ' || r)::uuid, need_id, id, 'granted', 50000 FROM ready;"
    "INSERT INTO certifications (id, application_id, evidence, certified_on, expires_on, recorded_by)"
    "  SELECT certification_id, id, 'own_knowledge', current_date - 7, current_date + 80, '%s' FROM ready;"
    "INSERT INTO certification_needs SELECT certification_id, need_id, id, 1 FROM ready;"
    "INSERT INTO obligation_assessments (id, application_id, need_id, body_code, outcome, content_version, assessed_by)"
    "  SELECT gen_random_uuid(), id, need_id, 'municipal_social_services', 'not_obliged', 1, '%s' FROM ready;"
    "INSERT INTO eligibility_assessments (id, person_id, outcome, exploited_in_sweden, assessed_by)"
    "  SELECT gen_random_uuid(), person_id, 'direct', true, '%s' FROM (SELECT DISTINCT person_id FROM ready) p";

static void ready_make(PGconn *pg, long ready, long applicants)
{
    long persons = ready < applicants ? ready : applicants;
    char sql[sizeof ready_sql + 256];
    const char *worker = load.workers[0];
    snprintf(sql, sizeof sql, ready_sql, persons, ready, worker, worker, worker, worker, worker, worker);
    command(pg, sql);
}

/* account: md5('project account ' || i). */
static const char projects_sql[] =
    "BEGIN; INSERT INTO projects (id, name_sv, name_en, funder, starts_on, ends_on, pay_until_on, target_groups)"
    "  SELECT md5('project ' || i)::uuid, 'Prov', 'Trial', 'Stiftelsen Prov', '2020-01-01', '2099-12-31', '2099-12-31', '{adults}'"
    "  FROM generate_series(0, 63) i;"
    "INSERT INTO accounts (id, kind, project_id, number, name_sv, name_en)"
    "  SELECT md5('project account ' || i)::uuid, 'project', md5('project ' || i)::uuid, '2070', 'Prov', 'Trial'"
    "  FROM generate_series(0, 63) i;"
    "SELECT set_config('utvag.principal', '%s', true), register_donation(jsonb_build_object('id', md5('project gift ' || i)::uuid,"
    "  'kind', 'grant', 'account_id', md5('project account ' || i)::uuid, 'amount_ore', 1000000000000, 'channel_code', 'transfer',"
    "  'channel_reference', 'bench ' || i, 'received_on', current_date, 'anonymous', true)) FROM generate_series(0, 63) i; COMMIT";

/* One gift to the general fund, booked as any is, and of it what each payment is for, promised by one reservation. Then, past
   triggers, a line of another kind, a payment and a file for each number.
   file: md5('paid file ' || r), disbursement: md5('paid disbursement ' || r). */
static const char gift_sql[] =
    "BEGIN; SELECT set_config('utvag.principal', '%s', true), register_donation(jsonb_build_object('id', md5('gift')::uuid,"
    "  'kind', 'gift', 'account_id', account_of('general_fund'), 'amount_ore', 1000000000000, 'channel_code', 'transfer',"
    "  'channel_reference', 'bench', 'received_on', current_date, 'anonymous', true));"
    "SELECT book('reservation', md5('gift')::uuid, ARRAY[(account_of('general_fund'), 'free', 50000 * %ld::bigint),"
    "  (account_of('general_fund'), 'reserved', -50000 * %ld::bigint)]::ledger_entry[]); COMMIT";

static const char paid_sql[] =
    "CREATE TEMP TABLE paid AS SELECT r, md5('paid disbursement ' || r)::uuid AS id, md5('paid file ' || r)::uuid AS file_id,"
    "  md5('paid line ' || r)::uuid AS line_id, md5('paid decision ' || r)::uuid AS decision_id,"
    "  md5('paid application ' || r)::uuid AS application_id, md5('paid need ' || r)::uuid AS need_id, person_id, agency_id,"
    "  paid_code AS category_code, '%s'::uuid AS worker, '%s'::uuid AS decider FROM ready;"
    "INSERT INTO applications (id, person_id, agency_id, state, submitted_on, assigned_to, protected)"
    "  SELECT application_id, person_id, agency_id, 'decided', current_date - 7, worker, false FROM paid;"
    "INSERT INTO needs (id, application_id, person_id, category_code, status, concerns_child, requested_ore)"
    "  SELECT need_id, application_id, person_id, category_code, 'granted', false, 50000 FROM paid;"
    "INSERT INTO decisions (id, application_id, agency_id, kind, decided_by)"
    "  SELECT decision_id, application_id, agency_id, 'decision', decider FROM paid;"
    "INSERT INTO decision_lines (id, decision_id, application_id, need_id, person_id, category_code, position, outcome, amount_ore)"
    "  SELECT line_id, decision_id, application_id, need_id, person_id, category_code, 1, 'granted', 50000 FROM paid;"
    "INSERT INTO line_sources (line_id, account_id, reserved_ore) SELECT line_id, account_of('general_fund'), 50000 FROM paid;"
    "INSERT INTO donation_uses (donation_id, line_id, account_id, amount_ore)"
    "  SELECT md5('gift')::uuid, line_id, account_of('general_fund'), 50000 FROM paid;"
    "UPDATE donations SET remaining_ore = remaining_ore - 50000 * (SELECT count(*) FROM paid) WHERE id = md5('gift')::uuid;"
    "INSERT INTO payment_files (id, pay_on, protected, payments, total_ore, made_by)"
    "  SELECT file_id, current_date, false, 1, 50000, worker FROM paid;"
    "INSERT INTO disbursements (id, application_id, amount_ore, status, due_on, approvals_needed, file_id)"
    "  SELECT id, application_id, 50000, 'sent', current_date, 1, file_id FROM paid;"
    "INSERT INTO disbursement_cases (disbursement_id, application_id, line_id, protected, ordered_by, method, payee_kind, sealed)"
    "  SELECT id, application_id, line_id, false, worker, 'bankgiro', 'vendor', '\\x00' FROM paid;"
    "INSERT INTO disbursement_sources (disbursement_id, account_id, amount_ore)"
    "  SELECT id, account_of('general_fund'), 50000 FROM paid;"
    "INSERT INTO payment_file_rows (file_id, disbursement_id, position) SELECT file_id, id, 1 FROM paid";

static void money_make(PGconn *pg, long ready)
{
    char sql[sizeof paid_sql + 256], giver[2][UUID_SIZE];
    PGconn *booking = PQconnectdb(load.database);
    if (PQstatus(booking) != CONNECTION_OK) fail(PQerrorMessage(booking));
    users_find(pg, "decision_maker", giver);
    snprintf(sql, sizeof sql, gift_sql, giver[0], ready, ready);
    command(booking, sql);
    snprintf(sql, sizeof sql, projects_sql, giver[0]);
    command(booking, sql);
    PQfinish(booking);
    snprintf(sql, sizeof sql, paid_sql, load.workers[0], giver[0]);
    command(pg, sql);
}

static void agencies_make(PGconn *pg)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "INSERT INTO agencies (id, name, kind) SELECT md5('agency ' || i)::uuid, 'Föreningen Prov ' || i,"
             " 'ngo' FROM generate_series(0, %d) i",
             AGENCIES - 1);
    command(pg, sql);
}

int main(int count, char **arguments)
{
    char error[256];
    const char *keys = getenv("UTVAG_KEYS");
    if (count != 5 || !keys) fail("usage: UTVAG_KEYS=… load DATABASE APPLICANTS READY KNOWN");
    long applicants = atol(arguments[2]), ready = atol(arguments[3]);
    load.database = arguments[1];
    load.today = time(NULL);
    load.ring = keyring_open(keys, error, sizeof error);
    if (!load.ring) fail(error);
    load.known = fopen(arguments[4], "we");
    if (!load.known) fail("cannot write the file of known applicants");
    PGconn *pg = connect_as_replica();
    users_find(pg, "case_worker", load.workers);
    users_find(pg, "triage", load.triage);
    agencies_make(pg);
    PGresult *indexes = indexes_drop(pg);
    copies_begin();
    put_all(applicants);
    copies_end();
    fputs("load: copied, making indexes\n", stderr);
    ready_make(pg, ready, applicants);
    money_make(pg, ready);
    indexes_make(pg, indexes);
    command(pg, "VACUUM ANALYZE");
    PQfinish(pg);
    fclose(load.known);
    keyring_free(load.ring);
    return 0;
}
