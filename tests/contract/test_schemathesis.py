"""Schemathesis against the running demo: for each role, requests drawn from the contract, true to it and not.

Whatever is sent, the answer is one that the contract describes, and never a fault of the service. Bounded, and drawn alike
each time; UTVAG_FUZZ_EXAMPLES=200 (default 3) draws more for each operation and role.
"""

import functools
import os
import time
import uuid

import hypothesis
import pytest
import requests
import schemathesis
from schemathesis.generation import GenerationMode

import builders
import contract
import formats
from service import TOKEN_AGE, Client

EXAMPLES = int(os.environ.get("UTVAG_FUZZ_EXAMPLES", "3"))
OPERATIONS = contract.operations()
LONGEST = 2000  # of an address: what is longer is 414, as the contract's introduction says for all

for name, strategy in formats.STRATEGIES.items():
    schemathesis.openapi.format(name, strategy)


@functools.cache
def schema():
    config = schemathesis.config.SchemathesisConfig.from_dict({
        # Bodies and parameters hold no U+0000: said in words, since no schema can say it.
        "generation": {"deterministic": True, "allow-x00": False},
        # A change without If-Match is 428 (RFC 6585), which the check does not expect.
        "checks": {"missing_required_header": {"expected-statuses": [400, 401, 403, 404, 428]}},
    })
    return schemathesis.openapi.from_dict(contract.document(), config=config)


@functools.cache
def described():
    """Schemathesis's own view of each operation."""
    found = (result.ok() for result in schema().get_all_operations())
    return {operation.definition.raw["operationId"]: operation for operation in found}


# What the draft of a request cannot be blamed for: it is true to the schema, and stands against what is in the database,
# or against a rule between members. Whatever the schema itself tells must be told by the schema.
OF_THE_SCHEMA = {"required", "unknown_member", "type", "enum", "const", "one_of", "pattern", "too_short", "too_long", "too_small",
                 "too_large", "too_few", "too_many", "not_unique", "parameter_unknown", "parameter_repeated", "json_invalid",
                 "json_too_deep", "body_required", "body_unexpected", "media_type_unsupported", "if_match_invalid",
                 "if_match_required", "acting_officer_invalid"}


def accepts_what_is_true(context, response, case):
    """In place of positive_data_acceptance, which knows a status only: rules beyond the schema answer 422 too."""
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive or response.status_code not in (400, 405, 406, 415, 422, 428):
        return
    body = response.json()
    codes = {body["code"]} | {error["code"] for error in body.get("errors", [])}
    blamed = {code for code in codes if code in OF_THE_SCHEMA or code.startswith("format_")}
    assert not blamed, f"true to the contract, but refused: {blamed} {body.get('errors')}"


# What is not run: positive_data_acceptance, for which the check above stands. What use_after_free and
# ensure_resource_availability look at are chains of requests, which are not drawn here; tests/api walks them.
REPLACED = [schemathesis.checks.positive_data_acceptance]


CONNECTION = requests.Session()


