"""A case that concerns a protected person, be it the applicant or anyone whom a need is for, is protected as a whole: it is
there for those on the access list of each of them, and for nobody else is anything of it."""

import uuid

import pytest

from casework import Case, codes, done, keyed, principal
from test_races import together, while_uncommitted

SECRET = "sekretessmarkering"
OUTSIDERS = [("partner", "handl-2"), ("partner", None), ("case_worker_2", None), ("decision_maker", None)]
BELOW = ["", "/needs", "/certifications", "/representatives", "/obligation-assessments", "/best-interest-assessments",
         "/proposals", "/steps", "/decisions"]


def protection(client, kind, person, level):
    path = f"/{kind}/{person}"
    return client.patch(path, json={"protection": level}, headers=keyed(**{"If-Match": client.get(path).headers["ETag"]}))


def told(answer):
    """All of an answer but what names the request: to compare one with another, byte for byte."""
    trace = answer.json().get("trace_id", "?")
    text = answer.text.replace(trace, "").replace(answer.json().get("instance", "?"), "")
    passing = ("date", "content-length", "traceparent", "ratelimit", "server-timing")
    return answer.status_code, text, sorted(h for h in answer.headers.items() if not h[0].lower().startswith(passing))


def is_as_unknown(client, path, there, **options):
    """Whether a record is answered as an id that never was."""
    method = options.pop("method", "GET")
    headers = keyed() if method != "GET" else {}
    gone = told(client.request(method, path.format(there), headers=headers, **options))
    headers = keyed() if method != "GET" else {}
    never = told(client.request(method, path.format(uuid.uuid4()), headers=headers, **options))
    return gone[0] in (403, 404) and gone == never


@pytest.fixture
def case(service):
    """The mother is not protected, her child is; every step below the application was taken."""
    case = Case(service)
    case.hidden = case.child(protection=SECRET)
    case.need("food").need("shoes", person=case.hidden)
    body = {"mandate_code": "oral", "name": "Ombudet Berg"}
    case.ombud = case.act(case.partner, "representatives", body, 201)["id"]
    case.submit().review().certify()
    case.eligible().eligible("second_generation", person=case.hidden).obligation().best_interest(case.hidden).propose()
    return case


# Who sees it --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", OUTSIDERS, ids=str)
def test_case_with_a_protected_child_is_as_if_it_never_was(service, case, who):
    client = service.as_(*who)
    for below in BELOW:
        assert is_as_unknown(client, "/applications/{}" + below, case.id), below
    records = {"/needs/{}": case.needs["food"], "/representatives/{}": case.ombud}
    for name in ("certifications", "obligation-assessments", "best-interest-assessments"):
        rows = done(case.worker.get(case.path(name)))[name.replace("-", "_")]
        records |= {f"/{name}/{{}}": rows[0]["id"]}
    for path, record in records.items():
        assert done(case.worker.get(path.format(record)))["id"] == record
        assert is_as_unknown(client, path, record), path
    assert done(client.get("/applicants/" + case.person))["id"] == case.person if who != ("partner", None) else True


@pytest.mark.parametrize("who", OUTSIDERS, ids=str)
def test_case_with_a_protected_child_is_in_no_list_and_no_count(service, who):
    client, query = service.as_(*who), {"count": "true", "limit": 100}
    before = done(client.get("/applications", params=query))["_meta"]["count"]
    case = Case(service)
    assert done(client.get("/applications", params=query))["_meta"]["count"] == before + 1
    case.need("shoes", person=case.child(protection=SECRET))
    page = done(client.get("/applications", params=query))
    assert page["_meta"]["count"] == before
    assert case.id not in str(page)
    assert done(client.get("/applications", params=query | {"person_id": case.person}))["applications"] == []


def test_whoever_is_on_all_lists_sees_all(service, case):
    for client in (case.partner, case.worker, case.triage, service.as_("triage_2")):
        assert {need["category_code"] for need in case.read(client)["needs"]} == {"food", "shoes"}
    shown = done(case.worker.get(case.path("certifications")))["certifications"]
    assert sorted(shown[0]["need_ids"]) == sorted(case.needs.values()) and shown[0]["statement"]
    assert len(done(case.worker.get(case.path("proposals")))["proposals"][0]["lines"]) == 2


