"""Every list, in every order and with every filter, is read from an index: on large tables nothing is scanned or sorted.

The plans are those of the service's own statements, with the caller's row-level security: auto_explain writes them to
PostgreSQL's log. A new list is covered as soon as the contract has it; its table needs a line in LOADS.
"""

import itertools
import json
import pathlib

import pytest
import yaml

from casework import Case
from cluster import ROOT
from service import Service

LARGE = 10_000  # rows from which a table may not be scanned
FEW = 200  # rows that may be sorted: what one record holds
PASSED_OVER = 2_000  # rows that may be read and not shown: beyond it an index is missing
MINE = "d0000000-0000-4000-8000-000000000001"
# Who did it all: nobody who acts in these tests, whose own doings the rules would add up.
SOMEBODY = "(SELECT id FROM principals WHERE 'project_manager' = ANY (roles) LIMIT 1)"

# An agency's share is a fifth; one in fifty persons is protected. Nothing is sealed: plans do not depend on it. What the
# lists of one record hold is an eighth, still large.
LOADS = [
    f"""INSERT INTO agencies (id, name, kind) SELECT md5('agency' || n)::uuid, 'Byrå ' || n, 'ngo' FROM generate_series(1, 300) n""",
    f"""CREATE TABLE public.plan AS SELECT n, md5('person' || n)::uuid AS person, md5('application' || n)::uuid AS application,
            md5('need' || n)::uuid AS need, md5('record' || n)::uuid AS record, now() - n * interval '97 seconds' AS made,
            CASE WHEN n % 5 = 0 THEN '{MINE}' WHEN n % 5 = 1 THEN md5('agency' || (1 + n % 300))::uuid END AS agency,
            CASE WHEN n % 50 = 7 THEN 'sekretessmarkering' ELSE 'none' END AS level
        FROM generate_series(1, 100000) n""",
    """INSERT INTO persons (id, kind, agency_id, external_id, protection, protection_effective, created_at, updated_at)
        SELECT person, CASE WHEN n % 2 = 0 THEN 'applicant' ELSE 'child' END, agency, 'plan-' || n, level, level, made,
            made + interval '1 day' FROM plan""",
    "INSERT INTO vault.data_keys (record_id, person_id, wrapped) SELECT person, person, '\\x00' FROM plan",
    """INSERT INTO access_list (person_id, officer, reason_code)
        SELECT person, 'user:' || id, 'triage' FROM plan, principals
        WHERE level <> 'none' AND ('triage' = ANY (roles) OR 'case_worker' = ANY (roles))""",
    "INSERT INTO identifiers (id, person_id, kind, sealed) SELECT record, person, 'other', '\\x00' FROM plan WHERE n % 8 = 2",
    """INSERT INTO relations (id, person_id, related_person_id, agency_id, kind, created_at)
        SELECT record, person, md5('person' || (n + 5))::uuid, agency, 'parent', made FROM plan WHERE n < 99990""",
    "INSERT INTO households (id, agency_id, created_at) SELECT record, agency, made FROM plan WHERE n % 8 = 2",
    "INSERT INTO household_members (household_id, person_id, created_at) SELECT record, person, made FROM plan WHERE n % 8 = 2",
    f"""INSERT INTO eligibility_assessments (id, person_id, outcome, exploited_in_sweden, assessed_by, created_at)
        SELECT record, person, 'direct', true, {SOMEBODY}, made FROM plan WHERE n % 8 = 2""",
    f"""INSERT INTO applications (id, person_id, agency_id, external_id, state, submitted_on, assigned_to, protected, created_at,
            updated_at)
        SELECT application, person, agency, 'plan-' || n,
            (ARRAY['submitted', 'under_review', 'ready_for_decision', 'decided', 'closed'])[1 + n % 5 * n / 7 % 5],
            made::date, CASE WHEN n % 3 = 0 THEN {SOMEBODY} END, level <> 'none', made, made + interval '1 day' FROM plan""",
    """INSERT INTO needs (id, application_id, person_id, category_code, created_at)
        SELECT need, application, person, 'food', made FROM plan""",
    """INSERT INTO representatives (id, application_id, mandate_code, created_at)
        SELECT record, application, 'oral', made FROM plan WHERE n % 8 = 2""",
    f"""INSERT INTO certifications (id, application_id, evidence, certified_on, expires_on, recorded_by, created_at)
        SELECT record, application, 'document', made::date, made::date + 90, {SOMEBODY}, made FROM plan WHERE n % 8 = 2""",
    """INSERT INTO certification_needs (certification_id, need_id, application_id, content_version)
        SELECT record, need, application, 1 FROM plan WHERE n % 8 = 2""",
    f"""INSERT INTO obligation_assessments (id, application_id, need_id, body_code, outcome, content_version, assessed_by, created_at)
        SELECT record, application, need, 'region', 'not_obliged', 1, {SOMEBODY}, made FROM plan WHERE n % 8 = 2""",
    f"""INSERT INTO best_interest_assessments (id, application_id, person_id, child_heard, outcome, assessed_by, created_at)
        SELECT record, application, person, 'in_person', 'supports', {SOMEBODY}, made FROM plan WHERE n % 8 = 2""",
    f"INSERT INTO proposals (id, application_id, proposed_by, created_at) SELECT record, application, {SOMEBODY}, made FROM plan WHERE n % 8 = 2",
    """INSERT INTO proposal_lines (proposal_id, need_id, application_id, outcome)
        SELECT record, need, application, 'refused' FROM plan WHERE n % 8 = 2""",
    """INSERT INTO application_steps (id, application_id, action, from_state, to_state, role, created_at)
        SELECT record, application, 'submit', 'draft', 'submitted', 'partner', made FROM plan WHERE n % 8 = 2""",
    f"""INSERT INTO decisions (id, application_id, agency_id, kind, decided_by, created_at)
        SELECT record, application, agency, CASE WHEN n % 9 = 0 THEN 'emergency' ELSE 'decision' END, {SOMEBODY}, made FROM plan""",
    """INSERT INTO decision_lines (decision_id, application_id, need_id, person_id, category_code, position, outcome)
        SELECT record, application, need, person, 'food', 1, 'refused' FROM plan""",
    f"""INSERT INTO disbursements (id, application_id, voucher, amount_ore, status, due_on, approvals_needed, created_at)
        SELECT record, application, 'v' || n, 100, CASE WHEN n % 9 = 0 THEN 'planned' ELSE 'cancelled' END, made::date, 1, made FROM plan""",
    f"""INSERT INTO disbursement_cases (disbursement_id, application_id, line_id, protected, ordered_by, method, payee_kind, sealed)
        SELECT record, application, record, level <> 'none', {SOMEBODY}, 'bankgiro', 'vendor', '\\x00' FROM plan""",
    """INSERT INTO disbursement_sources (disbursement_id, account_id, amount_ore)
        SELECT record, account_of('general_fund'), 100 FROM plan""",
    f"INSERT INTO disbursement_approvals (disbursement_id, approved_by) SELECT record, {SOMEBODY} FROM plan",
    f"""INSERT INTO payment_files (id, message, pay_on, protected, payments, total_ore, made_by, created_at)
        SELECT record, 'm' || n, made::date, n % 50 = 7, 1, 100, {SOMEBODY}, made FROM plan""",
    "INSERT INTO payment_file_rows (file_id, disbursement_id, position) SELECT record, record, 1 FROM plan",
    f"""INSERT INTO receipts (id, disbursement_id, application_id, amount_ore, received_on, recorded_by, created_at)
        SELECT record, record, application, 100, made::date, {SOMEBODY}, made FROM plan WHERE n % 8 = 2""",
    f"""INSERT INTO refunds (id, disbursement_id, amount_ore, received_on, reference, registered_by, created_at)
        SELECT record, record, 100, made::date, n::text, {SOMEBODY}, made FROM plan WHERE n % 8 = 2""",
    """INSERT INTO recoveries (id, application_id, voucher, amount_ore, repaid_ore, created_at)
        SELECT record, application, 'v' || n, 100, CASE WHEN n % 9 = 0 THEN 0 ELSE 100 END, made FROM plan""",
    """INSERT INTO recovery_cases (recovery_id, application_id, line_id, protected, kind)
        SELECT record, application, record, level <> 'none', 'overpayment' FROM plan""",
    f"""INSERT INTO repayments (id, recovery_id, amount_ore, received_on, reference, registered_by)
        SELECT record, record, 100, made::date, n::text, {SOMEBODY} FROM plan""",
    f"""INSERT INTO audit_events (id, occurred_at, principal_id, operation, trace_id, address, outcome)
        SELECT record, made, {SOMEBODY}, 'readChild', 't', '127.0.0.1', CASE WHEN n % 9 = 0 THEN 'refused' ELSE 'ok' END FROM plan""",
    # The ledger: a gift, a promise and a payment after each other, of one account in two hundred.
    """INSERT INTO projects (id, name_sv, name_en, funder, starts_on, ends_on, pay_until_on, target_groups)
        SELECT record, 'Projekt ' || n, 'Project', 'Stiftelsen', '2016-01-01', '2099-12-31', '2099-12-31', '{children}' FROM plan
        WHERE n <= 200""",
    """INSERT INTO accounts (id, kind, project_id, number, name_sv, name_en)
        SELECT record, 'project', record, '2070', 'Projekt ' || n, 'Project' FROM plan WHERE n <= 200""",
    f"""INSERT INTO participations (id, project_id, person_id, target_group, from_on, recorded_by, created_at)
        SELECT record, md5('record50')::uuid, person, 'children', '2020-01-01', {SOMEBODY}, made FROM plan WHERE n % 8 = 2""",
    f"""INSERT INTO participation_steps (id, participation_id, kind_code, taken_on, recorded_by, created_at)
        SELECT md5('step' || n)::uuid, md5('record50')::uuid, 'guidance', '2020-01-01', {SOMEBODY}, made FROM plan WHERE n % 8 = 2""",
    """INSERT INTO activities (id, project_id, kind, title_sv, title_en, held_on)
        SELECT record, CASE WHEN n % 3 = 0 THEN md5('record' || (1 + n % 200))::uuid END, (ARRAY['lecture', 'survey', 'publication', 'event'])[1 + n % 4],
            'Föreläsning', 'Lecture', made::date FROM plan""",
    """INSERT INTO ledger_transactions (id, kind, about, booked_on)
        SELECT record, (ARRAY['gift', 'reservation', 'payment'])[1 + n % 3], need, made::date FROM plan""",
    """INSERT INTO ledger_entries (transaction_id, position, account_id, layer, amount_ore, booked_on)
        SELECT p.record, e.position, CASE WHEN e.position = 1 THEN account_of('bank') ELSE md5('record' || (1 + n % 200))::uuid END, 'free',
            3 - 2 * e.position, p.made::date FROM plan p, generate_series(1, 2) AS e (position)""",
    """INSERT INTO donations (id, kind, account_id, amount_ore, channel_code, reference, received_on, anonymous, remaining_ore, registered_by)
        SELECT record, 'gift', account_of(CASE n % 2 WHEN 0 THEN 'children_fund' ELSE 'general_fund' END), 100,
            (ARRAY['bankgiro', 'swish', 'card', 'transfer'])[1 + n % 4], n::text, made::date, true, 0, need FROM plan""",
]
# A value for each filter that is not a choice from a list; by the parameter's name.
SOME = {
    "person_id": "SELECT person FROM plan WHERE n = 50", "related_person_id": "SELECT person FROM plan WHERE n = 55",
    "external_id": "SELECT 'plan-50'", "application_id": "SELECT application FROM plan WHERE n = 50",
    "agency_id": f"SELECT '{MINE}'", "assigned_to": f"SELECT {SOMEBODY}", "principal_id": f"SELECT {SOMEBODY}",
    "operation": "SELECT 'readChild'", "municipality_code": "SELECT '1880'", "due_on": "SELECT current_date - 3",
    "occurred_from": "SELECT '2020-01-01T00:00:00Z'", "occurred_to": "SELECT '2099-01-01T00:00:00Z'",
    "received_from": "SELECT '2020-01-01'", "received_to": "SELECT '2099-01-01'",
    "account_id": "SELECT account_of('children_fund')",
    "booked_from": "SELECT '2020-01-01'", "booked_to": "SELECT '2099-01-01'",
    "held_from": "SELECT '2020-01-01'", "held_to": "SELECT '2099-01-01'", "project_id": "SELECT record FROM plan WHERE n = 50",
}

