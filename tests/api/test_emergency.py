"""An acute night: one person grants alone, within caps, and another looks at it afterwards."""

import threading

import pytest

from casework import Case, codes, done, keyed, principal

CAPS = {"emergency_case_cap_ore": 100_000, "emergency_actor_cap_ore": 150_000}


@pytest.fixture
def service(serving):
    """A service of its own for each test: what one actor granted counts against her in the next."""
    with serving(**CAPS) as running:
        with running.connect() as connection:  # nor does what the demo granted
            connection.execute("SET session_replication_role = replica")
            connection.execute("UPDATE decisions SET decided_by = %s", [principal(running.as_("admin"))])
        yield running


@pytest.fixture
def case(service):
    return Case(service).need("food").need("education").submit()


def age(case, days):
    """Moves the case's emergency grants into the past."""
    with case.service.connect() as connection:
        connection.execute("ALTER TABLE decisions DISABLE TRIGGER ALL")
        connection.execute("UPDATE decisions SET decided_at = now() - make_interval(days => %s) WHERE application_id = %s", [days, case.id])
        connection.execute("ALTER TABLE decisions ENABLE TRIGGER ALL")


def test_an_acute_night(case):
    """Food at night, before anyone reviewed, certified or assessed; in the morning it is certified and ratified."""
    answer = case.try_emergency("food")
    grant = done(answer, 201)
    assert answer.headers["Location"].endswith("/v1/emergency-grants/" + grant["id"])
    assert grant["ratification"] == "pending" and grant["certified"] is False
    assert grant["payee_vendor"]["name"] == "Nattöppet Livs AB"
    assert {n["category_code"]: n["status"] for n in case.read()["needs"]} == {"food": "granted", "education": "open"}
    assert case.read()["state"] == "submitted"
    case.certify("food")
    ratified = done(case.ratify(grant["id"]))
    assert ratified["ratification"] == "ratified" and ratified["certified"] is True
    assert ratified["ratified_by"] == principal(case.other_decider)
    assert case.read()["state"] == "submitted"


def test_ratification_decides_when_nothing_is_left(service):
    case = Case(service).need("food").submit()
    grant = case.emergency("food")
    done(case.ratify(grant["id"]))
    assert case.read()["state"] == "decided"


def test_the_rest_is_decided_as_usual(case):
    grant = case.emergency("food")
    case.review().certify().eligible().obligation("not_obliged", "education").propose("education")
    case.decide(case.line("education"))
    assert case.read()["state"] == "decided"
    kinds = [d["kind"] for d in done(case.partner.get(case.path("decisions")))["decisions"]]
    assert sorted(kinds) == ["decision", "emergency"]
    assert done(case.partner.get("/emergency-grants/" + grant["id"]))["id"] == grant["id"]


@pytest.mark.parametrize("role", ["partner", "case_worker", "triage", "fund_manager", "admin"])
def test_only_a_decision_maker_grants(service, case, role):
    client = service.as_(role, "handl-1" if role == "partner" else None)
    assert case.try_emergency("food", client=client).status_code == 403


def test_category_must_be_one_for_emergencies(case):
    assert codes(case.try_emergency("education")) == {"not_an_emergency_category"}


def test_a_draft_gets_no_emergency_grant(service):
    assert codes(Case(service).need("food").try_emergency("food")) == {"invalid_transition"}


def test_a_settled_need_gets_no_emergency_grant(case):
    case.emergency("food")
    assert codes(case.try_emergency("food")) == {"need_not_open"}


def test_key_is_required_since_money_moves(case):
    body = {"need_id": case.needs["food"], "amount_ore": 100, "reasoning": "Hon står utan mat i natt.",
            "payee_vendor": {"name": "Livs", "organisation_number": "556677-8899"}}
    assert case.decider.post(case.path("emergency-grants"), json=body).status_code == 400


def test_payee_is_a_vendor(case):
    answer = case.try_emergency("food", payee_vendor={"name": "Hon själv"})
    assert answer.status_code == 422
    assert case.try_emergency("food", payee_vendor={"name": "X", "organisation_number": "701063-2391"}).status_code == 422


def test_payee_is_sealed(case):
    grant = case.emergency("food")
    sealed = case.service.sql("SELECT sealed_payee FROM decisions WHERE id = %s", grant["id"])[0][0]
    assert sealed and b"Livs" not in bytes(sealed)


def test_case_has_a_cap(service):
    case = Case(service).need("food").need("clothes").submit()
    case.emergency("food", amount_ore=60_000)
    assert codes(case.try_emergency("clothes", amount_ore=40_001)) == {"emergency_case_cap"}
    assert codes(case.try_emergency("clothes", amount_ore=40_001, client=case.other_decider)) == {"emergency_case_cap"}
    case.emergency("clothes", amount_ore=40_000)


