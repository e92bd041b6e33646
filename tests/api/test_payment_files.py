"""Payment files: what is approved goes to the bank once, as the standard has it, and what the bank did is booked once.

The file is read by parsers that are not ours: against the standard's own schema, and by ElementTree.
"""

import pathlib
import time
import xml.etree.ElementTree as ElementTree
from decimal import Decimal

import pytest
import sepaxml
import xmlschema

from casework import codes, done, keyed, principal
from payments import (BANKGIRO, FOREIGN, GENERAL_FUND, Payable, at_once, balance, confirm, faults, kind_balance, project_account,
                      read, send, statuses, tag, try_confirm, try_send)
from service import Client, Service, claims

SCHEMA = xmlschema.XMLSchema(pathlib.Path(sepaxml.__file__).parent / "schemas" / "pain.001.001.03.xsd")
NAMES = {"p": "urn:iso:std:iso:20022:tech:xsd:pain.001.001.03"}
UNKNOWN = "0b5e1e0c-7d4a-4c1e-9a55-3f0c6e2b9d17"


@pytest.fixture(autouse=True)
def sound_books(service):
    """Nothing waits from the test before, and the books are whole after."""
    sent = try_send(service.as_("fund_manager"))
    assert sent.status_code in (201, 409)
    yield
    assert faults(service) == []


@pytest.fixture
def case(service):
    return Payable(service)


def protect(case, *others):
    case.service.sql("UPDATE persons SET protection = 'sekretessmarkering' WHERE id = %s", case.person)
    for client in (case.worker, case.decider, *others):
        grant = {"person_id": case.person, "officer": "user:" + principal(client), "reason_code": "case_work"}
        case.triage.post("/access-grants", json=grant)


def content(client, file):
    return client.get(f"/payment-files/{file}/content")


def parse(answer):
    assert answer.status_code == 200, answer.text
    SCHEMA.validate(answer.text)
    return ElementTree.fromstring(answer.content)


def texts(node, path):
    return [found.text for found in node.findall(path, NAMES)]


def rows(client, file):
    return {row["disbursement_id"]: row for row in done(client.get(f"/payment-files/{file}"))["rows"]}


# -- making --------------------------------------------------------------------------------------------------------

def test_takes_what_is_approved_and_nothing_else(case):
    approved, planned, later = case.approved(10_000), case.order(10_000), case.approved(10_000, due_on="2090-01-01")
    file = done(try_send(case.fund, "2089-12-31"), 201)
    assert [row["disbursement_id"] for row in file["rows"]] == [approved]
    assert (file["payments"], file["total_ore"], file["pay_on"]) == (1, 10_000, "2089-12-31")
    assert [read(case.worker, d)["status"] for d in (approved, planned, later)] == ["sent", "planned", "approved"]
    assert read(case.worker, approved)["payment_file_id"] == file["id"]
    assert codes(try_send(case.fund, "2089-12-31")) == {"nothing_to_pay"}
    assert len(rows(case.fund, send(case.fund))) == 1


def test_a_day_that_is_over_is_refused(case):
    assert try_send(case.fund, "2020-01-01").status_code == 422


def test_two_makers_at_once_take_each_payment_once(service):
    for _ in range(3):
        case = Payable(service)
        made = {case.approved(10_000) for _ in range(5)}
        answers = at_once(*[lambda client=client: try_send(client) for client in (case.fund, case.other_fund) * 2])
        taken = [row["disbursement_id"] for answer in answers if answer.status_code == 201 for row in answer.json()["rows"]]
        assert len(taken) == len(set(taken)) and set(taken) <= made
        assert {answer.status_code for answer in answers} <= {201, 409}
        if missing := made - set(taken):  # in somebody's hands just then
            assert missing == set(rows(case.fund, send(case.fund)))


@pytest.mark.parametrize("held", ["disbursements", "applications"])
def test_what_is_in_somebodys_hands_waits_for_the_next_file(service, case, held):
    mine, other = case.approved(10_000), Payable(service).approved(10_000)
    with service.connect() as connection, connection.transaction():
        connection.execute(f"SELECT FROM {held} WHERE id = %s FOR UPDATE", [mine if held == "disbursements" else case.id])
        assert set(rows(case.fund, send(case.fund))) == {other}
    assert set(rows(case.fund, send(case.fund))) == {mine}


def test_what_is_frozen_waits(case):
    made = case.approved(10_000)
    done(case.reconsider("glasses", client=case.other_decider))
    assert codes(try_send(case.fund)) == {"nothing_to_pay"}
    assert read(case.worker, made)["status"] == "approved"


