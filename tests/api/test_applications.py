"""Applications and what hangs on them: who sees and changes what, and what they tell."""

import uuid

import pytest

from casework import Case, codes, done, keyed, principal

TERMINAL = ("withdrawn", "dismissed")


@pytest.fixture
def case(service):
    return Case(service)


def pointers(answer, status=422):
    assert answer.status_code == status, (answer.status_code, answer.text)
    return {(error.get("pointer"), error["code"]) for error in answer.json()["errors"]}


def actions(application):
    return {action["name"]: action for action in application["actions"]}


def change(client, path, **members):
    answer = client.get(path)
    done(answer)
    return client.patch(path, json=members, headers=keyed(**{"If-Match": answer.headers["ETag"]}))


# Opening and changing -----------------------------------------------------------------------------------------------


def test_new_application_is_a_draft_of_the_agency(case):
    application = case.read(case.partner)
    assert application["state"] == "draft"
    assert application["submitted_on"] is None
    assert application["agency_id"]
    assert application["reference"] == "IMT-" + case.id.replace("-", "")[:10].upper()
    assert application["needs"] == []


def test_new_application_says_where_it_is(service):
    case = Case(service)
    answer = case.partner.post("/applications", json={"person_id": case.person, "summary": "Akut läge."}, headers=keyed())
    body = done(answer, 201)
    assert answer.headers["Location"].endswith("/v1/applications/" + body["id"])
    assert done(case.partner.get("/applications/" + body["id"])) == body
    assert body["summary"] == "Akut läge."


def test_person_of_another_agency_is_unknown(service, case):
    answer = service.as_("partner_other", "handl-9").post("/applications", json={"person_id": case.person}, headers=keyed())
    assert pointers(answer) == {("/person_id", "reference_unknown")}


def test_person_who_is_not_there_is_answered_in_the_same_words(service, case):
    client = service.as_("partner_other", "handl-9")
    hidden = client.post("/applications", json={"person_id": case.person}, headers=keyed()).json()
    absent = client.post("/applications", json={"person_id": str(uuid.uuid4())}, headers=keyed()).json()
    for body in (hidden, absent):
        del body["instance"], body["trace_id"]
    assert hidden == absent


def test_application_of_another_agency_does_not_exist(service, case):
    other = service.as_("partner_other", "handl-9")
    case.need("food")
    for path in (case.path(), case.path("needs"), case.path("steps"), "/needs/" + case.needs["food"]):
        assert other.get(path).status_code == 404, path
    assert other.post(case.path("submit"), json={}, headers=keyed()).status_code == 404
    assert other.post(case.path("withdraw"), json={}, headers=keyed()).status_code == 404


def test_summary_is_changed_in_a_draft_only(case):
    assert done(change(case.partner, case.path(), summary="Mer om läget."))["summary"] == "Mer om läget."
    case.need("food").submit()
    assert codes(change(case.partner, case.path(), summary="Något annat.")) == {"invalid_transition"}


def test_reference_of_the_agency_is_changed_at_any_time(case):
    case.need("food").submit()
    reference = "soc-" + uuid.uuid4().hex[:8]
    changed = done(change(case.partner, case.path(), external_id=reference))
    assert changed["external_id"] == reference
    assert done(change(case.partner, case.path(), external_id=None))["external_id"] is None


def test_reference_is_unique_within_the_agency(service):
    reference = "soc-" + uuid.uuid4().hex[:8]
    one, other = Case(service), Case(service)
    done(change(one.partner, one.path(), external_id=reference))
    answer = change(other.partner, other.path(), external_id=reference)
    assert answer.status_code == 409
    assert answer.json()["code"] == "application_external_id_taken"
    elsewhere = Case(service, "partner_other")
    done(change(elsewhere.partner, elsewhere.path(), external_id=reference))


def test_reference_of_a_hidden_case_never_answers(service):
    """Hidden by its applicant, or by whom a need is for; and it cannot be shown while another has its reference."""
    reference = "soc-" + uuid.uuid4().hex[:8]
    hidden, other = Case(service, protection="sekretessmarkering"), Case(service)
    mixed = Case(service)
    mixed.need("shoes", person=mixed.child(protection="unknown"))
    for case in (hidden, mixed):
        done(change(case.partner, case.path(), external_id=reference))
    colleague = service.as_("partner", "handl-2")
    done(change(colleague, other.path(), external_id=reference))
    assert listed(colleague, external_id=reference) == [other.id]
    assert set(listed(hidden.partner, external_id=reference)) == {hidden.id, mixed.id, other.id}
    person = "/applicants/" + hidden.person
    answer = change(hidden.partner, person, protection="none")
    assert (answer.status_code, answer.json()["code"]) == (409, "application_external_id_taken")
    assert colleague.get(hidden.path()).status_code == 404
    done(change(hidden.partner, hidden.path(), external_id=None))
    done(change(hidden.partner, person, protection="none"))


