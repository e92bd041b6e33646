"""Activities: lectures and the like, of a project or of none; and the report that tells what came of a project and of nobody in it."""

import itertools
import uuid

import pytest

from books import TODAY
from casework import Case, done, keyed
from test_participations import SECRET, join, person
from test_projects import DAY, funded, of_project, refused, start

READERS = ["project_manager", "fund_manager", "auditor", "decision_maker"]


def lecture(**members):
    return {"kind": "lecture", "title_sv": "Att möta barn", "title_en": "Meeting children", "held_on": str(TODAY)} | members


def hold(service, **members):
    return done(service.as_("project_manager").post("/activities", json=lecture(**members), headers=keyed()), 201)


def report(service, project, role="project_manager", **days):
    return done(service.as_(role).get(f"/projects/{project['id']}/report", params={"from_on": "2020-01-01", "to_on": str(TODAY)} | days))


# -- activities ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("role", ["project_manager", "case_worker", "decision_maker", "fund_manager", "auditor"])
def test_staff_reads_activities(service, role):
    made = hold(service)
    assert done(service.as_(role).get("/activities/" + made["id"])) == made
    assert made["project_id"] is None and made["audience_count"] is None


@pytest.mark.parametrize("role", ["partner", "intake", "triage", "admin"])
def test_nobody_else_reads_activities(service, role):
    assert service.as_(role).get("/activities").status_code == 403


@pytest.mark.parametrize("role", ["case_worker", "decision_maker", "fund_manager", "auditor"])
def test_only_who_runs_projects_records_them(service, role):
    made = hold(service)
    assert service.as_(role).post("/activities", json=lecture(), headers=keyed()).status_code == 403
    assert service.as_(role).patch("/activities/" + made["id"], json={"audience_count": 3}, headers={"If-Match": '"1.0"'}).status_code == 403


def test_activity_may_be_changed(service):
    made, project, manager = hold(service), start(service), service.as_("project_manager")
    path = "/activities/" + made["id"]
    tag = manager.get(path).headers["ETag"]
    changed = done(manager.patch(path, json={"audience_count": 80, "project_id": project["id"]}, headers=keyed(**{"If-Match": tag})))
    assert (changed["audience_count"], changed["project_id"], changed["title_sv"]) == (80, project["id"], made["title_sv"])
    assert manager.patch(path, json={"audience_count": 81}, headers={"If-Match": tag}).status_code == 412
    assert manager.patch(path, json={"audience_count": 81}).status_code == 428


def test_activity_is_of_a_project_that_there_is(service):
    nowhere = lecture(project_id=str(uuid.uuid4()))
    refused(service.as_("project_manager").post("/activities", json=nowhere, headers=keyed()), "/project_id", "reference_unknown")


def test_activities_are_filtered(service):
    project = start(service)
    survey = hold(service, kind="survey", project_id=project["id"], held_on="2012-05-01")
    talk = hold(service, project_id=project["id"], held_on="2013-05-01")
    manager = service.as_("project_manager")

    def found(**query):
        return [one["id"] for one in done(manager.get("/activities", params={"project_id": project["id"]} | query))["activities"]]

    assert found() == [talk["id"], survey["id"]] and found(sort="held_on") == [survey["id"], talk["id"]]
    assert found(kind="survey") == [survey["id"]]
    assert found(held_from="2012-05-02") == [talk["id"]] and found(held_to="2012-05-01") == [survey["id"]]


# -- the report ------------------------------------------------------------------------------------------------------

def people(service, count, protected=False):
    """Persons who need no more than to be there, with an application each."""
    made = [(str(uuid.uuid4()), str(uuid.uuid4())) for _ in range(count)]
    level, (who, cases) = SECRET if protected else "none", map(list, zip(*made) if made else ((), ()))
    service.sql("INSERT INTO persons (id, kind, protection, protection_effective) SELECT unnest(%s::uuid[]), 'applicant', %s, %s",
                who, level, level)
    service.sql("INSERT INTO applications (id, person_id, state, submitted_on, protected)"
                " SELECT unnest(%s::uuid[]), unnest(%s::uuid[]), 'decided', '2020-01-01', %s", cases, who, protected)
    return made