def test_protected_are_paid_by_who_stands_on_their_lists(service, case):
    made = case.approved(10_000)
    protect(case)
    assert codes(try_send(case.fund)) == {"nothing_to_pay"}
    assert codes(try_send(case.other_decider)) == {"nothing_to_pay"}
    file = done(try_send(case.decider), 201)
    assert [row["disbursement_id"] for row in file["rows"]] == [made]
    assert case.other_decider.get(f"/payment-files/{file['id']}").status_code == 404
    assert content(case.other_decider, file["id"]).status_code == 404
    assert content(case.fund, file["id"]).status_code == 404
    assert "Optikern" in content(case.decider, file["id"]).text
    seen = done(case.fund.get(f"/payment-files/{file['id']}"))
    assert (seen["payments"], seen["total_ore"]) == (1, 10_000)
    confirm(case.fund, file["id"], (made, "paid"))
    assert read(case.worker, made)["status"] == "paid"


def test_nobody_protected_is_paid_by_a_decision_maker(case):
    case.approved(10_000)
    assert codes(try_send(case.decider)) == {"nothing_to_pay"}
    file = send(case.fund)
    assert codes(try_confirm(case.decider, file, (UNKNOWN, "paid"))) == {"file_of_the_fund"}


def test_a_file_is_closed_to_the_fund_once_somebody_in_it_is_protected(case):
    case.approved(10_000)
    file = send(case.fund)
    assert content(case.fund, file).status_code == 200
    protect(case)
    assert content(case.fund, file).status_code == 404
    assert case.fund.get(f"/payment-files/{file}").status_code == 200


def test_others_make_no_files(case):
    for client in (case.worker, case.partner, case.service.as_("auditor")):
        assert try_send(client).status_code == 403


def test_files_are_listed(case):
    case.approved(10_000)
    file = send(case.fund)
    assert file in {f["id"] for f in done(case.fund.get("/payment-files"))["payment_files"]}
    assert file in {f["id"] for f in done(case.service.as_("auditor").get("/payment-files"))["payment_files"]}
    assert content(case.service.as_("auditor"), file).status_code == 403


# -- the order to the bank -------------------------------------------------------------------------------------------

WAYS = [
    (BANKGIRO, ["9900", "50501055", "BGNR"]), ({"plusgiro": "28-1"}, ["9960", "281", "BBAN"]),
    ({"account": "5439-1024039"}, ["5439", "54391024039", "BBAN"]), ({"iban": "SE4550000000058398257466"}, []),
]


def test_file_is_valid_and_adds_up(case):
    amounts = [1, 12_345, 100, 20_000]
    made = [case.approved(ore, pay_to=way) for ore, (way, _) in zip(amounts, WAYS)]
    file = send(case.fund)
    answer = content(case.fund, file)
    assert answer.headers["Content-Type"].startswith("application/xml")
    assert answer.headers["Cache-Control"] == "no-store"
    tree = parse(answer)
    [head], [order] = tree.findall(".//p:GrpHdr", NAMES), tree.findall(".//p:PmtInf", NAMES)
    for node in (head, order):
        assert texts(node, "p:NbOfTxs") == ["4"] and Decimal(texts(node, "p:CtrlSum")[0]) == Decimal("324.46")
    assert texts(head, "p:MsgId") == [done(case.fund.get(f"/payment-files/{file}"))["reference"]]
    assert texts(order, "p:ReqdExctnDt") == ["2099-12-31"]
    assert texts(order, "p:DbtrAcct//p:IBAN") == ["SE4550000000058398257466"]
    by_voucher = {read(case.worker, d)["voucher"]: (ore, way, said) for d, ore, (way, said) in zip(made, amounts, WAYS)}
    for transfer in order.findall("p:CdtTrfTxInf", NAMES):
        [voucher] = texts(transfer, "p:PmtId/p:EndToEndId")
        ore, way, said = by_voucher.pop(voucher)
        [amount] = transfer.findall("p:Amt/p:InstdAmt", NAMES)
        assert amount.text == f"{ore // 100}.{ore % 100:02}" and amount.get("Ccy") == "SEK"
        assert texts(transfer, "p:Cdtr/p:Nm") == ["Optikern i Hamnen AB"]
        assert texts(transfer, "p:RmtInf/p:Ustrd") == [voucher]
        if "iban" in way:
            assert texts(transfer, "p:CdtrAcct/p:Id/p:IBAN") == [way["iban"]]
        else:
            found = [*texts(transfer, ".//p:ClrSysMmbId/p:MmbId"), *texts(transfer, "p:CdtrAcct//p:Othr/p:Id"),
                     *texts(transfer, "p:CdtrAcct//p:SchmeNm/*")]
            assert found == said and texts(transfer, ".//p:ClrSysId/p:Cd") == ["SESBA"]
    assert not by_voucher