def test_reference_may_not_look_like_an_identity_number(case):
    answer = change(case.partner, case.path(), external_id="19850709-9805")
    assert answer.status_code == 422


def test_change_of_a_stale_version_is_refused(case):
    tag = case.tag(case.partner)
    case.need("food")
    answer = case.partner.patch(case.path(), json={"summary": "X"}, headers=keyed(**{"If-Match": tag}))
    assert answer.status_code == 412


def test_change_without_a_version_is_refused(case):
    assert case.partner.patch(case.path(), json={"summary": "X"}, headers=keyed()).status_code == 428


def test_state_is_not_changed_by_a_patch(case):
    assert pointers(change(case.partner, case.path(), state="decided")) == {("/state", "read_only")}


def test_unchanged_read_only_members_are_accepted(case):
    application = case.read(case.partner)
    same = {name: application[name] for name in ("id", "reference", "state", "agency_id", "person_id")}
    assert done(change(case.partner, case.path(), **same, summary="Läget."))["summary"] == "Läget."


def test_repeated_create_has_its_effect_once(case):
    headers = keyed()
    one = done(case.partner.post("/applications", json={"person_id": case.person}, headers=headers), 201)
    other = done(case.partner.post("/applications", json={"person_id": case.person}, headers=headers), 201)
    assert one["id"] == other["id"]


def test_change_below_raises_the_version(case):
    before = case.read()["version"]
    case.need("food")
    middle = case.read()["version"]
    case.certify("food")
    assert before < middle < case.read()["version"]


# Lists --------------------------------------------------------------------------------------------------------------


def listed(client, **filters):
    return [row["id"] for row in done(client.get("/applications", params={"limit": 100} | filters))["applications"]]


def test_list_is_filtered_by_person_and_state(service, case):
    assert listed(case.partner, person_id=case.person) == [case.id]
    assert listed(case.partner, person_id=case.person, state="submitted") == []
    case.need("food").submit()
    assert listed(case.worker, person_id=case.person, state="submitted") == [case.id]


def test_list_is_filtered_by_who_works_with_it(case):
    case.need("food").submit().review()
    assert case.id in listed(case.worker, assigned_to=principal(case.worker))
    assert case.id not in listed(case.worker, assigned_to=principal(case.decider))


def test_list_is_filtered_by_reference(case):
    reference = "soc-" + uuid.uuid4().hex[:8]
    done(change(case.partner, case.path(), external_id=reference))
    assert listed(case.partner, external_id=reference) == [case.id]
    assert listed(case.partner, external_id=reference + "x") == []


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "updated_at", "-updated_at"])
def test_list_is_in_order_and_paged_without_gap(service, sort):
    cases = [Case(service, "partner_ngo") for _ in range(3)]
    client, seen, path = cases[0].partner, [], f"/applications?limit=2&sort={sort}"
    while path:
        answer = client.get(path)
        page = done(answer)
        seen += page["applications"]
        path = page["_links"].get("next", {}).get("href")
    ids = [row["id"] for row in seen]
    assert len(ids) == len(set(ids))
    assert {case.id for case in cases} <= set(ids)
    keys = [(row[sort.lstrip("-")], row["id"]) for row in seen]
    assert keys == sorted(keys, reverse=sort.startswith("-"))


def test_list_opens_no_text(case):
    done(change(case.partner, case.path(), summary="Mycket privat."))
    answer = case.partner.get("/applications", params={"person_id": case.person})
    assert "Mycket privat" not in answer.text
    assert "actions" not in answer.json()["applications"][0]


def test_list_holds_the_own_agency_only(service, case):
    elsewhere = Case(service, "partner_other")
    assert case.id not in listed(elsewhere.partner, sort="-created_at")
    assert elsewhere.id not in listed(case.partner, sort="-created_at")
    assert {case.id, elsewhere.id} <= set(listed(case.worker, sort="-created_at"))


def test_unknown_filter_is_refused(case):
    assert case.partner.get("/applications", params={"reference": "IMT-0000000000"}).status_code == 400


# Roles ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["fund_manager", "project_manager", "auditor", "admin", "intake"])
def test_others_see_no_application(service, case, role):
    client = service.as_(role)
    assert client.get("/applications").status_code == 403
    assert client.get(case.path()).status_code == 403