def test_one_list_of_two_is_not_enough(service):
    case = Case(service)
    one, other = case.child(protection=SECRET), case.child(protection="unknown")
    case.need("food", person=one).need("shoes", person=other)
    let_in = lambda child: done(case.triage.post("/access-grants", json={  # noqa: E731
        "person_id": child, "officer": "user:" + principal(case.worker), "reason_code": "case_work"}), 201)
    let_in(one)
    assert case.worker.get(case.path()).status_code == 404
    let_in(other)
    assert len(case.read(case.worker)["needs"]) == 2


def test_whoever_is_assigned_is_put_on_the_list_of_each(service):
    case = Case(service, protection=SECRET)
    children = [case.child(protection=level) for level in (SECRET, "unknown", "none")]
    for name, child in zip("abc", children):
        case.need("shoes", person=child, name=name)
    case.submit()
    assert case.worker.get(case.path()).status_code == 404
    case.act(case.triage, "assign", {"assigned_to": principal(case.worker)})
    assert len(case.read(case.worker)["needs"]) == 3
    lists = service.sql("SELECT person_id::text FROM access_list WHERE officer = %s AND reason_code = 'assignment'",
                        "user:" + principal(case.worker))
    assert {row[0] for row in lists} >= {case.person, *children[:2]} and (children[2],) not in lists


# What comes and goes ------------------------------------------------------------------------------------------------


def test_case_vanishes_when_one_concerned_becomes_protected_and_comes_back(service):
    case = Case(service)
    child, other = case.child(), case.child()
    case.need("food").need("shoes", person=child).need("pram", person=other)
    colleague = service.as_("partner", "handl-2")
    for client in (case.worker, colleague):
        assert len(case.read(client)["needs"]) == 3
    done(protection(case.partner, "children", child, SECRET))
    done(protection(case.partner, "children", other, "unknown"))
    for client in (case.worker, colleague):
        assert client.get(case.path()).status_code == 404
    assert len(case.read(case.partner)["needs"]) == 3
    done(protection(case.partner, "children", child, "none"))
    assert case.worker.get(case.path()).status_code == 404, "the other is protected still"
    done(protection(case.partner, "children", other, "none"))
    for client in (case.worker, colleague):
        assert len(case.read(client)["needs"]) == 3


def test_inherited_protection_takes_the_case_with_it(service):
    case = Case(service)
    child = case.child()
    case.need("shoes", person=child)
    father = done(case.partner.post("/applicants", json={"alias": "Far", "protection": SECRET}, headers=keyed()), 201)["id"]
    body = {"person_id": child, "related_person_id": father, "kind": "parent"}
    relation = case.partner.post("/relations", json=body, headers=keyed())
    done(relation, 201)
    assert case.worker.get(case.path()).status_code == 404
    path = "/relations/" + relation.json()["id"]
    done(case.partner.delete(path, headers={"If-Match": relation.headers["ETag"]}), 204)
    assert case.read(case.worker)["id"] == case.id


def test_need_for_a_protected_person_closes_the_case_to_the_unlisted(service):
    case = Case(service).need("food")
    assert case.read(case.worker)["needs"]
    hidden = case.child(protection=SECRET)
    body = {"person_id": hidden, "category_code": "shoes"}
    for blind in (service.as_("partner", "handl-2"), case.worker):
        answer = blind.post(case.path("needs"), json=body, headers=keyed())
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "reference_unknown")
    assert case.read(case.worker)["needs"], "what was refused changed nothing"
    done(case.partner.post(case.path("needs"), json=body, headers=keyed()), 201)
    assert case.worker.get(case.path()).status_code == 404
    assert len(case.read(case.partner)["needs"]) == 2


def test_replay_tells_nothing_of_what_is_hidden_by_now(service):
    """The answer of then held the child's need; its caller may not see it now."""
    case = Case(service)
    child, colleague, key = case.child(), service.as_("partner", "handl-2"), keyed()
    case.need("food").need("shoes", person=child)
    first = colleague.post(case.path("submit"), json={}, headers=key)
    assert len(done(first)["needs"]) == 2
    assert colleague.post(case.path("submit"), json={}, headers=key).text == first.text
    done(protection(case.partner, "children", child, SECRET))
    again = colleague.post(case.path("submit"), json={}, headers=key)
    assert (again.status_code, child in again.text) == (404, False)