def test_actor_has_a_cap_for_30_days(service):
    first, second = Case(service).need("food").submit(), Case(service).need("food").submit()
    first.emergency("food", amount_ore=90_000)
    assert codes(second.try_emergency("food", amount_ore=60_001)) == {"emergency_actor_cap"}
    second.certify()
    done(first.certify().ratify(first_grant(first)))
    age(first, 31)
    second.emergency("food", amount_ore=60_001)


def first_grant(case):
    return done(case.decider.get(case.path("emergency-grants")))["emergency_grants"][0]["id"]


def test_two_at_once_do_not_pass_the_actors_cap(service):
    cases = [Case(service).need("food").submit(), Case(service).need("medicine").submit()]
    cases[0].tag(cases[0].decider)
    answers = []
    jobs = [(cases[0], "food"), (cases[1], "medicine")]
    threads = [threading.Thread(target=lambda c=c, n=n: answers.append(c.try_emergency(n, amount_ore=80_000).status_code)) for c, n in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 409]


def test_unratified_after_7_days_blocks_the_actor(service, case):
    grant = case.emergency("food")
    case.certify("food")
    other = Case(service).need("medicine").submit()
    age(case, 8)
    assert codes(other.try_emergency("medicine")) == {"ratification_overdue"}
    other.emergency("medicine", client=case.other_decider)  # only that actor is blocked
    done(case.ratify(grant["id"]))
    Case(service).need("medicine").submit().emergency("medicine")


def test_within_7_days_nobody_is_blocked(service, case):
    case.emergency("food")
    age(case, 6)
    Case(service).need("medicine").submit().emergency("medicine")


def test_uncertified_after_14_days_blocks_the_actor(service, case):
    grant = case.emergency("food")
    done(case.ratify(grant["id"]))
    age(case, 15)
    other = Case(service).need("medicine").submit()
    assert codes(other.try_emergency("medicine")) == {"ratification_overdue"}
    case.certify("food")
    other.emergency("medicine")


def test_certification_revoked_since_blocks_again(service, case):
    grant = case.emergency("food")
    case.certify("food")
    done(case.ratify(grant["id"]))
    age(case, 15)
    service.sql("UPDATE certifications SET revoked_at = now(), revocation_reason_code = 'mistake' WHERE application_id = %s", case.id)
    assert codes(Case(service).need("medicine").submit().try_emergency("medicine")) == {"ratification_overdue"}


def test_nobody_ratifies_her_own(case):
    grant = case.emergency("food")
    assert codes(case.ratify(grant["id"], case.decider)) == {"four_eyes_required"}


def test_ratifying_ones_own_a_second_time_fails_on_both_counts(case):
    """The constraint behind it would stop the one; the gates tell of both."""
    grant = case.emergency("food")["id"]
    done(case.ratify(grant))
    assert codes(case.ratify(grant, case.decider)) == {"four_eyes_required", "already_ratified"}


def test_ratified_once(case):
    grant = case.emergency("food")
    done(case.ratify(grant["id"]))
    assert codes(case.ratify(grant["id"])) == {"already_ratified"}


def test_ratifying_needs_the_version(case):
    grant = case.emergency("food")["id"]
    path = f"/emergency-grants/{grant}/ratify"
    assert case.other_decider.post(path, headers=keyed()).status_code == 428
    assert case.other_decider.post(path, headers=keyed(**{"If-Match": '"7.00000000"'})).status_code == 412


def test_case_worker_does_not_ratify(case):
    grant = case.emergency("food")
    assert case.ratify(grant["id"], case.worker).status_code == 403


def test_an_ordinary_decision_is_no_emergency_grant(service):
    case = Case(service).ready("glasses")
    decision = case.decide()["id"]
    assert case.decider.get("/emergency-grants/" + decision).status_code == 404
    assert case.ratify(decision).status_code == 404


def test_pending_ones_are_found(service, case):
    grant = case.emergency("food")["id"]

    def pending():
        page = done(case.other_decider.get("/emergency-grants", params={"ratification": "pending", "application_id": case.id}))
        return [g["id"] for g in page["emergency_grants"]]

    assert pending() == [grant]
    done(case.ratify(grant))
    assert pending() == []


def test_another_agency_sees_no_emergency_grant(service, case):
    grant = case.emergency("food")["id"]
    other = service.as_("partner_other", "handl-9")
    assert other.get("/emergency-grants/" + grant).status_code == 404
    assert grant not in other.get("/emergency-grants").text


