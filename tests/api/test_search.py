"""Search: exact after normalisation, within what the caller may see, and logged when it finds nothing."""

import pytest

from people import applicant, child, personnummer


@pytest.fixture
def officer(service):
    return service.as_("partner", "handl-1")


def find(client, plural="applicants", **facts):
    answer = client.post(f"/{plural}/search", json=facts)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()[plural]]


def audited(service, operation):
    return service.sql("SELECT outcome, record_ids FROM audit_events WHERE operation = %s ORDER BY occurred_at DESC LIMIT 1",
                       operation)[0]


@pytest.mark.parametrize("write", [lambda n: n, lambda n: n[:8] + "-" + n[8:], lambda n: n[2:8] + "-" + n[8:], lambda n: n[2:]],
                         ids=["12 digits", "12 with hyphen", "10 with hyphen", "10 digits"])
def test_a_number_is_found_in_any_written_form(service, officer, write):
    number = personnummer()
    there = applicant(officer, identifiers=[{"kind": "personnummer", "number": number}])
    assert find(officer, identifier={"number": write(number)}) == [there["id"]]


def test_a_number_given_in_short_form_is_found_by_the_long_one(service, officer):
    number = personnummer()
    there = applicant(officer, identifiers=[{"kind": "personnummer", "number": number[2:8] + "-" + number[8:]}])
    assert find(officer, identifier={"number": number}) == [there["id"]]


@pytest.mark.parametrize("written", ["+46701740611", "070-174 06 11", "0701740611", "+46 70 174 06 11"])
def test_a_telephone_number_is_found_in_any_written_form(service, officer, written):
    there = child(officer, phone="070-1740611")
    found = find(officer, "children", phone=written)
    assert there["id"] in found


@pytest.mark.parametrize("names", ["Mirëla Hoxha", "hoxha", "MIRELA", "Hoxha Mirela", "Mirela Anna Hoxha"])
def test_names_are_found_with_the_birth_date_whatever_case_marks_and_order(service, officer, names):
    there = applicant(officer, given_name="Mirela Anna", family_name="Hoxha", birth_date="1985-07-11")
    assert there["id"] in find(officer, names=names, birth_date="1985-07-11")


@pytest.mark.parametrize("names, birth_date", [("Mirela Berg", "1985-07-12"), ("Mirel", "1985-07-12"), ("Mirela Hoxha", "1985-07-13")])
def test_every_name_given_must_match_with_the_birth_date(service, officer, names, birth_date):
    there = applicant(officer, given_name="Mirela", family_name="Hoxha", birth_date="1985-07-12")
    assert there["id"] not in find(officer, names=names, birth_date=birth_date)


def test_a_name_alone_is_not_searched(service, officer):
    assert officer.post("/applicants/search", json={"names": "Mirela"}).status_code == 422
    assert officer.post("/applicants/search", json={}).status_code == 422


def test_a_partner_finds_its_own_agencys_people_only(service, officer):
    number = personnummer()
    there = applicant(officer, identifiers=[{"kind": "personnummer", "number": number}])
    other = service.as_("partner_other", "handl-9")
    assert find(other, identifier={"number": number}) == []
    assert find(service.as_("case_worker"), identifier={"number": number}) == [there["id"]]
    # registering her there as well tells nothing either
    theirs = applicant(other, identifiers=[{"kind": "personnummer", "number": number}])
    assert find(other, identifier={"number": number}) == [theirs["id"]]
    assert sorted(find(service.as_("case_worker"), identifier={"number": number})) == sorted([there["id"], theirs["id"]])


def test_children_and_applicants_are_searched_apart(service, officer):
    number = personnummer("20150218")
    there = child(officer, identifiers=[{"kind": "personnummer", "number": number}])
    assert find(officer, "children", identifier={"number": number}) == [there["id"]]
    assert find(officer, "applicants", identifier={"number": number}) == []


def test_a_hit_and_a_miss_are_audited(service, officer):
    number = personnummer()
    there = applicant(officer, identifiers=[{"kind": "personnummer", "number": number}])
    find(officer, identifier={"number": number})
    outcome, ids = audited(service, "searchApplicants")
    assert (outcome, [str(one) for one in ids]) == ("ok", [there["id"]])
    find(officer, identifier={"number": personnummer()})
    assert audited(service, "searchApplicants")[0] == "not_found"


def test_a_changed_telephone_is_found_by_the_new_number_only(service, officer):
    there = applicant(officer, phone="+46701740612", given_name="Mirela", birth_date="1985-07-14")
    answer = officer.patch("/applicants/" + there["id"], json={"phone": "+46701740613"}, headers={"If-Match": '"1.00000000"'})
    assert answer.status_code == 200
    assert there["id"] not in find(officer, phone="+46701740612")
    assert there["id"] in find(officer, phone="+46701740613")
    assert there["id"] in find(officer, names="Mirela", birth_date="1985-07-14")


def test_what_is_searched_for_is_not_in_the_log(service, officer):
    number = personnummer()
    find(officer, identifier={"number": number})
    assert not [line for line in service.lines if number in line]


def test_the_index_does_not_show_the_number(service, officer):
    number = personnummer()
    applicant(officer, identifiers=[{"kind": "personnummer", "number": number}])
    assert service.sql("SELECT count(*) FROM vault.blind_tokens WHERE encode(token, 'escape') LIKE %s",
                       f"%{number}%") == [(0,)]
