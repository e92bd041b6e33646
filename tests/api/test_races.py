"""Two at once: whoever comes second sees what the first did. Real threads against the real server, many rounds."""

import threading

import pytest

from casework import Case, codes, done, keyed, principal

ROUNDS = 12


def together(*calls):
    """Runs the calls at the same time; what each answered."""
    barrier, answers = threading.Barrier(len(calls)), [None] * len(calls)

    def run(at, call):
        barrier.wait()
        answers[at] = call()

    threads = [threading.Thread(target=run, args=(at, call)) for at, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def while_uncommitted(service, statements, call):
    """The answer to a call that was made when the statements had run and were not committed yet."""
    answers = []
    with service.connect() as connection:
        with connection.transaction():
            for statement, *values in statements:
                connection.execute(statement, values or None)
            thread = threading.Thread(target=lambda: answers.append(call()))
            thread.start()
            thread.join(0.5)
    thread.join()
    return answers[0]


def certification(case):
    return done(case.partner.get(case.path("certifications")))["certifications"][0]["id"]


def revoking(case):
    path = f"/certifications/{certification(case)}/revoke"
    return lambda: case.partner.post(path, json={"reason_code": "circumstances_changed"}, headers=keyed())


def history(service, case):
    """When each committed: the revocation's transaction and the decision's, in the order of commit as the lock gave it."""
    return service.sql("SELECT c.version, a.version, a.state FROM certifications c JOIN applications a ON a.id = c.application_id"
                       " WHERE a.id = %s", case.id)


@pytest.mark.parametrize("attempt", range(ROUNDS))
def test_revocation_and_decision_do_not_pass_each_other(service, attempt):
    case = Case(service).ready("glasses")
    revoke, tag = revoking(case), case.tag(case.decider)
    decide = lambda: case.try_decide(tag=tag)  # noqa: E731
    revoked, decided = together(revoke, decide)
    done(revoked)
    if decided.status_code == 201:
        # Decided first: then the revocation came to a decided case.
        assert case.read()["state"] == "decided"
    else:
        # Revoked first: the tag is of before, or the gate says why.
        assert decided.status_code in (409, 412)
        if decided.status_code == 409:
            assert "certification_missing" in codes(decided)
        assert case.read()["state"] == "ready_for_decision"


@pytest.mark.parametrize("attempt", range(ROUNDS))
def test_revocation_and_proposal_do_not_pass_each_other(service, attempt):
    case = Case(service).need("glasses").submit().review().certify().eligible().obligation()
    body = {"lines": [{"need_id": case.needs["glasses"], "outcome": "refused"}]}
    propose = lambda: case.worker.post(case.path("propose"), json=body, headers=keyed())  # noqa: E731
    revoked, proposed = together(revoking(case), propose)
    done(revoked)
    if proposed.status_code != 200:
        assert codes(proposed) == {"certification_missing"}
    assert case.read()["state"] == ("ready_for_decision" if proposed.status_code == 200 else "under_review")


def test_decision_that_waits_for_a_revocation_sees_it(service):
    """The decision is held at the lock while the certification is revoked under it: a stale snapshot would let it pass."""
    case = Case(service).ready("glasses")
    with service.connect() as other:
        other.autocommit = False
        other.execute("SELECT FROM applications WHERE id = %s FOR UPDATE", (case.id,))
        tag, answers = case.tag(case.decider), []
        waiting = threading.Thread(target=lambda: answers.append(case.try_decide(tag=tag)))
        waiting.start()
        for _ in range(200):
            if service.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")[0][0]:
                break
            waiting.join(0.01)
        assert not answers, "the decision did not wait for the lock"
        other.execute("UPDATE certifications SET revoked_at = now(), revocation_reason_code = 'other' WHERE application_id = %s",
                      (case.id,))
        other.commit()
        waiting.join(10)
    assert codes(answers[0]) == {"certification_missing"}


def test_decision_that_waits_for_an_expiry_sees_it(service):
    case = Case(service).ready("glasses")
    with service.connect() as other:
        other.autocommit = False
        other.execute("SELECT FROM applications WHERE id = %s FOR UPDATE", (case.id,))
        tag, answers = case.tag(case.decider), []
        waiting = threading.Thread(target=lambda: answers.append(case.try_decide(tag=tag)))
        waiting.start()
        waiting.join(0.2)
        other.execute("UPDATE certifications SET certified_on = certified_on - 200, expires_on = today() - 1"
                      " WHERE application_id = %s", (case.id,))
        other.commit()
        waiting.join(10)
    assert codes(answers[0]) == {"certification_missing"}


@pytest.mark.parametrize("attempt", range(ROUNDS))
def test_case_is_submitted_or_withdrawn_not_torn(service, attempt):
    case = Case(service).need("food")
    submitted, withdrawn = together(lambda: case.partner.post(case.path("submit"), json={}, headers=keyed()),
                                    lambda: case.worker.post(case.path("withdraw"), json={}, headers=keyed()))
    done(withdrawn)
    told = case.read()
    assert told["state"] == "withdrawn"
    assert {need["status"] for need in told["needs"]} == {"lapsed"}
    assert submitted.status_code == 200 or codes(submitted) == {"invalid_transition"}


def test_need_is_proposed_by_one_of_many(service):
    case = Case(service).need("food").submit().review().certify().eligible().obligation()
    body = {"lines": [{"need_id": case.needs["food"], "outcome": "refused"}]}
    answers = together(*[lambda: case.worker.post(case.path("propose"), json=body, headers=keyed()) for _ in range(6)])
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5
    assert len(done(case.worker.get(case.path("proposals")))["proposals"]) == 1


def test_one_key_has_one_effect_however_many_send_it(service):
    case, headers = Case(service), keyed()
    answers = together(*[lambda: case.partner.post("/applications", json={"person_id": case.person}, headers=headers)
                         for _ in range(6)])
    ids = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert len(ids) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len(done(case.partner.get("/applications", params={"person_id": case.person}))["applications"]) == 2


def test_two_changes_of_one_version_are_one(service):
    case = Case(service)
    tag = case.tag(case.partner)
    answers = together(*[lambda: case.partner.patch(case.path(), json={"summary": "Ny text."}, headers=keyed(**{"If-Match": tag}))
                         for _ in range(4)])
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]