def test_replay_of_a_registration_tells_nothing_of_what_is_hidden_by_now(service):
    colleague, key = service.as_("partner", "handl-2"), keyed()
    body = {"person": {"protection": "none"}, "children": [{"protection": "none", "birth_date": "2019-03-01"}],
            "application": {}, "needs": [{"for": "child:0", "category_code": "shoes"}]}
    ids = done(colleague.post("/registrations", json=body, headers=key), 201)
    done(protection(service.as_("case_worker"), "children", ids["child_ids"][0], SECRET))
    service.sql("DELETE FROM access_list WHERE person_id = %s AND officer LIKE 'agency:%%'", ids["child_ids"][0])
    again = colleague.post("/registrations", json=body, headers=key)
    assert (again.status_code, ids["child_ids"][0] in again.text) == (404, False)


# Nobody unlisted does anything with it -----------------------------------------------------------------------------------


def test_the_unlisted_cannot_touch_the_case(service, case):
    certification = done(case.partner.get(case.path("certifications")))["certifications"][0]["id"]
    before = service.sql("SELECT version, state FROM applications WHERE id = %s", case.id)
    colleague, stranger = service.as_("partner", "handl-2"), service.as_("case_worker_2")
    for client, path, there, body in (
            (stranger, "/certifications/{}/revoke", certification, {"reason_code": "other"}),
            (colleague, "/certifications/{}/revoke", certification, {"reason_code": "other"}),
            (colleague, "/applications/{}/withdraw", case.id, {}),
            (case.decider, "/applications/{}/dismiss", case.id, {"reason_code": "duplicate"}),
            (stranger, "/applications/{}/dismiss", case.id, {"reason_code": "duplicate"}),
            (colleague, "/applications/{}/needs", case.id, {"person_id": case.person, "category_code": "food"})):
        answer = client.post(path.format(there), json=body, headers=keyed())
        assert answer.status_code in (403, 404), (path, answer.status_code, answer.text)
        assert is_as_unknown(client, path, there, method="POST", json=body), path
    assert service.sql("SELECT version, state FROM applications WHERE id = %s", case.id) == before
    assert service.sql("SELECT count(*) FROM needs WHERE application_id = %s AND status = 'lapsed'", case.id) == [(0,)]


def test_what_a_decision_maker_does_not_see_she_neither_returns_nor_decides(service, case):
    assert case.decider.post(case.path("return"), json={"message": "Se över."}, headers=keyed()).status_code == 404
    assert case.try_decide(tag='"1.00000000"').status_code == 404
    assert case.try_emergency("food").status_code == 404
    assert service.sql("SELECT returned_at FROM proposals WHERE application_id = %s", case.id) == [(None,)]
    for person in (case.hidden,):
        done(case.triage.post("/access-grants", json={"person_id": person, "reason_code": "decision",
                                                      "officer": "user:" + principal(case.decider)}), 201)
    case.act(case.decider, "return", {"message": "Se över."})
    assert {need["status"] for need in case.read()["needs"]} == {"open"}, "the hidden child's too"


def test_decision_and_grant_are_seen_with_the_case(service):
    case = Case(service).ready("glasses")
    decision = case.decide()["id"]
    other = Case(service).need("food").submit()
    grant = other.emergency("food")["id"]
    stranger = service.as_("decision_maker_2")
    for path in ("/decisions/" + decision, "/emergency-grants/" + grant):
        assert stranger.get(path).status_code == 200
    for each in (case, other):
        done(protection(each.partner, "applicants", each.person, SECRET))
    assert is_as_unknown(stranger, "/decisions/{}", decision)
    assert is_as_unknown(stranger, "/emergency-grants/{}", grant)
    listed = [one["id"] for one in done(stranger.get("/decisions", params={"limit": 100}))["decisions"]]
    assert decision not in listed and grant not in listed
    assert case.triage.get("/decisions/" + decision).status_code in (200, 403)


def test_events_of_such_a_case_carry_no_id(service):
    case = Case(service)
    case.need("shoes", person=case.child(protection=SECRET)).submit()
    since = service.sql("SELECT count(*) FROM outbox WHERE record_id IN (%s, %s)", case.id, case.needs["shoes"])
    assert since == [(1,)], "that the case was opened, before it concerned the child"


