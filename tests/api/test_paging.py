"""Pages: by a cursor that is ours and fits only where it was given, or by number where someone asks; filters by equality and
by span."""

import re

import pytest

from people import applicant, child, made


@pytest.fixture(scope="module")
def worker(service):
    """There are more than two of whatever is asked for."""
    client = service.as_("case_worker")
    for _ in range(5):
        applicant(client)
        child(client)
    return client


def cursor_of(page):
    return re.search(r"[?&]cursor=([^&]+)", page["_links"]["next"]["href"])[1]


def refused(answer, code):
    assert answer.status_code == 400, answer.text
    assert code == answer.json()["code"] or code in {error["code"] for error in answer.json()["errors"]}, answer.text


def test_the_next_page_is_told_in_the_body_and_in_link(worker):
    answer = worker.get("/applicants?limit=2&protection=none&sort=created_at")
    following = made(answer, 200)["_links"]["next"]
    assert answer.headers["Link"] == f'<{following["href"]}>; rel="next"'
    assert {"limit=2", "protection=none", "sort=created_at"} <= set(re.split("[?&]", following["href"])), "what was asked for stays"
    assert (following["rel"], following["method"]) == ("next", "GET")
    last = made(worker.get("/applicants?limit=100&protection=none"), 200)
    assert "next" not in last["_links"] and len(last["applicants"]) >= 5


def test_a_cursor_fits_only_the_list_that_gave_it(worker):
    cursor = cursor_of(made(worker.get("/applicants?limit=2&protection=none&sort=created_at"), 200))
    fitting = f"/applicants?limit=3&protection=none&sort=created_at&cursor={cursor}"
    assert worker.get(fitting).status_code == 200, "the page's size may change"
    for path in (f"/children?protection=none&sort=created_at&cursor={cursor}", f"/applicants?sort=created_at&cursor={cursor}",
                 f"/applicants?protection=unknown&sort=created_at&cursor={cursor}",
                 f"/applicants?protection=none&sort=-created_at&cursor={cursor}",
                 f"/applicants?protection=none&cursor={cursor}",
                 f"/applicants?protection=none&sort=created_at&external_id=a&cursor={cursor}"):
        refused(worker.get(path), "cursor_invalid")


def test_a_cursor_that_was_changed_is_refused(worker):
    cursor = cursor_of(made(worker.get("/applicants?limit=2"), 200))
    for place in range(0, len(cursor), 5):
        other = cursor[:place] + ("B" if cursor[place] == "A" else "A") + cursor[place + 1:]
        refused(worker.get("/applicants", params={"cursor": other}), "cursor_invalid")
    for other in (cursor[:-4], cursor + "AAAA", cursor + "==", cursor[::-1]):
        assert worker.get("/applicants", params={"cursor": other}).status_code == 400


def test_pages_by_number_are_those_by_cursor(worker):
    first = made(worker.get("/applicants?limit=2&sort=created_at&page=1"), 200)
    second = made(worker.get("/applicants?limit=2&sort=created_at&page=2"), 200)
    assert (first["_meta"]["page"], second["_meta"]["page"], second["_meta"]["limit"]) == (1, 2, 2)
    followed = made(worker.get(first["_links"]["next"]["href"]), 200)
    assert followed["applicants"] == second["applicants"]
    beyond = made(worker.get("/applicants?limit=100&page=100"), 200)
    assert beyond["applicants"] == [] and "next" not in beyond["_links"]


def test_a_page_by_number_has_a_reach(worker):
    assert worker.get("/applicants?limit=100&page=100").status_code == 200
    refused(worker.get("/applicants?limit=100&page=101"), "page_too_far")
    refused(worker.get("/applicants?page=501"), "page_too_far")


def test_a_page_has_one_place(worker):
    cursor = cursor_of(made(worker.get("/applicants?limit=2"), 200))
    refused(worker.get(f"/applicants?cursor={cursor}&page=2"), "page_with_cursor")


def test_twenty_are_told_where_nobody_says_how_many(worker):
    page = made(worker.get("/codes"), 200)
    assert page["_meta"] == {"limit": 20} and "next" in page["_links"]
    assert len(page[next(name for name in page if not name.startswith("_"))]) == 20


def test_how_many_there_are_is_told_on_request_only(worker):
    counted = made(worker.get("/applicants?limit=1&count=true"), 200)["_meta"]
    assert counted["count"] >= 5
    for path in ("/applicants?limit=1", "/applicants?limit=1&count=false"):
        assert "count" not in made(worker.get(path), 200)["_meta"]


def test_a_span_of_time_holds_its_ends(service, worker):
    auditor = service.as_("auditor")
    events = made(auditor.get("/audit-events?limit=5&sort=occurred_at&operation=createApplicant"), 200)["audit_events"]
    begin, end = events[1]["occurred_at"], events[3]["occurred_at"]
    span = {"operation": "createApplicant", "occurred_from": begin, "occurred_to": end, "sort": "occurred_at"}
    found = [one["id"] for one in made(auditor.get("/audit-events", params=span), 200)["audit_events"]]
    assert found == [one["id"] for one in events[1:4]]
    for bad in ("yesterday", "2026-11-24", "2026-11-24T00:00:00", "2026-13-01T00:00:00Z", ""):
        refused(auditor.get("/audit-events", params={"occurred_from": bad}), "parameters_invalid")
