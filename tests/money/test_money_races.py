"""Two hundred want the same money at once, of the real service. What double approvals, payments, files, confirmations and refunds do
is shown beside what they are: test_disbursements.py, test_payment_files.py, test_donations.py, test_recoveries.py."""

import concurrent.futures

from casework import REASON, codes, keyed
from payments import at_once, faults, project_account, statuses
from ready import ready_cases
from replay import assert_told

MANY = 200


def decide(service, case, account, ore):
    """The answer to a decision on it, once there was room for it."""
    application, need = case
    lines = [{"need_id": need, "outcome": "granted", "amount_ore": ore, "sources": [{"account_id": account, "amount_ore": ore}]}]
    headers = keyed(**{"If-Match": '"1.00000000"'})
    while True:
        answer = service.as_("decision_maker").post(f"/applications/{application}/decisions", headers=headers,
                                                    json={"reasoning": REASON, "lines": lines}, timeout=120)
        if answer.status_code != 503:
            return answer


def balance(service, account):
    return service.sql("SELECT posted_ore, reserved_ore, available_ore FROM accounts WHERE id = %s", account)[0]


def test_of_200_decisions_of_60_kr_on_100_kr_one_is_made(serving):
    with serving(pool=64, in_flight=256, lock_ms=60_000, statement_ms=60_000) as service:
        account, cases = project_account(service, 10_000), ready_cases(service, MANY)
        answers = at_once(*[lambda case=case: decide(service, case, account, 6_000) for case in cases])
        assert statuses(answers) == [201] + [409] * (MANY - 1)
        assert set().union(*[codes(answer) for answer in answers if answer.status_code == 409]) == {"insufficient_funds"}
        assert balance(service, account) == (10_000, 6_000, 4_000)
        [won] = [case for case, answer in zip(cases, answers) if answer.status_code == 201]
        assert service.sql("SELECT application_id::text, need_id::text FROM decision_lines WHERE need_id = ANY (%s::uuid[])",
                           [need for _, need in cases]) == [won]
        with service.connect() as connection:
            assert_told(connection)


def test_decisions_of_accounts_in_opposite_orders_all_end(serving):
    """Each names two of three accounts, in any order: nobody waits for each other, and no more is promised than there is."""
    with serving(pool=32, in_flight=128, lock_ms=60_000, statement_ms=60_000) as service:
        accounts, cases = [project_account(service, 10_000) for _ in range(3)], ready_cases(service, 60)

        def split(at):
            application, need = cases[at]
            sources = [{"account_id": accounts[(at + step) % 3], "amount_ore": 500} for step in ((0, 1) if at % 2 else (1, 0))]
            return service.as_("decision_maker").post(
                f"/applications/{application}/decisions", headers=keyed(**{"If-Match": '"1.00000000"'}), timeout=120,
                json={"reasoning": REASON, "lines": [{"need_id": need, "outcome": "granted", "amount_ore": 1_000, "sources": sources}]})

        with concurrent.futures.ThreadPoolExecutor(60) as threads:
            answers = list(threads.map(split, range(60)))
        told = statuses(answers)
        assert set(told) <= {201, 409}, [a.text for a in answers if a.status_code not in (201, 409)]
        assert sum(balance(service, account)[1] for account in accounts) == 1_000 * told.count(201) > 0
        assert faults(service) == []