class Exchange:
    """Sends what is drawn, and keeps what fails, each kind once."""

    def __init__(self, service, role, case_of, operation):
        self.case_of, self.operation = case_of, operation
        self.client = service.as_(role) if role else None
        self.passing = operation.id == "deleteCurrentSession"  # each that is sent ends the sign-in
        if self.passing:
            self.client = Client(service, self.client.credentials)
        self.base_url = service.url.removesuffix("/v1") if operation.at_root else service.url
        self.acts = role == "partner" and operation.parameter("X-Acting-Officer", "header")
        self.failures = {}
        self.sent = 0

    def send(self, case):
        if len(requests.Request("GET", self.base_url + case.path, params=case.query).prepare().url) > LONGEST:
            return
        self.sent += 1
        if self.acts:  # a machine of an agency states for whom it acts, which no schema asks of a person
            case.headers.setdefault("X-Acting-Officer", builders.OFFICER)
        if not self.broken(case):
            self.aim(case)
        if "query" not in self.broken(case):
            case.query.pop("fields", None)  # the schema of an answer cannot know what it leaves out
        try:
            case.call_and_validate(base_url=self.base_url, session=CONNECTION, headers=self.authorization(),
                                   additional_checks=[accepts_what_is_true, self.lets_in],
                                   excluded_checks=REPLACED + self.beside(case))
        except (AssertionError, BaseExceptionGroup) as failure:
            text = "\n".join(map(str, getattr(failure, "exceptions", (failure,))))
            self.failures.setdefault(text[:60], text)

    def authorization(self):
        """In each request, and not in the session, from which the check of ignored_auth would take it."""
        if not self.client:
            return {}
        if self.passing:
            self.client.ask_token()
        elif time.time() - self.client.asked > TOKEN_AGE:
            self.client.get("/codes")  # asks for a new one
        return {"Authorization": self.client.headers["Authorization"]}

    def lets_in(self, context, response, case):
        """Otherwise all that is tried is the door."""
        assert self.operation.open or response.status_code != 401, "the token is not taken"

    @staticmethod
    def broken(case):
        """The parts of the request that are not true to the contract; none of a request that is."""
        if case.meta.generation.mode.is_positive:
            return []
        return [place.value for place, part in case.meta.components.items() if part.mode.is_negative] or ["method"]

    def beside(self, case):
        """A draw that breaks one branch of a oneOf may meet another: a body that is true after all may be accepted. So may a
        draw of which Schemathesis itself says that it found nothing to break: a body left out that may be absent."""
        if case.meta.phase.data.description == "Positive test case":
            return [schemathesis.checks.negative_data_rejection]
        if self.broken(case) != ["body"] or contract.JSON not in self.operation.bodies:
            return []
        met = formats.validator(self.operation.bodies[contract.JSON]["schema"]).is_valid(case.body)
        return [schemathesis.checks.negative_data_rejection] if met else []

    def aim(self, case):
        """So that what is true to the contract gets as far as the database: ids of records that are there, an idempotency key
        of its own, no cursor that nobody gave."""
        case.query.pop("cursor", None)
        if "Idempotency-Key" in case.headers:
            case.headers["Idempotency-Key"] = str(uuid.uuid4())
        if "If-Match" in case.headers:  # Schemathesis sends `0` beside the boundaries of others, which the pattern does not allow
            case.headers["If-Match"] = builders.TAG
        home = builders.OF_A_CASE.get(self.operation.path.partition("{")[0])
        if home:
            case.path_parameters["id"] = home(self.case_of)
            case.body = self.case_of.fill(case.body, renew=lambda drawn: drawn)

    def verdict(self):
        assert self.sent
        assert not self.failures, "\n\n".join(self.failures.values())


@pytest.fixture(scope="module")
def exchange(service):
    case_of = builders.Case(service)
    return lambda operation, role: Exchange(service, role, case_of, operation)


@pytest.mark.parametrize("operation", OPERATIONS, ids=repr)
def test_boundaries(exchange, operation):
    """Every boundary of every member and parameter, from both of its sides; as the first role that may."""
    sent = exchange(operation, next(iter(operation.roles), None))
    for case in schema().iter_coverage_cases(described()[operation.id], generation_modes=list(GenerationMode),
                                             generation_config=schema().config.generation_for()):
        sent.send(case)
    sent.verdict()


@pytest.mark.parametrize("role", contract.roles())
@pytest.mark.parametrize("operation", OPERATIONS, ids=repr)
def test_random_requests(exchange, operation, role):
    """True to the contract, and not; of those who may not, as few as show that nothing in a request opens what is closed."""
    sent = exchange(operation, role)
    for mode in GenerationMode:

        @hypothesis.settings(max_examples=EXAMPLES if role in operation.roles else 1, derandomize=True, database=None,
                             deadline=None, phases=[hypothesis.Phase.generate],
                             suppress_health_check=list(hypothesis.HealthCheck))
        @hypothesis.given(described()[operation.id].as_strategy(generation_mode=mode))
        def draw(case):
            sent.send(case)

        draw()
    sent.verdict()