@pytest.mark.parametrize("currency, minor, written", [("RON", 450_000, "4500.00"), ("JPY", 12_345, "12345"), ("KWD", 12_345, "12.345"),
                                                      ("EUR", 5, "0.05")])
def test_support_abroad_is_paid_in_its_currency(case, currency, minor, written):
    abroad = {"foreign": FOREIGN["foreign"] | {"amount_minor": minor, "currency_code": currency}}
    case.approved(11_000, pay_to=abroad)
    case.approved(1_000)
    tree = parse(content(case.fund, send(case.fund)))
    orders = tree.findall(".//p:PmtInf", NAMES)
    assert [texts(order, "p:NbOfTxs") for order in orders] == [["1"], ["1"]]
    [amount] = orders[1].findall(".//p:InstdAmt", NAMES)
    assert (amount.text, amount.get("Ccy")) == (written, currency)
    assert texts(orders[1], ".//p:CdtrAgt//p:BIC") == ["AAAAROBU"] and texts(orders[1], ".//p:Cdtr//p:Ctry") == ["RO"]
    assert texts(orders[1], ".//p:CdtrAcct//p:IBAN") == [FOREIGN["foreign"]["iban"]]
    assert Decimal(texts(tree, ".//p:GrpHdr/p:CtrlSum")[0]) == Decimal(written) + 10


def test_file_is_the_same_each_time(case):
    for _ in range(3):
        case.approved(1_000)
    file = send(case.fund)
    assert content(case.fund, file).content == content(case.other_fund, file).content


def test_no_case_is_told_to_the_bank(case):
    case.approved(10_000)
    text = content(case.fund, send(case.fund)).text
    for told in (case.id, case.person, case.line_id, case.needs["glasses"], "Person ", "glasses", case.read()["reference"]):
        assert told not in text


@pytest.mark.parametrize("name, told", [("Åsa & Örjan <Bygg> AB", "Åsa & Örjan <Bygg> AB"), ("Odd\u0001\u001f Name\uffff", "Odd   Name "),
                                        ("Ö" * 140, "Ö" * 70), ("]]>", "]]>")])
def test_any_name_is_well_formed(case, name, told):
    case.approved(1_000, payee={"kind": "vendor", "name": name})
    assert texts(parse(content(case.fund, send(case.fund))), ".//p:Cdtr/p:Nm") == [told]


def test_reading_a_file_leaves_a_trace(service, case):
    made = case.approved(10_000)
    file = send(case.fund)
    content(case.fund, file)
    [(ids, who)] = service.sql("SELECT record_ids::text[], principal_id FROM audit_events WHERE operation = 'readPaymentFileContent'"
                               " AND %s = ANY (record_ids::text[])", made)
    assert set(ids) == {file, made} and str(who) == principal(case.fund)


# -- what the bank did -----------------------------------------------------------------------------------------------

def test_paid_is_booked_from_each_source(service):
    first, second = sorted([GENERAL_FUND, project_account(service)])
    case = Payable(service, {first: 25_000, second: 25_000})
    before = {account: balance(service, account) for account in (first, second)}
    bank = kind_balance(service, "bank")
    made = case.paid(40_000)
    assert balance(service, first) == (before[first][0] - 25_000, before[first][1] - 25_000)
    assert balance(service, second) == (before[second][0] - 15_000, before[second][1] - 15_000)
    assert kind_balance(service, "bank") == bank - 40_000
    body = read(case.worker, made)
    assert (body["status"], body["paid_ore"]) == ("paid", 40_000) and body["paid_at"]
    assert {s["account_id"]: s["paid_ore"] for s in body["sources"]} == {first: 25_000, second: 15_000}


def test_failed_is_approved_again_and_free_for_another_file(service, case):
    made = case.approved(10_000)
    first = send(case.fund)
    posted = balance(service)
    confirm(case.fund, first, (made, "failed"))
    assert read(case.worker, made)["status"] == "approved" and balance(service) == posted
    second = send(case.fund)
    confirm(case.fund, second, (made, "paid"))
    assert [rows(case.fund, file)[made]["outcome"] for file in (first, second)] == ["failed", "paid"]
    assert codes(try_confirm(case.fund, first, (made, "paid"))) == {"confirmed_already"}


def test_abroad_the_actual_is_posted_and_the_rest_goes_back_to_the_line(service, case):
    made = case.approved(50_000, pay_to=FOREIGN)
    assert codes(case.try_order(1)) == {"above_line"}
    file = send(case.fund)
    assert try_confirm(case.fund, file, (made, "paid", 50_001)).status_code == 422
    posted, reserved = balance(service)
    confirm(case.fund, file, (made, "paid", 47_321))
    assert balance(service) == (posted - 47_321, reserved - 47_321)
    assert read(case.worker, made)["paid_ore"] == 47_321
    assert codes(case.try_order(2_680)) == {"above_line"}
    case.order(2_679)