# Of whom -----------------------------------------------------------------------------------------------------------------


def test_need_is_for_a_person_of_the_applications_agency(service):
    """Its officers could not see the need, but its decision would list it."""
    case, elsewhere = Case(service), Case(service, "partner_other")
    answer = case.worker.post(case.path("needs"), json={"person_id": elsewhere.person, "category_code": "food"}, headers=keyed())
    errors = [(one["pointer"], one["code"]) for one in answer.json()["errors"]]
    assert (answer.status_code, errors) == (422, [("/person_id", "person_of_another_agency")])
    ours = done(case.worker.post("/applicants", json={"protection": "none"}, headers=keyed()), 201)["id"]
    answer = case.worker.post(case.path("needs"), json={"person_id": ours, "category_code": "food"}, headers=keyed())
    assert answer.status_code == 422
    unseen = elsewhere.child(protection=SECRET)
    answer = case.worker.post(case.path("needs"), json={"person_id": unseen, "category_code": "food"}, headers=keyed())
    assert [one["code"] for one in answer.json()["errors"]] == ["reference_unknown"]


def test_application_of_the_charitys_own_may_be_for_anyone(service):
    worker, elsewhere = service.as_("case_worker"), Case(service, "partner_other")
    mine = done(worker.post("/applications", json={"person_id": elsewhere.person}, headers=keyed()), 201)["id"]
    body = {"person_id": elsewhere.child(), "category_code": "food"}
    done(worker.post(f"/applications/{mine}/needs", json=body, headers=keyed()), 201)


# Two at once -------------------------------------------------------------------------------------------------------------


def test_whoever_waited_for_the_lock_is_asked_again(service):
    """Her statement began when the case concerned nobody hidden, and goes on when it does."""
    case = Case(service).need("food").submit()
    hidden, colleague = case.child(protection=SECRET), service.as_("partner", "handl-2")
    need = ("INSERT INTO needs (id, application_id, person_id, category_code) VALUES (%s, %s, %s, 'shoes')",
            str(uuid.uuid4()), case.id, hidden)
    answer = while_uncommitted(service, [need], lambda: colleague.post(case.path("withdraw"), json={}, headers=keyed()))
    assert answer.status_code == 404, answer.text
    assert case.read(case.partner)["state"] == "submitted"


@pytest.mark.parametrize("attempt", range(6))
def test_whoever_waited_while_a_protected_person_was_added_is_told_nothing(service, attempt):
    """Either she withdrew first, and no need is added; or it was added first, and the case is not there for her."""
    case = Case(service).need("food").submit()
    hidden, colleague = case.child(protection=SECRET), service.as_("partner", "handl-2")
    body = {"person_id": hidden, "category_code": "shoes"}
    added, withdrawn = together(lambda: case.partner.post(case.path("needs"), json=body, headers=keyed()),
                                lambda: colleague.post(case.path("withdraw"), json={}, headers=keyed()))
    assert (added.status_code, withdrawn.status_code) in ((201, 404), (409, 200)), (added.text, withdrawn.text)


@pytest.mark.parametrize("attempt", range(6))
def test_need_added_while_its_person_becomes_protected_protects_the_case(service, attempt):
    case = Case(service)
    child = case.child()
    added, changed = together(
        lambda: case.partner.post(case.path("needs"), json={"person_id": child, "category_code": "shoes"}, headers=keyed()),
        lambda: protection(case.partner, "children", child, SECRET))
    done(added, 201), done(changed)
    assert service.sql("SELECT protected FROM applications WHERE id = %s", case.id) == [(True,)]
    assert case.worker.get(case.path()).status_code == 404


def test_two_whose_protection_ends_at_once_open_the_case(service):
    """The second waits for the first, and sees that nobody is left."""
    case = Case(service)
    one, other = (case.child(protection=SECRET) for _ in range(2))
    case.need("shoes", person=one).need("pram", person=other)
    lower = ("UPDATE persons SET protection = 'none', version = version + 1 WHERE id = %s", one)
    done(while_uncommitted(service, [lower], lambda: protection(case.partner, "children", other, "none")))
    assert service.sql("SELECT protected FROM applications WHERE id = %s", case.id) == [(False,)]
    assert len(case.read(case.worker)["needs"]) == 2