CONTRACT = yaml.safe_load((ROOT / "openapi.yaml").read_text())


def resolve(node):
    while "$ref" in node:
        place = CONTRACT
        for part in node["$ref"].removeprefix("#/").split("/"):
            place = place[part]
        node = place
    return node


def lists():
    """Every list: its path, roles, orders and filters."""
    for path, item in CONTRACT["paths"].items():
        operation = item.get("get", {})
        if "x-sort" not in operation:
            continue
        parameters = [resolve(one) for one in item.get("parameters", []) + operation["parameters"]]
        sort = [resolve(one["schema"])["enum"] for one in parameters if one["name"] == "sort"]
        orders = sort[0] if sort else [None]
        filters = [one for one in parameters if one.get("x-column")]
        roles = [alternative["utvag"][0] for alternative in operation["security"]]
        yield operation["operationId"], path, roles, orders, filters


def values_of(service, parameter):
    schema = resolve(parameter["schema"])
    if "enum" in schema:
        return [one for one in schema["enum"] if one is not None]
    assert parameter["name"] in SOME, f"SOME needs a value for the filter {parameter['name']}"
    return [service.sql(SOME[parameter["name"]])[0][0]]


def filter_sets(service, filters):
    """Nothing but what is required; and with each other filter alone, once a value."""
    required = {one["name"]: values_of(service, one)[0] for one in filters if one["required"]}
    yield required
    for one in filters:
        if not one["required"]:
            yield from (required | {one["name"]: value} for value in values_of(service, one))