@pytest.mark.parametrize("action,body", [
    ("assign", {"assigned_to": str(uuid.uuid4())}), ("start-review", {}), ("request-information", {"message": "?"}),
    ("propose", {"lines": [{"need_id": str(uuid.uuid4()), "outcome": "refused"}]}), ("return", {"message": "?"}),
    ("dismiss", {"reason_code": "spam"}), ("close", {}),
    ("obligation-assessments", {"need_id": str(uuid.uuid4()), "body_code": "region", "outcome": "pending"}),
    ("best-interest-assessments", {"person_id": str(uuid.uuid4()), "child_heard": "not_heard", "outcome": "supports",
                                   "considerations": "X"}),
])
def test_partner_cannot_do_what_staff_do(case, action, body):
    assert case.partner.post(case.path(action), json=body, headers=keyed()).status_code == 403


def test_partner_does_not_read_staffs_assessments(case):
    for part in ("obligation-assessments", "best-interest-assessments", "proposals"):
        assert case.partner.get(case.path(part)).status_code == 403


def test_case_worker_cannot_assign_or_return(case):
    case.need("food").submit()
    assert case.worker.post(case.path("assign"), json={"assigned_to": principal(case.worker)}, headers=keyed()).status_code == 403
    assert case.worker.post(case.path("return"), json={"message": "?"}, headers=keyed()).status_code == 403


# What an application tells of itself ------------------------------------------------------------------------------------


def test_actions_are_those_of_the_callers_roles(case):
    partners, workers, deciders = (actions(case.read(c)) for c in (case.partner, case.worker, case.decider))
    assert {"submit", "withdraw", "needs", "certifications", "request-reconsideration"} <= set(partners)
    assert not {"propose", "assign", "decisions", "dismiss"} & set(partners)
    assert {"propose", "start-review", "obligation-assessments"} <= set(workers)
    assert {"decisions", "return", "assign"} <= set(deciders) and "propose" not in deciders


def test_actions_say_what_stands_in_the_way(case):
    assert actions(case.read(case.partner))["submit"] == {"name": "submit", "allowed": False, "blocked_by": ["needs_missing"]}
    case.need("food")
    assert actions(case.read(case.partner))["submit"] == {"name": "submit", "allowed": True, "blocked_by": []}
    case.submit()
    assert actions(case.read(case.partner))["submit"]["blocked_by"] == ["invalid_transition"]
    assert actions(case.read(case.worker))["start-review"]["blocked_by"] == ["not_assigned"]


def test_actions_agree_with_what_happens(case):
    case.need("food").submit().review()
    told = actions(case.read(case.worker))["propose"]
    body = {"lines": [{"need_id": case.needs["food"], "outcome": "refused"}]}
    assert codes(case.worker.post(case.path("propose"), json=body, headers=keyed())) == set(told["blocked_by"])


# Needs ------------------------------------------------------------------------------------------------------------------


def test_need_is_for_someone_whom_the_caller_sees(service, case):
    hidden = Case(service, "partner_other").person
    body = {"person_id": hidden, "category_code": "food"}
    assert pointers(case.partner.post(case.path("needs"), json=body, headers=keyed())) == {("/person_id", "reference_unknown")}


def test_need_has_a_known_category(case):
    body = {"person_id": case.person, "category_code": "yacht"}
    assert pointers(case.partner.post(case.path("needs"), json=body, headers=keyed())) == {("/category_code", "code_unknown")}


def test_need_is_changed_while_open(case):
    case.need("food")
    need = done(change(case.partner, "/needs/" + case.needs["food"], requested_ore=12_300, description="Mat i en vecka."))
    assert (need["requested_ore"], need["description"], need["category_code"]) == (12_300, "Mat i en vecka.", "food")
    assert done(change(case.partner, "/needs/" + need["id"], requested_ore=None))["requested_ore"] is None


def test_proposed_need_is_not_changed(case):
    case.ready("glasses")
    assert "need_not_open" in codes(change(case.partner, "/needs/" + case.needs["glasses"], requested_ore=1))


def test_need_is_not_added_to_a_decided_case(case):
    case.ready("glasses").decide()
    body = {"person_id": case.person, "category_code": "food"}
    assert codes(case.partner.post(case.path("needs"), json=body, headers=keyed())) == {"invalid_transition"}


def test_changed_need_must_be_certified_and_assessed_again(case):
    case.need("food").submit().review().certify().eligible().obligation()
    done(change(case.partner, "/needs/" + case.needs["food"], category_code="computer"))
    body = {"lines": [{"need_id": case.needs["food"], "outcome": "refused"}]}
    refused = case.worker.post(case.path("propose"), json=body, headers=keyed())
    assert codes(refused) == {"certification_missing", "assessment_missing"}
    case.certify().obligation().propose()


