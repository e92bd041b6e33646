"""What a member takes beyond its type: days that have been, texts that say something, references that tell nobody's name,
and integers however they are written."""

import datetime
import json
import uuid

import pytest

from casework import REASON, Case, done, keyed

TOMORROW = str(datetime.date.today() + datetime.timedelta(2))
BLANKS = " \u00a0\t\n\u2003\u3000    "


@pytest.fixture
def case(service):
    return Case(service).need("glasses")


def faults(answer):
    """The faults of a body that the contract refuses, as {pointer: codes}."""
    assert answer.status_code == 422, (answer.status_code, answer.text)
    told = {}
    for error in answer.json()["errors"]:
        told.setdefault(error["pointer"], set()).add(error["code"])
    return told


def fault(answer, pointer):
    told = faults(answer)
    assert set(told) == {pointer}, told
    return told[pointer]


def post_raw(client, path, text):
    return client.post(path, data=text, headers=keyed(**{"Content-Type": "application/json"}))


# Days --------------------------------------------------------------------------------------------------------------------


def test_nobody_is_born_after_today_or_before_1900(service, case):
    for day, code in (("2999-01-01", "date_in_future"), (TOMORROW, "date_in_future"), ("1899-12-31", "date_too_early")):
        answer = case.partner.post("/applicants", json={"protection": "none", "birth_date": day})
        assert fault(answer, "/birth_date") == {code}
        assert day not in answer.text.replace("1900-01-01", "")
    family = {"person": {"protection": "none"}, "children": [{"protection": "none", "birth_date": TOMORROW}], "application": {},
              "needs": [{"for": "person", "category_code": "food", "description": "Mat."}]}
    assert fault(case.partner.post("/registrations", json=family), "/children/0/birth_date") == {"date_in_future"}
    path = "/applicants/" + case.person
    tag = case.partner.get(path).headers["ETag"]
    patched = case.partner.patch(path, json={"birth_date": TOMORROW}, headers={"If-Match": tag})
    assert fault(patched, "/birth_date") == {"date_in_future"}


def test_nothing_was_asked_or_answered_after_today(case):
    case.submit().review()
    body = {"need_id": case.needs["glasses"], "body_code": "municipal_social_services", "outcome": "not_obliged"}
    for member in ("asked_on", "answered_on"):
        answer = case.worker.post(case.path("obligation-assessments"), json=body | {member: "2199-01-01"}, headers=keyed())
        assert fault(answer, "/" + member) == {"date_in_future"}


def test_certification_is_of_our_time(case):
    body = {"need_ids": case.ids(()), "statement": "Jag känner henne."}

    def certify(**members):
        return case.partner.post(case.path("certifications"), json=body | members, headers=keyed())

    assert fault(certify(certified_on=TOMORROW), "/certified_on") == {"date_in_future"}
    assert fault(certify(certified_on="0001-01-01"), "/certified_on") == {"date_too_early"}
    assert fault(certify(expires_on="9999-12-31"), "/expires_on") == {"date_too_late"}


# Texts -------------------------------------------------------------------------------------------------------------------


def test_blanks_are_no_reason(case):
    case.submit().review().certify().obligation()
    person = {"person_id": case.person, "outcome": "exception", "exploited_in_sweden": False, "reason": BLANKS}
    assert fault(case.worker.post("/eligibility-assessments", json=person, headers=keyed()), "/reason") == {"pattern"}
    case.eligible().propose()
    lines = [case.line("glasses")]
    assert fault(case.try_decide(*lines, reasoning=BLANKS), "/reasoning") == {"pattern"}
    exception = [{"code": "double_grant", "reason": BLANKS}]
    assert fault(case.try_decide(*lines, exceptions=exception), "/exceptions/0/reason") == {"pattern"}


def test_blanks_are_no_reason_at_night_and_no_vendor(service):
    case = Case(service).need("food").submit()
    assert fault(case.try_emergency("food", reasoning=BLANKS), "/reasoning") == {"pattern"}
    vendor = {"name": " ", "organisation_number": "556677-8899"}
    assert fault(case.try_emergency("food", payee_vendor=vendor), "/payee_vendor/name") == {"pattern"}


