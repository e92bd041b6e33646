"""Schemathesis against the running demo: for each role, requests drawn from the contract, true to it and not.

Whatever is sent, the answer is one that the contract describes, and never a fault of the service. Bounded, and drawn alike
each time; UTVAG_FUZZ_EXAMPLES=200 (default 3) draws more for each operation and role.
"""

import functools
import os

import hypothesis
import pytest
import schemathesis
from schemathesis.generation import GenerationMode

import builders
import contract
import formats

EXAMPLES = int(os.environ.get("UTVAG_FUZZ_EXAMPLES", "3"))
OPERATIONS = contract.operations()

for name, strategy in formats.STRATEGIES.items():
    schemathesis.openapi.format(name, strategy)


@functools.cache
def schema():
    config = schemathesis.config.SchemathesisConfig.from_dict({
        # Bodies and parameters hold no U+0000: said in words, since no schema can say it.
        "generation": {"deterministic": True, "allow-x00": False},
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
                 "json_too_deep", "body_required", "body_unexpected", "media_type_unsupported",
                 "if_match_required", "acting_officer_invalid"}


def accepts_what_is_true(context, response, case):
    """In place of positive_data_acceptance, which knows a status only: rules beyond the schema answer 422 too. Not for
    If-Match: among the boundaries of other members Schemathesis sends it as `0`, which its pattern does not allow."""
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive or response.status_code not in (400, 405, 406, 415, 422, 428):
        return
    body = response.json()
    codes = {body["code"]} | {error["code"] for error in body.get("errors", [])}
    blamed = {code for code in codes if code in OF_THE_SCHEMA or code.startswith("format_")}
    assert not blamed, f"true to the contract, but refused: {blamed} {body.get('errors')}"


class Exchange:
    """Sends what is drawn, and keeps what fails, each kind once."""

    def __init__(self, service, client):
        self.service, self.client = service, client
        self.failures = {}
        self.sent = 0

    def send(self, case):
        self.sent += 1
        at_root = case.path.startswith("/.well-known/")  # a path with servers of its own
        base = self.service.url.removesuffix("/v1") if at_root else self.service.url
        try:
            case.call_and_validate(base_url=base, session=self.client, additional_checks=[accepts_what_is_true],
                                   excluded_checks=[schemathesis.checks.CHECKS.get_one("positive_data_acceptance")])
        except (schemathesis.errors.SchemathesisError, AssertionError, BaseExceptionGroup) as failure:
            text = str(failure)
            self.failures.setdefault(text[:60], text)

    def verdict(self):
        assert not self.failures, "\n\n".join(self.failures.values())


def client_of(service, role):
    return service.as_(role, builders.OFFICER) if role == "partner" else service.as_(role)


@pytest.mark.parametrize("operation", OPERATIONS, ids=repr)
def test_boundaries(service, operation):
    client = client_of(service, operation.roles[0]) if operation.roles else service.anyone()
    exchange = Exchange(service, client)
    for case in schema().iter_coverage_cases(described()[operation.id], generation_modes=list(GenerationMode),
                                             generation_config=schema().config.generation_for()):
        exchange.send(case)
    print(operation.id, exchange.sent)
    exchange.verdict()


@pytest.mark.parametrize("operation, role", [(o, role) for o in OPERATIONS for role in o.roles], ids=repr)
def test_random_requests(service, operation, role):
    exchange = Exchange(service, client_of(service, role))

    @hypothesis.given(case=described()[operation.id].as_strategy())
    @hypothesis.settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
                         suppress_health_check=list(hypothesis.HealthCheck))
    def draw(case):
        exchange.send(case)

    draw()
    assert exchange.sent
    exchange.verdict()
