"""Projects: special efforts with a period, a catchment, target groups, a budget and an account of their own."""

import concurrent.futures
import datetime
import time
import uuid

import pytest

from books import BANK, TODAY, book, gift, reserve
from casework import Case, codes, done, keyed

STAFF = ["project_manager", "case_worker", "decision_maker", "fund_manager", "auditor"]
DAY = datetime.timedelta(1)


def effort(**members):
    return {"name_sv": "Unga IMT", "name_en": "Young IMT", "funder": "Gålöstiftelsen", "starts_on": "2016-01-01",
            "ends_on": str(TODAY + 30 * DAY), "catchment": {"national": True}, "target_groups": ["young_people"]} | members


def start(service, **members):
    return done(service.as_("project_manager").post("/projects", json=effort(**members), headers=keyed()), 201)


def read(service, project, role="project_manager"):
    return done(service.as_(role).get("/projects/" + project["id"]))


def change(service, project, **patch):
    manager, path = service.as_("project_manager"), "/projects/" + project["id"]
    return manager.patch(path, json=patch, headers=keyed(**{"If-Match": manager.get(path).headers["ETag"]}))


def close(service, project):
    manager, path = service.as_("project_manager"), "/projects/" + project["id"]
    return manager.post(path + "/close", headers=keyed(**{"If-Match": manager.get(path).headers["ETag"]}))


def refused(answer, pointer, code):
    assert answer.status_code == 422, answer.text
    assert (pointer, code) in {(e.get("pointer"), e["code"]) for e in answer.json()["errors"]}, answer.text


def promised(service, project, ore=1_000):
    gift(service, TODAY, project["account_id"], ore)
    reserve(service, TODAY, project["account_id"], ore)


def test_project_begins_with_an_account_of_its_own(service):
    project = start(service)
    account = done(service.as_("fund_manager").get("/accounts/" + project["account_id"]))
    assert (account["kind"], account["project_id"], account["number"]) == ("project", project["id"], "2070")
    assert (account["name_sv"], account["name_en"], account["posted_ore"]) == ("Unga IMT", "Young IMT", 0)


def test_account_is_named_as_its_project(service):
    project = start(service)
    done(change(service, project, name_sv="Unga IMT 2"))
    assert done(service.as_("fund_manager").get("/accounts/" + project["account_id"]))["name_sv"] == "Unga IMT 2"


def test_project_is_paid_until_ninety_days_after_its_end(service):
    project = start(service, starts_on="2017-01-01", ends_on="2018-12-31")
    assert project["pay_until_on"] == "2019-03-31"


def test_pay_until_follows_the_end_unless_it_is_given(service):
    project = start(service, starts_on="2017-01-01", ends_on="2018-12-31", pay_until_on="2019-01-10")
    assert done(change(service, project, ends_on="2019-12-31"))["pay_until_on"] == "2020-01-10"
    assert done(change(service, project, pay_until_on="2020-02-01"))["pay_until_on"] == "2020-02-01"
    assert done(change(service, project, pay_until_on=None))["pay_until_on"] == "2020-03-30"


@pytest.mark.parametrize("members, status", [
    ({"starts_on": str(TODAY + DAY)}, "planned"), ({"starts_on": str(TODAY)}, "active"),
    ({"starts_on": "2020-01-01", "ends_on": str(TODAY)}, "active"), ({"ends_on": str(TODAY - DAY)}, "paying"),
    ({"ends_on": str(TODAY - 90 * DAY)}, "paying"), ({"ends_on": str(TODAY - 91 * DAY)}, "ended"),
])
def test_status_is_what_the_day_says(service, members, status):
    project = start(service, **members)
    assert project["status"] == status
    listed = done(service.as_("case_worker").get("/projects", params={"status": status, "limit": 100}))["projects"]
    assert project["id"] in {one["id"] for one in listed} and {one["status"] for one in listed} == {status}


@pytest.mark.parametrize("role", STAFF)
def test_staff_sees_projects_with_their_budget_and_account(service, role):
    project = start(service, budgets=[{"category_code": "glasses", "amount_ore": 100}, {"group_code": "health", "amount_ore": 200}])
    assert read(service, project, role) == project
    assert project["budgets"] == [{"category_code": "glasses", "group_code": None, "amount_ore": 100},
                                  {"category_code": None, "group_code": "health", "amount_ore": 200}]


def test_agency_sees_open_projects_without_money(service):
    project = start(service, budgets=[{"category_code": "glasses", "amount_ore": 100}])
    planned = start(service, starts_on=str(TODAY + DAY))
    told = read(service, project, "partner")
    assert told == project | {"budgets": None, "account_id": None}
    listed = {one["id"] for one in done(service.as_("partner").get("/projects", params={"limit": 100}))["projects"]}
    assert {project["id"], planned["id"]} <= listed