def test_a_replayed_grant_is_one_grant(case):
    body = {"need_id": case.needs["food"], "amount_ore": 20_000, "reasoning": "Hon står utan mat i natt.",
            "payee_vendor": {"name": "Livs", "organisation_number": "556677-8899"}}
    headers = keyed()
    first = done(case.decider.post(case.path("emergency-grants"), json=body, headers=headers), 201)
    again = done(case.decider.post(case.path("emergency-grants"), json=body, headers=headers), 201)
    assert first == again
    assert case.service.sql("SELECT count(*) FROM decisions WHERE application_id = %s", case.id) == [(1,)]


def test_emergency_grant_counts_as_a_grant(service, case):
    case.emergency("food")
    with_same_number = {"identifiers": [{"kind": "samordningsnummer", "number": "701063-2391"}]}
    first = Case(service, **with_same_number).need("food").submit()
    first.emergency("food", client=first.other_decider)
    second = Case(service, "partner_other", **with_same_number).ready("food")
    assert codes(second.try_decide()) == {"possible_double_grant"}


def test_reading_a_grant_while_waiting_for_information(case):
    """The state in which an application waits is kept through an emergency."""
    case.act(case.worker, "request-information", {"message": "Vilken storlek har barnet?"})
    case.emergency("food")
    assert case.read()["state"] == "information_requested"
    case.act(case.partner, "answer-information", {"message": "Storlek 110."})
    assert case.read()["state"] == "submitted"


# One person alone, and no further ------------------------------------------------------------------------------------------


def settled(service, outcome, amount_ore=30_000):
    """A case whose food was decided, and is reconsidered."""
    case = Case(service).ready("food")
    case.decide(case.line("food", outcome, amount_ore), client=case.other_decider)
    done(case.reconsider("food"))
    return case


@pytest.mark.parametrize("outcome", ["granted", "refused"])
def test_what_another_decided_is_not_overturned_at_night(service, outcome):
    case = settled(service, outcome)
    told = next(a for a in case.read(case.decider)["actions"] if a["name"] == "emergency-grants")
    assert told["blocked_by"] == ["decision_stands"]
    assert codes(case.try_emergency("food", amount_ore=1)) == {"decision_stands"}
    case.act(case.partner, "withdraw")
    assert case.read()["needs"][0]["status"] == outcome


def test_another_need_may_be_granted_while_one_is_reconsidered(service):
    case = settled(service, "granted").need("medicine")
    told = next(a for a in case.read(case.decider)["actions"] if a["name"] == "emergency-grants")
    assert told["allowed"]
    case.emergency("medicine")


def test_at_night_nobody_gets_more_than_was_asked_for(service):
    case = Case(service)
    body = {"person_id": case.person, "category_code": "food", "requested_ore": 10_000, "description": "Mat."}
    case.needs["food"] = done(case.partner.post(case.path("needs"), json=body, headers=keyed()), 201)["id"]
    case.submit()
    assert codes(case.try_emergency("food", amount_ore=10_001)) == {"above_request"}
    case.emergency("food", amount_ore=10_000)


def superseded(service):
    """A night's grant that a later decision replaced before anybody looked at it."""
    case = Case(service).need("food").need("education").submit()
    grant = case.emergency("food")
    case.review().certify().eligible().obligation().propose("education").decide(case.line("education"), client=case.other_decider)
    done(case.reconsider("food", client=case.other_decider))
    case.propose("food").decide(case.line("food", "refused"))
    assert done(case.decider.get("/emergency-grants/" + grant["id"]))["superseded_by"]
    return case, grant["id"]


def test_superseded_grant_still_waits_for_another(service):
    case, grant = superseded(service)
    age(case, 8)
    assert codes(Case(service).need("medicine").submit().try_emergency("medicine")) == {"ratification_overdue"}
    assert codes(case.ratify(grant, case.decider)) == {"four_eyes_required"}
    done(case.ratify(grant))
    Case(service).need("medicine").submit().emergency("medicine")


def certified(case, grant):
    return done(case.decider.get("/emergency-grants/" + grant))["certified"]


def test_what_was_certified_before_the_need_changed_certifies_no_grant(service):
    case = Case(service).need("medicine").submit().certify()
    path = "/needs/" + case.needs["medicine"]
    tag = case.partner.get(path).headers["ETag"]
    done(case.partner.patch(path, json={"category_code": "food"}, headers=keyed(**{"If-Match": tag})))
    grant = case.emergency("medicine")["id"]
    assert not certified(case, grant)
    done(case.ratify(grant))
    age(case, 15)
    assert codes(Case(service).need("clothes").submit().try_emergency("clothes")) == {"ratification_overdue"}
    case.certify("medicine")
    assert certified(case, grant)


def test_certification_that_had_expired_certifies_no_grant(service):
    case = Case(service).need("food").submit().certify(certified_on="2001-01-01", expires_on="2001-01-02")
    grant = case.emergency("food")["id"]
    assert not certified(case, grant)
    case.certify()
    assert certified(case, grant)