# Representatives and certifications ----------------------------------------------------------------------------------------


def ombud(case, **members):
    body = {"mandate_code": "agency_assignment", "name": "Karin Lindqvist", "phone": "+46701740605"} | members
    return case.act(case.partner, "representatives", body, 201)


def test_representative_is_added_and_ends(case):
    added = ombud(case)
    assert added["name"] == "Karin Lindqvist"
    ended = done(case.partner.post(f"/representatives/{added['id']}/end", json={}, headers=keyed()))
    assert ended["ended_at"] and ended["until_on"]
    assert codes(case.partner.post(f"/representatives/{added['id']}/end", json={}, headers=keyed())) == {"mandate_ended"}
    assert [row["id"] for row in done(case.worker.get(case.path("representatives")))["representatives"]] == [added["id"]]


def test_representative_of_another_application_cannot_certify(service, case):
    stranger = ombud(Case(service))
    body = {"need_ids": [case.need("food").needs["food"]], "representative_id": stranger["id"]}
    assert pointers(case.partner.post(case.path("certifications"), json=body, headers=keyed())) == {
        ("/representative_id", "reference_unknown")}


def test_representative_cannot_certify_before_the_mandate(case):
    late = ombud(case, from_on="2020-01-10", until_on="2020-12-31")
    body = {"need_ids": [case.need("food").needs["food"]], "representative_id": late["id"], "certified_on": "2020-01-09"}
    assert pointers(case.partner.post(case.path("certifications"), json=body, headers=keyed())) == {
        ("/representative_id", "mandate_not_in_force")}


def test_mandate_that_has_ended_certifies_nothing_more(case):
    """Also when its end was stated as a day to come, which no ended mandate has."""
    person = ombud(case, until_on="2199-01-01")["id"]
    case.need("food")
    answer = case.partner.post(f"/representatives/{person}/end", json={"until_on": "2199-01-01"}, headers=keyed())
    assert pointers(answer) == {("/until_on", "date_in_future")}
    body = {"need_ids": case.ids(()), "representative_id": person, "statement": "Intyg."}
    done(case.partner.post(case.path("certifications"), json=body, headers=keyed()), 201)
    done(case.partner.post(f"/representatives/{person}/end", json={}, headers=keyed()))
    answer = case.partner.post(case.path("certifications"), json=body, headers=keyed())
    assert pointers(answer) == {("/representative_id", "mandate_not_in_force")}


def test_mandate_that_is_past_or_to_come_certifies_nothing(case):
    case.need("food")
    for period in ({"from_on": "2020-01-01", "until_on": "2020-02-01"}, {"from_on": "2199-01-01"}):
        body = {"need_ids": case.ids(()), "representative_id": ombud(case, **period)["id"], "statement": "Intyg."}
        answer = case.partner.post(case.path("certifications"), json=body, headers=keyed())
        assert pointers(answer) == {("/representative_id", "mandate_not_in_force")}


def test_mandate_does_not_end_before_it_begins(case):
    body = {"mandate_code": "oral", "from_on": "2026-02-02", "until_on": "2026-02-01"}
    answer = case.partner.post(case.path("representatives"), json=body, headers=keyed())
    assert pointers(answer) == {("/until_on", "mandate_period_invalid")}


def test_certification_holds_90_days_unless_it_says(case):
    case.need("food")
    body = {"need_ids": [case.needs["food"]], "certified_on": "2026-01-01"}
    certified = case.act(case.partner, "certifications", body, 201)
    assert (certified["expires_on"], certified["evidence"]) == ("2026-04-01", "own_knowledge")


def test_certification_of_a_need_of_another_case_is_refused(service, case):
    other = Case(service).need("food")
    body = {"need_ids": [case.need("food").needs["food"], other.needs["food"]]}
    assert pointers(case.partner.post(case.path("certifications"), json=body, headers=keyed())) == {
        ("/need_ids/1", "reference_unknown")}


def test_staff_record_a_certification_on_evidence_only(case):
    body = {"need_ids": [case.need("food").needs["food"]]}
    for more in ({}, {"evidence": "own_knowledge"}):
        refused = case.worker.post(case.path("certifications"), json=body | more, headers=keyed())
        assert pointers(refused) == {("/evidence", "evidence_required")}
    assert case.act(case.worker, "certifications", body | {"evidence": "document"}, 201)["evidence"] == "document"