def test_agency_sees_no_project_that_is_over(service):
    ended, closed = start(service, ends_on=str(TODAY - DAY)), start(service)
    done(close(service, closed))
    partner = service.as_("partner")
    listed = {one["id"] for one in done(partner.get("/projects", params={"limit": 100}))["projects"]}
    for project in (ended, closed):
        assert partner.get("/projects/" + project["id"]).status_code == 404 and project["id"] not in listed


@pytest.mark.parametrize("role", ["intake", "admin", "triage"])
def test_nobody_else_reads_projects(service, role):
    assert service.as_(role).get("/projects").status_code == 403


@pytest.mark.parametrize("role", ["partner", *STAFF[1:]])
def test_only_who_runs_projects_writes_them(service, role):
    project = start(service)
    client, path = service.as_(role, "handl-1" if role == "partner" else None), "/projects/" + project["id"]
    tag = {"If-Match": '"1.00000000"'}
    assert client.post("/projects", json=effort(), headers=keyed()).status_code == 403
    assert client.patch(path, json={"name_sv": "Nytt"}, headers=keyed(**tag)).status_code == 403
    assert client.post(path + "/close", headers=keyed(**tag)).status_code == 403


def test_change_needs_the_version_that_was_read(service):
    project, manager = start(service), service.as_("project_manager")
    path = "/projects/" + project["id"]
    assert manager.patch(path, json={"name_sv": "Nytt"}).status_code == 428
    old = manager.get(path).headers["ETag"]
    done(change(service, project, name_sv="Nytt"))
    for answer in (manager.patch(path, json={"name_sv": "Nyare"}, headers={"If-Match": old}),
                   manager.post(path + "/close", headers={"If-Match": old})):
        assert answer.status_code == 412
    assert manager.post(path + "/close").status_code == 428


@pytest.mark.parametrize("members, pointer, code", [
    ({"ends_on": "2015-12-31"}, "/ends_on", "project_period_invalid"),
    ({"ends_on": "2020-01-01", "pay_until_on": "2019-12-31"}, "/ends_on", "project_period_invalid"),
    ({"catchment": {"county_codes": ["01", "02"]}}, "/catchment/county_codes/1", "code_unknown"),
    ({"catchment": {"municipality_codes": ["9999"]}}, "/catchment/municipality_codes/0", "code_unknown"),
    ({"catchment": {"national": True, "county_codes": ["01"]}}, "/catchment/national", "catchment_contradicts"),
    ({"catchment": {"national": False}}, "/catchment/national", "catchment_contradicts"),
    ({"budgets": [{"category_code": "glasses", "amount_ore": 1}, {"category_code": "shoe", "amount_ore": 1}]},
     "/budgets/1/category_code", "code_unknown"),
    ({"budgets": [{"group_code": "shoe", "amount_ore": 1}]}, "/budgets/0/group_code", "code_unknown"),
    ({"budgets": [{"amount_ore": 1}]}, "/budgets/0", "budget_of_category_or_group"),
    ({"budgets": [{"category_code": "glasses", "group_code": "health", "amount_ore": 1}]}, "/budgets/0", "budget_of_category_or_group"),
    ({"budgets": [{"group_code": "health", "amount_ore": 1}] * 2}, "/budgets", "budget_repeated"),
])
def test_project_that_contradicts_itself_is_refused(service, members, pointer, code):
    refused(service.as_("project_manager").post("/projects", json=effort(**members), headers=keyed()), pointer, code)


def test_project_has_a_target_group(service):
    assert service.as_("project_manager").post("/projects", json=effort(target_groups=[])).status_code == 422


def test_catchment_is_merged(service):
    project = start(service, catchment={"county_codes": ["01", "03"]})
    assert project["catchment"] == {"national": False, "county_codes": ["01", "03"], "municipality_codes": []}
    assert done(change(service, project, catchment={"municipality_codes": ["0580"]}))["catchment"] == {
        "national": False, "county_codes": ["01", "03"], "municipality_codes": ["0580"]}
    assert done(change(service, project, catchment={"national": True}))["catchment"] == {
        "national": True, "county_codes": [], "municipality_codes": []}


def test_budget_is_replaced_whole(service):
    project = start(service, budgets=[{"category_code": "glasses", "amount_ore": 100}, {"group_code": "health", "amount_ore": 200}])
    assert [b["amount_ore"] for b in done(change(service, project, budgets=[{"category_code": "food", "amount_ore": 7}]))["budgets"]] == [7]
    assert done(change(service, project, name_sv="Samma budget"))["budgets"]
    assert done(change(service, project, budgets=None))["budgets"] == []


def test_before_anything_is_promised_all_may_change(service):
    project = start(service)
    gift(service, TODAY, project["account_id"], 1_000)
    done(change(service, project, starts_on="2017-01-01", ends_on="2017-12-31", catchment={"county_codes": ["01"]}, target_groups=["adults"]))


def test_beginning_stands_once_money_is_promised(service):
    project = start(service)
    promised(service, project)
    for day in ("2015-01-01", "2016-01-02"):
        assert codes(change(service, project, starts_on=day)) == {"project_has_promises"}
    done(change(service, project, name_sv="Nytt namn", starts_on="2016-01-01"))