def certify(case, *names, client=None):
    body = {"need_ids": case.ids(names), "statement": "Intyget finns i akten.", "evidence": "document"}
    return (client or case.partner).post(case.path("certifications"), json=body, headers=keyed())


def told_of_certifying(case, client=None):
    return next(a["blocked_by"] for a in case.read(client or case.partner)["actions"] if a["name"] == "certifications")


@pytest.mark.parametrize("state", ["withdrawn", "dismissed", "closed"])
def test_night_is_certified_also_when_the_case_has_ended(service, state):
    """The actor is blocked until it is."""
    case = Case(service).need("food").submit()
    if state != "closed":
        case.need("education")
    done(case.ratify(case.emergency("food")["id"]))
    if state == "withdrawn":
        case.act(case.partner, "withdraw")
    else:
        case.act(case.worker, *(("dismiss", {"reason_code": "lapsed"}) if state == "dismissed" else ("close",)))
    assert case.read()["state"] == state and told_of_certifying(case) == []
    if state != "closed":
        assert codes(certify(case, "education")) == {"invalid_transition"}
    age(case, 15)
    done(certify(case, "food"), 201)
    assert told_of_certifying(case) == ["invalid_transition"]
    assert codes(certify(case, "food")) == {"invalid_transition"}
    Case(service).need("medicine").submit().emergency("medicine")


def both_roles(service, client):
    service.sql("UPDATE principals SET roles = '{case_worker,decision_maker}' WHERE id = %s", principal(client))
    client.asked = None  # a new token
    return client


def test_whoever_certified_does_not_ratify(service, case):
    both = both_roles(service, service.as_("case_worker_2"))
    grant = case.emergency("food")["id"]
    done(certify(case, "food", client=both), 201)
    assert codes(case.ratify(grant, both)) == {"four_eyes_required"}
    done(case.ratify(grant))


def test_whoever_granted_or_ratified_does_not_certify(service):
    case = Case(service).need("food").submit()
    actor, other = (both_roles(service, service.as_(name)) for name in ("case_worker_2", "decision_maker_2"))
    grant = case.emergency("food", client=actor)["id"]
    assert told_of_certifying(case, actor) == ["four_eyes_required"]
    assert codes(certify(case, "food", client=actor)) == {"four_eyes_required"}
    done(case.ratify(grant, other))
    assert codes(certify(case, "food", client=other)) == {"four_eyes_required"}
    assert not certified(case, grant)
    case.certify("food")
    assert certified(case, grant)


def test_what_the_actor_certified_before_certifies_nothing(service):
    case = Case(service).need("food").submit()
    actor = both_roles(service, service.as_("case_worker_2"))
    done(certify(case, "food", client=actor), 201)
    assert case.emergency("food", client=actor)["certified"] is False


def another_for(case):
    """One more application for the same person."""
    second = object.__new__(Case)
    second.__dict__.update(case.__dict__)
    second.id = done(case.partner.post("/applications", json={"person_id": case.person}, headers=keyed()), 201)["id"]
    second.needs = {}
    return second


def test_cap_is_the_persons_whatever_the_application(service):
    case = Case(service).need("food").submit()
    case.emergency("food", amount_ore=60_000)
    second = another_for(case).need("medicine").submit()
    assert codes(second.try_emergency("medicine", amount_ore=40_001)) == {"emergency_case_cap"}
    assert codes(second.try_emergency("medicine", amount_ore=40_001, client=case.other_decider)) == {"emergency_case_cap"}
    second.emergency("medicine", amount_ore=40_000)
    age(case, 31), age(second, 31)
    another_for(case).need("clothes").submit().emergency("clothes", amount_ore=90_000, client=service.as_("decision_maker_2"))


def test_cap_is_the_persons_at_any_agency(service):
    number = {"identifiers": [{"kind": "samordningsnummer", "number": "701063-2391"}]}
    Case(service, **number).need("food").submit().emergency("food", amount_ore=60_000)
    elsewhere = Case(service, "partner_other", **number).need("medicine").submit()
    assert codes(elsewhere.try_emergency("medicine", amount_ore=40_001)) == {"emergency_case_cap"}


def test_two_actors_at_once_do_not_pass_the_persons_cap(service):
    case = Case(service).need("food").submit()
    second = another_for(case).need("medicine").submit()
    answers = []
    jobs = [(case, "food", case.decider), (second, "medicine", case.other_decider)]
    for _, _, client in jobs:
        client.get("/codes/bodies")
    threads = [threading.Thread(target=lambda c=c, n=n, d=d: answers.append(c.try_emergency(n, amount_ore=80_000, client=d).status_code))
               for c, n, d in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 409]