def grant(service, project, persons, category, ore, paid=0):
    """Lines of a decision for each, which hold money of the project, as the report reads them: past the ledger's own writers."""
    decider = service.sql("SELECT id FROM principals WHERE 'decision_maker' = ANY (roles) LIMIT 1")[0][0]
    gift = str(uuid.uuid4())
    with service.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        for who, case in persons:
            need, decision, line, payment = (str(uuid.uuid4()) for _ in range(4))
            account = project["account_id"]
            for statement, values in (
                ("INSERT INTO needs (id, application_id, person_id, category_code, status) VALUES (%s, %s, %s, %s, 'granted')", (need, case, who, category)),
                ("INSERT INTO decisions (id, application_id, kind, decided_by) VALUES (%s, %s, 'decision', %s)", (decision, case, decider)),
                ("INSERT INTO decision_lines (id, decision_id, application_id, need_id, person_id, category_code, position, outcome, amount_ore)"
                 " VALUES (%s, %s, %s, %s, %s, %s, 1, 'granted', %s)", (line, decision, case, need, who, category, ore)),
                ("INSERT INTO line_sources (line_id, account_id, reserved_ore, paid_ore) VALUES (%s, %s, %s, %s)", (line, account, ore - paid, paid)),
                ("INSERT INTO donation_uses (donation_id, line_id, account_id, amount_ore) VALUES (%s, %s, %s, %s)", (gift, line, account, ore)),
            ) + ((
                ("INSERT INTO disbursements (id, application_id, amount_ore, status, due_on, approvals_needed, paid_ore, paid_at)"
                 " VALUES (%s, %s, %s, 'paid', current_date, 0, %s, now())", (payment, case, paid, paid)),
                ("INSERT INTO disbursement_cases (disbursement_id, application_id, line_id, protected, ordered_by, method, payee_kind)"
                 " VALUES (%s, %s, %s, false, %s, 'at_once', 'vendor')", (payment, case, line, decider)),
                ("INSERT INTO disbursement_sources (disbursement_id, account_id, amount_ore, paid_ore) VALUES (%s, %s, %s, %s)",
                 (payment, account, paid, paid)),
            ) if paid else ()):
                connection.execute(statement, values)


def told(report):
    return {row["category_code"]: (row["granted_ore"], row["paid_ore"], row["granted_persons_count"], row["paid_persons_count"])
            for row in report["categories"]}


def sums(report):
    return [report[member] for member in ("granted_ore", "paid_ore", "other_granted_ore", "other_paid_ore")]


@pytest.fixture()
def project(service):
    return start(service, target_groups=["children", "adults", "young_people"], budgets=[{"category_code": "food", "amount_ore": 5_000}])


@pytest.mark.parametrize("role", READERS)
def test_report_tells_what_was_granted_and_paid_beside_the_budget(service, project, role):
    grant(service, project, people(service, 11), "food", 100, 40)
    hold(service, project_id=project["id"], audience_count=30)
    hold(service, project_id=project["id"], audience_count=12)
    shown = report(service, project, role)
    assert told(shown) == {"food": (1_100, 440, 11, 11)} and sums(shown) == [1_100, 440, None, None]
    assert shown["budgets"] == [{"category_code": "food", "group_code": None, "amount_ore": 5_000}]
    assert shown["activities"] == [{"kind": "lecture", "activities_count": 2, "audience_count": 42}]


def test_payment_to_few_is_not_told_though_many_were_granted(service, project):
    persons = people(service, 30)
    grant(service, project, persons[:12], "food", 100, 100)
    grant(service, project, persons[12:15], "clothes", 100, 77)
    grant(service, project, persons[15:], "clothes", 100)
    shown = report(service, project)
    assert told(shown) == {"food": (1_200, None, 12, None), "clothes": (1_800, None, 18, None)}
    assert sums(shown) == [3_000, 1_431, None, 1_431]


