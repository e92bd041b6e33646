"""Two people are enough to run it all, and no number of roles makes one enough."""

import pytest

from casework import Case, codes, done, keyed, principal

EVERY = ["case_worker", "decision_maker", "triage"]


@pytest.fixture
def two(serving):
    """A prepares, B decides; both hold every role of casework."""
    with serving() as service:
        pair = service.as_("case_worker"), service.as_("decision_maker")
        for client in pair:
            service.sql("UPDATE principals SET roles = %s WHERE id = %s", EVERY, principal(client))
            client.asked = None
        yield service, *pair


def own_case(service, a):
    """Registered by the charity itself: no partner at all."""
    case = object.__new__(Case)
    case.__dict__.update(service=service, partner=a, worker=a, triage=a, decider=None, other_decider=None, needs={})
    person = {"alias": "Vera", "birth_date": "1990-03-01", "protection": "none"}
    case.person = done(a.post("/applicants", json=person, headers=keyed()), 201)["id"]
    case.id = done(a.post("/applications", json={"person_id": case.person}, headers=keyed()), 201)["id"]
    return case


def test_two_run_a_case_between_them(two):
    service, a, b = two
    case = own_case(service, a)
    case.decider = b
    case.need("glasses").submit().review().certify(evidence="document").eligible().obligation().propose()
    case.decide()
    case.act(a, "close")
    assert case.read()["state"] == "closed"


def test_roles_may_be_swapped_from_case_to_case(two):
    service, a, b = two
    for one, other in ((a, b), (b, a)):
        case = own_case(service, one)
        case.decider = other
        case.need("shoes").submit().review().certify(evidence="document").eligible().obligation().propose().decide()


def test_one_alone_cannot(two):
    service, a, _ = two
    case = own_case(service, a)
    case.decider = a
    case.need("glasses").submit().review().certify(evidence="document").eligible().obligation().propose()
    assert codes(case.try_decide()) == {"four_eyes_required"}
    assert case.read()["needs"][0]["status"] == "proposed"


def test_one_alone_cannot_ratify_but_the_other_can(two):
    service, a, b = two
    case = own_case(service, a)
    case.decider, case.other_decider = a, b
    grant = case.need("food").submit().emergency("food")["id"]
    assert codes(case.ratify(grant, a)) == {"four_eyes_required"}
    done(case.ratify(grant))


def test_work_split_within_a_case_needs_a_third(two):
    """Where both have prepared, neither decides."""
    service, a, b = two
    case = own_case(service, a)
    case.need("glasses").submit().review().certify(evidence="document").eligible(worker=b).obligation().propose()
    assert codes(case.try_decide(client=a)) == {"four_eyes_required"}
    assert codes(case.try_decide(client=b)) == {"four_eyes_required"}