@pytest.fixture(scope="module")
def database(cluster):
    """A database with large tables, whose plans are logged."""
    name = cluster.clone()
    with cluster.connect(name) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in LOADS:
            connection.execute(statement)
        connection.execute("ANALYZE")
        for setting in ("session_preload_libraries = 'auto_explain'", "auto_explain.log_min_duration = 0",
                        "auto_explain.log_format = 'json'", "auto_explain.log_analyze = on", "auto_explain.log_timing = off"):
            connection.execute(f"ALTER ROLE utvag_app IN DATABASE {name} SET {setting}")
    yield name
    cluster.drop(name)


@pytest.fixture(scope="module", params=["force_custom_plan", "force_generic_plan"])
def service(request, cluster, database):
    with cluster.connect(database) as connection:
        connection.execute(f"ALTER ROLE utvag_app IN DATABASE {database} SET plan_cache_mode = {request.param}")
    running = Service(cluster, database).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def large(cluster, database):
    """Names of the tables that may not be scanned."""
    with cluster.connect(database) as connection:
        return {row[0] for row in connection.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples >= %s", [LARGE])}


class Log:
    """PostgreSQL's log, from here on."""

    def __init__(self, cluster):
        self.path = pathlib.Path(cluster.folder, "pg", "log")
        self.place = self.path.stat().st_size

    def plans(self):
        """The plans written since the last call. Other lines, of suites beside this one, are passed over."""
        with self.path.open("rb") as file:
            file.seek(self.place)
            text = file.read().decode(errors="replace")
            self.place = file.tell()
        for _, _, rest in (part.partition("plan:") for part in text.split("duration: ")[1:]):
            try:
                yield json.JSONDecoder().raw_decode(rest.lstrip())[0]
            except json.JSONDecodeError:
                continue


def nodes(plan):
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def faults(plan, large):
    for node in nodes(plan["Plan"]):
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in large:
            yield f"scans {node['Relation Name']}"
        if node["Node Type"] in ("Sort", "Incremental Sort") and node.get("Actual Rows", 0) > FEW:
            yield f"sorts {node['Actual Rows']} rows by {node['Sort Key']}"
        if node.get("Rows Removed by Filter", 0) > PASSED_OVER:
            yield f"passes over {node['Rows Removed by Filter']} rows of {node.get('Relation Name')}"


def first_page_and_next(client, path, query):
    answer = client.get(path, params=query)
    assert answer.status_code == 200, (path, query, answer.text)
    yield
    after = answer.json()["_links"].get("next")
    if after:
        assert client.get(after["href"].split("/v1", 1)[1]).status_code == 200
        yield


LISTS = {name: rest for name, *rest in lists()}


@pytest.mark.parametrize("name", LISTS)
def test_list_is_read_from_an_index(service, cluster, large, name):
    path, roles, orders, filters = LISTS[name]
    if "{id}" in path:
        there = "record" if path.startswith(("/accounts/", "/projects/", "/participations/", "/disbursements/")) else "application"
        path = path.replace("{id}", str(service.sql(f"SELECT {there} FROM plan WHERE n = 50")[0][0]))
    found, looked_at, log = set(), 0, Log(cluster)
    some_of_staff = next((role for role in roles if role != "partner"), None)
    for role in {"partner", some_of_staff, "fund_manager"} & set(roles):
        client = service.as_(role, "handl-1" if role == "partner" else None)
        client.get(path)
        for order, chosen in itertools.product(orders, filter_sets(service, filters)):
            list(log.plans())
            for _ in first_page_and_next(client, path, chosen | ({"sort": order} if order else {}) | {"limit": 20}):
                for plan in log.plans():
                    looked_at += f"ORDER BY v.{(order or '').lstrip('-')}" in plan["Query Text"]
                    found |= {f"{role}, {order}, {sorted(chosen)}: {fault}" for fault in faults(plan, large)}
    assert looked_at, "no plan was logged"
    assert not found, "\n".join(sorted(found))


def test_reading_one_person_scans_nothing(service, cluster, large):
    log, worker = Log(cluster), service.as_("case_worker")
    there = service.sql("SELECT person FROM plan WHERE n = 50")[0][0]
    assert worker.get(f"/applicants/{there}").status_code == 200
    assert [fault for plan in log.plans() for fault in faults(plan, large)] == []


def test_carrying_a_case_to_its_decision_scans_nothing(service, cluster, database, large):
    """Inside the functions too: what a rule looks up is found by an index, however many cases there are."""
    with cluster.connect(database) as connection:
        connection.execute(f"ALTER ROLE utvag_app IN DATABASE {database} SET auto_explain.log_nested_statements = on")
        deep = Service(cluster, database).start()
        log = Log(cluster)
        try:
            case = Case(deep).ready("glasses", "shoes")
            case.decide(case.line("glasses")), case.decide(case.line("shoes"))
        finally:
            connection.execute(f"ALTER ROLE utvag_app IN DATABASE {database} RESET auto_explain.log_nested_statements")
            deep.stop()
    plans = list(log.plans())
    assert any("decision_lines" in plan["Query Text"] for plan in plans), "no nested plan was logged"
    found = {f"{fault}: {plan['Query Text'][:200]}" for plan in plans for fault in faults(plan, large)}
    assert not found, "\n".join(sorted(found))


def test_the_tables_are_large(large):
    assert {"persons", "relations", "applications", "needs", "decisions", "audit_events", "ledger_transactions", "ledger_entries",
            "donations"} <= large