def test_nothing_paid_is_told_where_it_is_of_few(service, project):
    persons = people(service, 30)
    grant(service, project, persons[:10], "food", 100, 50)
    grant(service, project, persons[10:], "food", 100)
    shown = report(service, project)
    assert told(shown) == {"food": (3_000, None, 30, None)} and sums(shown) == [3_000, None, None, None]


@pytest.mark.parametrize("role", ["partner", "intake", "case_worker", "triage", "admin"])
def test_nobody_else_reads_reports(service, project, role):
    assert service.as_(role).get(f"/projects/{project['id']}/report").status_code == 403


def test_empty_project_has_an_empty_report(service, project):
    shown = report(service, project)
    assert told(shown) == {} and sums(shown) == [0, 0, None, None] and shown["participants_count"] == 0
    assert {group["participants_count"] for group in shown["groups"]} == {0}


def test_what_concerns_ten_is_not_told(service, project):
    grant(service, project, people(service, 10), "food", 100, 40)
    shown = report(service, project)
    assert told(shown) == {} and sums(shown) == [None] * 4


def test_small_category_takes_another_with_it(service, project):
    """Else it would be what is left of the total."""
    grant(service, project, people(service, 30), "food", 100)
    grant(service, project, people(service, 12), "clothes", 100)
    grant(service, project, people(service, 3), "glasses", 777)
    shown = report(service, project)
    assert told(shown) == {"food": (3_000, None, 30, None)}
    assert sums(shown)[0] == 3_000 + 1_200 + 2_331 and sums(shown)[2] == 1_200 + 2_331


def test_small_categories_that_are_eleven_together_are_told_together(service, project):
    grant(service, project, people(service, 30), "food", 100)
    grant(service, project, people(service, 6), "clothes", 100)
    grant(service, project, people(service, 5), "glasses", 200)
    shown = report(service, project)
    assert told(shown) == {"food": (3_000, None, 30, None)} and sums(shown)[2] == 1_600


def test_small_categories_of_the_same_few_count_them_once(service, project):
    grant(service, project, people(service, 30), "food", 100)
    few = people(service, 6)
    grant(service, project, few, "clothes", 100)
    grant(service, project, few, "glasses", 200)
    assert told(report(service, project)) == {}


def test_protected_persons_are_told_of_no_category_and_counted_nowhere(service, project):
    grant(service, project, people(service, 30), "food", 100)
    grant(service, project, people(service, 12), "clothes", 100)
    grant(service, project, people(service, 12, protected=True), "food", 1_000)
    shown = report(service, project)
    assert told(shown) == {"food": (3_000, None, 30, None)}
    assert sums(shown)[2] == 1_200 + 12_000, "theirs is among what is told together"


def test_report_of_protected_persons_alone_tells_nothing(service, project):
    grant(service, project, people(service, 20, protected=True), "food", 1_000, 400)
    assert told(report(service, project)) == {} and sums(report(service, project)) == [None] * 4


def test_neither_cell_nor_rest_is_ever_of_fewer_than_eleven(service):
    """Of many tables: what is told, and what is left of the sum when that is taken away, is of 11 or more, or of none."""
    for sizes in itertools.product((0, 1, 5, 10, 11, 12), repeat=3):
        cells, persons = [], []
        for cell, size in zip("abc", sizes):
            cells += [cell] * size
            persons += [str(uuid.uuid4()) for _ in range(size)]
        [(hidden,)] = service.sql("SELECT hidden_cells(%s::text[], %s::uuid[])", cells, persons)
        by_name = dict(zip("abc", sizes))
        rest = sum(by_name[cell] for cell in hidden)
        assert all(by_name[cell] >= 11 for cell in set(cells) - set(hidden)), sizes
        assert not hidden or rest >= 11 or set(hidden) == set(cells), sizes
        assert len(hidden) != 1 or set(hidden) == set(cells), sizes
        if min(size for size in sizes if size or not any(sizes)) >= 11:
            assert not hidden, sizes