@pytest.mark.parametrize("attempt", range(ROUNDS))
def test_case_opened_while_the_person_becomes_protected_is_protected(service, attempt):
    """A new application copies the person's protection: neither may miss the other."""
    case = Case(service)
    person = "/applicants/" + case.person
    tag = case.partner.get(person).headers["ETag"]
    protect = lambda: case.partner.patch(person, json={"protection": "sekretessmarkering"}, headers=keyed(**{"If-Match": tag}))  # noqa: E731
    opened, protected = together(lambda: case.partner.post("/applications", json={"person_id": case.person}, headers=keyed()), protect)
    done(protected)
    done(opened, 201)
    assert service.sql("SELECT bool_and(protected) FROM applications WHERE person_id = %s", case.person) == [(True,)]
    assert case.worker.get("/applications/" + opened.json()["id"]).status_code == 404


def test_many_work_with_one_case_and_none_is_lost(service):
    case = Case(service).need("food").submit()
    worker = principal(case.worker)
    calls = [lambda: case.partner.post(case.path("needs"), json={"person_id": case.person, "category_code": "shoes"}, headers=keyed())
             for _ in range(5)]
    calls += [lambda: case.triage.post(case.path("assign"), json={"assigned_to": worker}, headers=keyed()) for _ in range(3)]
    before = case.read()["version"]
    answers = together(*calls)
    assert {answer.status_code for answer in answers} == {200, 201}
    assert case.read()["version"] == before + len(calls)
    assert len(case.read()["needs"]) == 6


# A child is never missed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempt", range(25))
def test_need_for_a_child_that_comes_while_the_case_is_submitted_concerns_one(service, attempt):
    case = Case(service).need("glasses")
    child = case.child()
    body = {"person_id": child, "category_code": "pram", "description": "Vagn."}
    submitted, added = together(
        lambda: case.partner.post(case.path("submit"), json={}, headers=keyed()),
        lambda: case.partner.post(case.path("needs"), json=body, headers=keyed()))
    done(submitted), done(added, 201)
    told = {need["category_code"]: need["concerns_child"] for need in case.read()["needs"]}
    assert told["pram"] is True


@pytest.mark.parametrize("attempt", range(25))
def test_birth_date_that_changes_while_the_case_is_submitted_is_not_missed(service, attempt):
    case = Case(service).need("glasses")
    path = "/applicants/" + case.person
    tag = case.partner.get(path).headers["ETag"]
    submitted, changed = together(
        lambda: case.partner.post(case.path("submit"), json={}, headers=keyed()),
        lambda: case.partner.patch(path, json={"birth_date": "2015-01-01"}, headers=keyed(**{"If-Match": tag})))
    done(submitted), done(changed)
    assert case.read()["needs"][0]["concerns_child"] is True