def test_certification_is_not_given_tomorrow(case):
    body = {"need_ids": [case.need("food").needs["food"]], "certified_on": "2999-01-01"}
    assert pointers(case.partner.post(case.path("certifications"), json=body, headers=keyed())) == {
        ("/certified_on", "date_in_future")}


def test_certification_does_not_expire_before_it_is_given(case):
    body = {"need_ids": [case.need("food").needs["food"]], "certified_on": "2026-02-02", "expires_on": "2026-02-01"}
    assert pointers(case.partner.post(case.path("certifications"), json=body, headers=keyed())) == {
        ("/expires_on", "certification_period_invalid")}


def test_certification_is_revoked_once(case):
    case.need("food").certify()
    certification = done(case.partner.get(case.path("certifications")))["certifications"][0]["id"]
    revoke = lambda: case.partner.post(f"/certifications/{certification}/revoke", json={"reason_code": "mistaken"}, headers=keyed())  # noqa: E731
    assert done(revoke())["revocation_reason_code"] == "mistaken"
    assert codes(revoke()) == {"already_revoked"}
    assert case.read()["needs"][0]["certified_until"] is None


# Assessments -----------------------------------------------------------------------------------------------------------------


def test_latest_assessment_counts(case):
    case.need("food").submit().review().certify().eligible().obligation("pending")
    body = {"lines": [{"need_id": case.needs["food"], "outcome": "refused"}]}
    assert codes(case.worker.post(case.path("propose"), json=body, headers=keyed())) == {"assessment_missing"}
    case.obligation("not_obliged").propose()


def test_refusal_starts_the_time_for_appeal(case):
    case.need("food").submit()
    body = {"need_id": case.needs["food"], "body_code": "region", "outcome": "refused", "asked_on": "2026-01-02",
            "answered_on": "2026-01-10", "note": "Avslag."}
    assessed = case.act(case.worker, "obligation-assessments", body, 201)
    assert (assessed["appeal_by"], assessed["note"]) == ("2026-01-31", "Avslag.")


@pytest.mark.parametrize("more,fault", [
    ({"asked_on": "2026-01-02", "answered_on": "2026-01-01"}, ("/answered_on", "answered_before_asked")),
    ({"answered_on": "2999-01-01"}, ("/answered_on", "date_in_future")),
    ({"outcome": "pending", "answered_on": "2026-01-01"}, ("/answered_on", "pending_has_no_answer")),
    ({"body_code": "kungahuset"}, ("/body_code", "code_unknown")),
])
def test_assessment_makes_sense(case, more, fault):
    case.need("food").submit()
    body = {"need_id": case.needs["food"], "body_code": "region", "outcome": "refused"} | more
    assert pointers(case.worker.post(case.path("obligation-assessments"), json=body, headers=keyed())) == {fault}


def test_best_interest_is_of_a_child_in_the_case(case):
    case.need("food").submit()
    body = {"person_id": case.child(), "child_heard": "in_person", "outcome": "supports", "considerations": "Skolan."}
    assert pointers(case.worker.post(case.path("best-interest-assessments"), json=body, headers=keyed())) == {
        ("/person_id", "reference_unknown")}


# Steps --------------------------------------------------------------------------------------------------------------------------


def test_steps_tell_what_was_done_and_said(case):
    case.need("food").submit().review()
    case.act(case.worker, "request-information", {"message": "Hur länge räcker maten?"})
    case.act(case.partner, "answer-information", {"message": "Till fredag."})
    steps = done(case.worker.get(case.path("steps")))["steps"]
    assert [step["action"] for step in steps] == ["submit", "assign", "start-review", "request-information", "answer-information"]
    assert [step.get("message") for step in steps[-2:]] == ["Hur länge räcker maten?", "Till fredag."]
    assert (steps[-1]["from_state"], steps[-1]["to_state"]) == ("information_requested", "under_review")


def test_partner_does_not_read_what_staff_say_among_themselves(case):
    case.ready("glasses")
    case.act(case.decider, "return", {"message": "Motivera bättre."})
    answer = case.partner.get(case.path("steps"))
    assert "Motivera" not in answer.text
    assert [step["action"] for step in done(answer)["steps"]] == ["submit", "start-review"]


def test_messages_are_sealed_in_the_database(service, case):
    case.need("food").submit()
    case.act(case.worker, "request-information", {"message": "Hemligt meddelande."})
    held = service.sql("SELECT string_agg(t::text, '') FROM application_steps t")[0][0]
    assert "Hemligt" not in held and "Hemligt".encode().hex() not in held
