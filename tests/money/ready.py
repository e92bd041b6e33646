"""Many cases at once that wait for a decision: persons through the interface, so that what is sealed is, the rest past it."""

import uuid

import psycopg

from casework import done, keyed, principal

KINDS = 26  # of needs, none of which is granted twice to the same person

CASES = """
    CREATE TEMP TABLE ready AS SELECT p.id AS person_id, p.agency_id, gen_random_uuid() AS id, gen_random_uuid() AS need_id,
        gen_random_uuid() AS certification_id, gen_random_uuid() AS proposal_id, c.code AS category_code
    FROM persons p CROSS JOIN need_categories c WHERE p.id = ANY (%(persons)s::uuid[]) AND c.position <= %(kinds)s;
    INSERT INTO applications (id, person_id, agency_id, state, submitted_on, assigned_to, protected)
        SELECT id, person_id, agency_id, 'ready_for_decision', current_date - 7, %(worker)s, false FROM ready;
    INSERT INTO needs (id, application_id, person_id, category_code, status, proposed_by, concerns_child, requested_ore)
        SELECT need_id, id, person_id, category_code, 'proposed', %(worker)s, false, 50000 FROM ready;
    INSERT INTO proposals (id, application_id, proposed_by) SELECT proposal_id, id, %(worker)s FROM ready;
    INSERT INTO proposal_lines (proposal_id, need_id, application_id, outcome, amount_ore)
        SELECT proposal_id, need_id, id, 'granted', 50000 FROM ready;
    INSERT INTO certifications (id, application_id, evidence, certified_on, expires_on, recorded_by)
        SELECT certification_id, id, 'own_knowledge', current_date - 7, current_date + 80, %(worker)s FROM ready;
    INSERT INTO certification_needs SELECT certification_id, need_id, id, 1 FROM ready;
    INSERT INTO obligation_assessments (id, application_id, need_id, body_code, outcome, content_version, assessed_by)
        SELECT gen_random_uuid(), id, need_id, 'municipal_social_services', 'not_obliged', 1, %(worker)s FROM ready;
    INSERT INTO eligibility_assessments (id, person_id, outcome, exploited_in_sweden, assessed_by)
        SELECT gen_random_uuid(), person_id, 'direct', true, %(worker)s FROM (SELECT DISTINCT person_id FROM ready) p
"""


def ready_cases(service, count):
    """So many applications, each of one need of an adult: (application, need)."""
    partner, worker = service.as_("partner", "handl-1"), principal(service.as_("case_worker"))
    body = {"birth_date": "1990-03-01", "protection": "none"}
    persons = [done(partner.post("/applicants", json=body | {"alias": f"Person {at}"}, headers=keyed()), 201)["id"]
               for at in range(-(-count // KINDS))]
    with service.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        # Values are put in before a statement is sent: CREATE TABLE AS takes none.
        for statement in CASES.split(";"):
            with psycopg.ClientCursor(connection) as cursor:
                cursor.execute(statement, {"persons": persons, "kinds": KINDS, "worker": uuid.UUID(worker)})
        return connection.execute("SELECT id::text, need_id::text FROM ready ORDER BY random() LIMIT %s", [count]).fetchall()