def test_confirmations_name_payments_of_the_file_once(case):
    made = case.approved(10_000)
    file = send(case.fund)
    for results, code in ([(UNKNOWN, "paid")], "reference_unknown"), ([(made, "paid")] * 2, "disbursement_repeated"), (
            [(made, "failed", 1)], "actual_when_paid"):
        answer = try_confirm(case.fund, file, *results)
        assert answer.status_code == 422 and answer.json()["errors"][0]["code"] == code
    confirm(case.fund, file, (made, "paid"))
    assert codes(try_confirm(case.fund, file, (made, "paid"))) == {"confirmed_already"}
    assert codes(try_confirm(case.fund, file, (made, "failed"))) == {"confirmed_already"}


def test_confirmation_is_whole_or_not_at_all(service, case):
    made, other = case.approved(10_000), case.approved(10_000)
    file = send(case.fund)
    posted = balance(service)
    assert try_confirm(case.fund, file, (made, "paid"), (UNKNOWN, "paid")).status_code == 422
    assert balance(service) == posted and read(case.worker, made)["status"] == "sent"
    confirm(case.fund, file, (made, "paid"))
    confirm(case.fund, file, (other, "failed"))


def test_double_confirmation_has_one_effect(service):
    for _ in range(3):
        case = Payable(service)
        made = case.approved(50_000)
        file = send(case.fund)
        posted, bank, match = balance(service)[0], kind_balance(service, "bank"), tag(case.fund, f"/payment-files/{file}")
        answers = at_once(*[lambda client=client: try_confirm(client, file, (made, "paid"), match=match)
                            for client in (case.fund, case.other_fund) * 2])
        assert statuses(answers) == [200, 412, 412, 412]
        assert (balance(service)[0], kind_balance(service, "bank")) == (posted - 50_000, bank - 50_000)


def test_the_same_key_confirms_once(service, case):
    made = case.approved(10_000)
    file = send(case.fund)
    posted = balance(service)[0]
    key = keyed(**{"If-Match": tag(case.fund, f"/payment-files/{file}")})
    body = {"results": [{"disbursement_id": made, "outcome": "paid"}]}
    answers = at_once(*[lambda: case.fund.post(f"/payment-files/{file}/confirmations", json=body, headers=key)] * 3)
    assert {answer.status_code for answer in answers} <= {200, 409} and 200 in {a.status_code for a in answers}
    assert balance(service)[0] == posted - 10_000


def test_confirming_needs_the_version(case):
    case.approved(10_000)
    file = send(case.fund)
    body = {"results": [{"disbursement_id": UNKNOWN, "outcome": "paid"}]}
    assert case.fund.post(f"/payment-files/{file}/confirmations", json=body, headers=keyed()).status_code == 428


def test_without_an_account_to_pay_from_there_is_no_order(service, cluster):
    """Outside the demo, which has one that is nobody's."""
    database = cluster.clone()
    with cluster.connect(database) as connection:
        connection.execute("UPDATE agencies SET demo = false")
        connection.execute("UPDATE principals SET demo = false")
    real, demo = Service(cluster, database, demo=0).start(), Client(service, cluster.credentials()["fund_manager"])
    try:
        demo.ask_token()  # no password is enough outside the demo; tokens are signed with the cluster's keys
        token = demo.headers["Authorization"].removeprefix("Bearer ")
        real.sql("INSERT INTO sign_ins (id, principal_id, expires_at) VALUES (%s, %s, now() + interval '1 hour')",
                 claims(token)["sid"], claims(token)["sub"])
        client = Client(real)
        client.use_token(token, time.time())
        answer = content(client, UNKNOWN)
        assert (answer.status_code, answer.json()["code"]) == (503, "payer_not_set")
        assert client.get(f"/payment-files/{UNKNOWN}").status_code == 404
    finally:
        real.stop()
        cluster.drop(database)


def test_the_payer_is_a_setting(serving):
    with serving(payer_iban="SE3550000000054910000003", payer_bic="ESSESESS", organisation_name="IMT, Göteborg",
                 organisation_number="802000-1221") as other:
        case = Payable(other)
        case.approved(1_000)
        tree = parse(content(case.fund, send(case.fund)))
        assert texts(tree, ".//p:DbtrAcct//p:IBAN") == ["SE3550000000054910000003"]
        assert texts(tree, ".//p:InitgPty/p:Nm") == ["IMT, Göteborg"] and texts(tree, ".//p:Dbtr//p:OrgId/p:Othr/p:Id") == ["8020001221"]