def take_part(service, project, group, count):
    service.sql("INSERT INTO participations (id, project_id, person_id, target_group, from_on, recorded_by)"
                " SELECT gen_random_uuid(), %s, unnest(%s::uuid[]), %s, current_date, (SELECT id FROM principals LIMIT 1)",
                project["id"], [who for who, _ in people(service, count)], group)


@pytest.mark.parametrize("sizes, shown, total", [
    ((30, 20, 11), (30, 20, 11), 61), ((30, 20, 10), (30, None, None), 60), ((30, 6, 5), (30, None, None), 41),
    ((30, 20, 0), (30, 20, 0), 50), ((30, 3, 0), (None, None, 0), 33), ((5, 3, 2), (None, None, None), None), ((10, 0, 0), (None, None, None), None),
])
def test_small_groups_are_not_told_nor_can_they_be_reckoned(service, project, sizes, shown, total):
    for group, size in zip(project["target_groups"], sizes):
        take_part(service, project, group, size)
    told = report(service, project)
    assert (tuple(group["participants_count"] for group in told["groups"]), told["participants_count"]) == (shown, total)


def test_protected_participants_are_not_counted(service, project):
    take_part(service, project, "children", 11)
    join(service, project, person(service, SECRET), "case_worker", target_group="children")
    assert report(service, project)["participants_count"] == 11


def test_report_is_of_its_days(service, project):
    grant(service, project, people(service, 11), "food", 100, 40)
    hold(service, project_id=project["id"], held_on=str(TODAY - 40 * DAY))
    before = report(service, project, to_on=str(TODAY - DAY))
    assert told(before) == {} and sums(before) == [0, 0, None, None] and before["activities"][0]["activities_count"] == 1
    assert report(service, project, from_on=str(TODAY))["activities"] == []


@pytest.mark.parametrize("days, code", [({"to_on": str(TODAY + DAY)}, "period_not_begun"), ({"from_on": "2020-01-02", "to_on": "2020-01-01"}, "period_backwards"),
                                        ({"from_on": "2001-01-01"}, "period_too_long")])
def test_report_is_of_days_that_have_begun_in_order(service, project, days, code):
    answer = service.as_("project_manager").get(f"/projects/{project['id']}/report", params=days)
    assert answer.status_code == 422 and [e["code"] for e in answer.json()["errors"]] == [code]


def test_unknown_project_has_no_report(service):
    assert service.as_("project_manager").get(f"/projects/{uuid.uuid4()}/report").status_code == 404


def test_reading_a_report_leaves_a_trace(service, project):
    report(service, project)
    assert service.sql("SELECT count(*) FROM audit_events WHERE operation = 'readProjectReport' AND %s::uuid = ANY (record_ids)",
                       project["id"]) == [(1,)]


def test_report_tells_what_decisions_granted_and_payments_paid(service):
    """The same through decisions and payments, as the ledger's own writers leave them."""
    project = funded(service)
    lines = [case.decide(of_project(case, project))["lines"][0]["id"] for case in (Case(service).ready() for _ in range(11))]
    assert told(report(service, project)) == {"glasses": (550_000, None, 11, None)}
    for line in lines:
        service.sql("SELECT set_config('utvag.principal', (SELECT min(id::text) FROM principals), true), pay_at_once(%s)", line)
    shown = report(service, project)
    assert told(shown) == {"glasses": (550_000, 550_000, 11, 11)} and sums(shown) == [550_000, 550_000, None, None]
    account = done(service.as_("fund_manager").get("/accounts/" + project["account_id"]))
    assert (account["posted_ore"], account["reserved_ore"]) == (450_000, 0)