# References --------------------------------------------------------------------------------------------------------------

SPELLINGS = ["Anna Svensson Ystad", "850709 9805", "850709\u20139805", "850709\u20119805", "850709\u22129805", "850709\u200b9805",
             "８５０７０９９８０５", "٨٥٠٧٠٩٩٨٠٥", "ärende-7", "a\nb"]


@pytest.mark.parametrize("text", SPELLINGS)
def test_reference_is_of_ascii_letters_and_digits(case, text):
    answer = case.partner.post("/applicants", json={"protection": "none", "external_id": text})
    assert "pattern" in fault(answer, "/external_id")
    answer = case.partner.post("/applications", json={"person_id": case.person, "external_id": text}, headers=keyed())
    assert "pattern" in fault(answer, "/external_id")


def test_reference_may_be_one_of_the_agencys_own_kind(case):
    mine = f"Soc:2026/{uuid.uuid4().hex[:6]}_A.7-x"
    made = done(case.partner.post("/applicants", json={"protection": "none", "external_id": mine}), 201)
    assert made["external_id"] == mine


# Integers ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written, meant", [("100.0", 100), ("1E2", 100), ("1.5e3", 1500), ("70000000000.0", 70_000_000_000)])
def test_integer_may_be_written_as_a_real(case, written, meant):
    """JSON Schema 2020-12: a number without a fraction is an integer."""
    text = f'{{"person_id": "{case.person}", "category_code": "food", "requested_ore": {written}}}'
    need = done(post_raw(case.partner, case.path("needs"), text), 201)
    assert need["requested_ore"] == meant and isinstance(need["requested_ore"], int)


@pytest.mark.parametrize("written", ["100.5", "1e300", "-1e300", "9007199254740993.0", "1e19", "1e-1"])
def test_real_that_is_no_integer_is_refused(case, written):
    text = f'{{"person_id": "{case.person}", "category_code": "food", "requested_ore": {written}}}'
    assert fault(post_raw(case.partner, case.path("needs"), text), "/requested_ore") & {"type", "too_large", "too_small"}


def test_integers_inside_of_lists_too(case):
    case.submit().review().certify().eligible().obligation()
    need = case.needs["glasses"]
    text = json.dumps({"reasoning": REASON, "lines": [{"need_id": need, "outcome": "granted", "amount_ore": 0}]})
    done(post_raw(case.worker, case.path("propose"), text.replace('"amount_ore": 0', '"amount_ore": 5E4')))
    body = text.replace('"amount_ore": 0', '"amount_ore": 50000.0')
    headers = keyed(**{"If-Match": case.tag(case.decider), "Content-Type": "application/json"})
    assert done(case.decider.post(case.path("decisions"), data=body, headers=headers), 201)["lines"][0]["amount_ore"] == 50_000


def test_school_year_too(service, case):
    child = done(post_raw(case.partner, "/children", '{"protection": "none", "school_year": 3.0}'), 201)
    assert child["school_year"] == 3


def test_no_member_that_is_an_integer_answers_500(case):
    for text in ("5e-324", "1e308", "-0.0", "2147483648.0", "1E+11", "100000000000.5"):
        body = f'{{"protection": "none", "school_year": {text}}}'
        assert post_raw(case.partner, "/children", body).status_code in (201, 422)


# Passwords ---------------------------------------------------------------------------------------------------------------


def test_marks_that_compose_do_not_make_a_password_longer(service):
    """RFC 8265, 4.2: a password is compared, and counted, composed."""
    short = {"token": "x" * 43, "password": "e\u0301" * 6}
    assert fault(service.anyone().post("/invitations/accept", json=short), "/password") == {"format_password"}
    long = service.anyone().post("/invitations/accept", json=short | {"password": "e\u0301" * 12})
    assert long.status_code == 401