def test_end_may_be_moved_but_not_before_the_latest_promise(service):
    project = start(service)
    promised(service, project)
    done(change(service, project, ends_on=str(TODAY + 100 * DAY)))
    done(change(service, project, ends_on=str(TODAY)))
    assert codes(change(service, project, ends_on=str(TODAY - DAY))) == {"promised_outside_period"}


@pytest.mark.parametrize("patch", [{"target_groups": ["adults"]}, {"catchment": {"county_codes": ["01"]}},
                                   {"catchment": {"county_codes": ["03"], "municipality_codes": ["0580"]}},
                                   {"catchment": {"county_codes": ["01", "03"], "municipality_codes": []}}])
def test_catchment_and_groups_only_grow_once_money_is_promised(service, patch):
    project = start(service, catchment={"county_codes": ["01", "03"], "municipality_codes": ["0580"]}, target_groups=["adults", "children"])
    promised(service, project)
    assert codes(change(service, project, **patch)) == {"project_narrowed"}
    done(change(service, project, target_groups=["children", "adults", "professionals"]))
    done(change(service, project, catchment={"county_codes": ["01", "03", "05"], "municipality_codes": []}))
    done(change(service, project, catchment={"national": True}))
    assert codes(change(service, project, catchment={"county_codes": ["01"]})) == {"project_narrowed"}


def test_what_is_promised_and_unpaid_keeps_its_time(service):
    project = start(service, ends_on=str(TODAY - DAY))
    promised(service, project)
    last = str(TODAY - DAY)
    assert "promises_unpaid" in codes(change(service, project, pay_until_on=last))
    done(change(service, project, pay_until_on=str(TODAY)))


def test_closed_project_is_closed_for_good(service):
    project = start(service)
    closed = done(close(service, project))
    assert (closed["status"], closed["closed_on"]) == ("closed", str(TODAY))
    assert codes(close(service, project)) == {"project_is_closed"}
    assert codes(change(service, project, name_sv="Nytt")) == {"project_is_closed"}


def test_project_with_unpaid_promises_is_not_closed(service):
    project = start(service)
    promised(service, project)
    assert codes(close(service, project)) == {"promises_unpaid"}
    book(service, "payment", TODAY, (project["account_id"], "reserved", 1_000), (BANK, "free", -1_000))
    assert done(close(service, project))["status"] == "closed"


def test_projects_are_listed_by_their_beginning(service):
    starts = [one["starts_on"] for one in done(service.as_("auditor").get("/projects", params={"limit": 100}))["projects"]]
    assert starts == sorted(starts, reverse=True)


def test_repeated_start_starts_once(service):
    manager, headers = service.as_("project_manager"), keyed()
    body = effort(name_sv="En gång " + str(uuid.uuid4()))
    made = [done(manager.post("/projects", json=body, headers=headers), 201) for _ in range(2)]
    assert made[0] == made[1]
    assert service.sql("SELECT count(*) FROM projects WHERE name_sv = %s", body["name_sv"]) == [(1,)]

# -- with decisions ----------------------------------------------------------------------------------------------------------

def funded(service, ore=1_000_000, **members):
    """A project with money, given as money is."""
    project = start(service, target_groups=["adults", "children"], **members)
    body = {"kind": "grant", "account_id": project["account_id"], "amount_ore": ore, "channel_code": "transfer", "received_on": str(TODAY),
            "channel_reference": "P-" + uuid.uuid4().hex, "anonymous": True}
    done(service.as_("fund_manager").post("/donations", json=body, headers=keyed()), 201)
    return project


def of_project(case, project):
    return case.line("glasses", sources=[{"account_id": project["account_id"], "amount_ore": 50_000}])


def test_what_a_decision_promises_keeps_the_project_to_it(service):
    project, case = funded(service), Case(service).ready()
    case.decide(of_project(case, project))
    assert codes(change(service, project, starts_on="2017-01-01")) == {"project_has_promises"}
    assert codes(change(service, project, catchment={"county_codes": ["01"]})) == {"project_narrowed"}
    assert codes(close(service, project)) == {"promises_unpaid"}


def test_project_that_is_closed_while_a_decision_waits_promises_nothing(service):
    """The decision has looked at the project, and waits for its account behind whoever closes it."""
    project, case = funded(service), Case(service).ready()
    with service.connect() as connection, concurrent.futures.ThreadPoolExecutor() as pool:
        with connection.transaction():
            connection.execute("SELECT lock_accounts(ARRAY[%s]::uuid[])", [project["account_id"]])
            decision = pool.submit(case.try_decide, of_project(case, project))
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            while connection.execute(waiting).fetchone() == (0,):
                time.sleep(0.01)
            connection.execute("UPDATE projects SET closed_on = current_date WHERE id = %s", [project["id"]])
        assert codes(decision.result()) == {"project_closed"}
    assert done(service.as_("fund_manager").get("/accounts/" + project["account_id"]))["reserved_ore"] == 0
