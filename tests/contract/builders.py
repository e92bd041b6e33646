"""Records for every kind of path, brought about through the interface with the contract's own examples."""

import base64
import copy
import datetime
import itertools
import json
import re
import uuid

import contract
import formats

OFFICER = "handl-1"
AGENCIES = {"partner": "d0000000-0000-4000-8000-000000000001", "partner_other": "d0000000-0000-4000-8000-000000000002"}
UNKNOWN = "0b5e1e0c-7d4a-4c1e-9a55-3f0c6e2b9d17"
PLACE = ("street_address", "postal_code", "city", "municipality_code")
TAG = '"1.00000000"'

_numbers = itertools.count(100)


def made(answer, status=201):
    assert answer.status_code == status, (answer.request.method, answer.url, answer.status_code, answer.text)
    return answer.json() if answer.content else None


def principal(client):
    """The id of whom a client is signed in as."""
    if "Authorization" not in client.headers:
        client.get("/codes")
    payload = client.headers["Authorization"].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]


def personnummer():
    """A number of the right form that no other record has."""
    days, serial = divmod(next(_numbers), 900)
    born = datetime.date(1985, 7, 9) + datetime.timedelta(days)
    return "19" + formats.with_check_digit(f"{born:%y%m%d}{serial + 100}")


def today(more=0):
    return str(datetime.date.today() + datetime.timedelta(more))


def example(operation_id, number=0):
    operation = next(o for o in contract.operations() if o.id == operation_id)
    return copy.deepcopy(contract.examples(operation.bodies[contract.JSON])[number])


def fresh(body):
    """What may be there once only, made anew."""
    if "external_id" in body:
        body["external_id"] = f"soc-{next(_numbers)}"
    if "email" in body:
        body["email"] = f"namn{next(_numbers)}@imt.example"
    if isinstance(body.get("organisation_number"), str):
        body["organisation_number"] = formats.with_check_digit(f"2120{next(_numbers):05}")
    if re.fullmatch("[0-9]+", body.get("reference") or ""):  # the bank's
        body["reference"] = str(next(_numbers))
    for identifier in body.get("identifiers", []):
        identifier["number"] = personnummer()
    if body.get("kind") == "personnummer":
        body["number"] = personnummer()
    return body


CHILDRENS_FUND = "5c0f1d52-7f0a-4b6e-9d33-1f2a8e6b7c01"


class Case:
    """A family's case of one agency, decided in part, with every kind of record below it."""

    def __init__(self, service, agency="partner", protection="none"):
        self.service = service
        self.agency = agency
        self.partner = service.as_(agency, OFFICER)
        self.worker = service.as_("case_worker")
        self.decider = service.as_("decision_maker")
        self.triage = service.as_("triage")
        self.protection = protection
        self.family()
        self.application()
        self.decided()
        self.taking_part()
        self.paid()
        self.refinanced()

    def post(self, client, path, body=None, status=201, **headers):
        return made(client.post(path, json=body, headers={"Idempotency-Key": str(uuid.uuid4())} | headers), status)

    def put(self, operation, client, path, status=201, **members):
        """Carries out an operation with its example, ids and given members replaced."""
        return self.post(client, path, self.fill(example(operation)) | members, status)

    def person(self, operation, path):
        body = fresh(example(operation)) | {"protection": self.protection}
        if self.protection != "none":
            body = {name: value for name, value in body.items() if name not in PLACE}
        return self.post(self.partner, path, body)["id"]

    def family(self):
        self.applicant = self.person("createApplicant", "/applicants")
        self.child = self.person("createChild", "/children")
        self.needs, self.representative = [UNKNOWN], UNKNOWN
        self.access = [self.let_in(person) for person in (self.applicant, self.child)] if self.protection != "none" else []
        self.relation = self.put("createRelation", self.partner, "/relations")["id"]
        self.household = self.put("createHousehold", self.partner, "/households")["id"]
        for person in (self.applicant, self.child):
            self.eligibility = self.put("createEligibilityAssessment", self.worker, "/eligibility-assessments",
                                        person_id=person)["id"]

    def let_in(self, person):
        """Triage, who is on every access list, puts those there who work with the case."""
        for client in (self.worker, self.decider):
            body = {"person_id": person, "officer": "user:" + principal(client), "reason_code": "case_work"}
            made(self.triage.post("/access-grants", json=body))
        return made(self.triage.get("/access-grants", params={"person_id": person}), 200)["access_grants"][0]["id"]

    def application(self):
        self.id = self.put("createApplication", self.partner, "/applications")["id"]
        here = f"/applications/{self.id}"
        # For the child; a second one stays open; a third may be granted at night.
        self.needs = [self.put("addNeed", self.partner, here + "/needs", category_code=category)["id"]
                      for category in ("glasses", "childrens_clothes", "food")]
        self.representative = self.put("addRepresentative", self.partner, here + "/representatives")["id"]
        self.certification = self.put("addCertification", self.partner, here + "/certifications")["id"]
        self.put("submitApplication", self.partner, here + "/submit", 200)
        self.put("assignApplication", self.triage, here + "/assign", 200)
        self.put("startReview", self.worker, here + "/start-review", 200)
        self.obligation = self.put("addObligationAssessment", self.worker, here + "/obligation-assessments")["id"]
        self.interest = self.put("addBestInterestAssessment", self.worker, here + "/best-interest-assessments")["id"]

    def decided(self):
        here = f"/applications/{self.id}"
        self.put("proposeDecision", self.worker, here + "/propose", 200)
        body = self.fill(example("decideApplication"))
        decision = self.post(self.decider, here + "/decisions", body, **{"If-Match": self.tag(self.decider, here)})
        self.decision, self.line = decision["id"], decision["lines"][0]["id"]
        self.emergency = self.put("grantEmergency", self.decider, here + "/emergency-grants", need_id=self.needs[2],
                                  amount_ore=100)["id"]

    def taking_part(self):
        """The child does, in a project of the children's."""
        here = f"/projects/{project(self.service)}/participations"
        self.participation = self.put("createParticipation", self.worker, here)["id"]
        self.step = self.put("addParticipationStep", self.worker, f"/participations/{self.participation}/steps")["id"]

    def paid(self):
        """A payment that waits for approval, another that is at the bank, and a claim."""
        self.disbursement = self.order()
        sent, fund = self.order(), self.service.as_("fund_manager")
        self.post(fund, f"/disbursements/{sent}/approve", None, 200, **{"If-Match": self.tag(fund, f"/disbursements/{sent}")})
        maker = fund if self.protection == "none" else self.decider
        self.file = self.put("makePaymentFile", maker, "/payment-files")["id"]
        [(self.recovery,)] = self.service.sql("SELECT open_claim(%s, 'overpayment', 100)::text", self.line)

    def refinanced(self):
        """What the line still holds is asked to be paid of the same account: a movement that changes nothing."""
        [(left,)] = self.service.sql("SELECT line_movable(%s)", self.line)
        body = {"sources": [{"account_id": CHILDRENS_FUND, "amount_ore": left}], "reason_code": "other_means"}
        self.refinancing = self.post(self.decider, f"/decision-lines/{self.line}/refinancings", body)["id"]

    def order(self):
        """A little of what the line grants, paid of whichever account that is."""
        body = example("orderDisbursement") | {"amount_ore": 100}
        del body["sources"]
        return self.post(self.worker, f"/decision-lines/{self.line}/disbursements", body)["id"]

    def tag(self, client, path):
        return client.get(path).headers.get("ETag", TAG)

    def fill(self, body, renew=fresh):
        """The body with its example ids replaced by this case's; renew: what is done to what may be there once only."""
        ids = {
            "person_id": self.child, "related_person_id": self.applicant, "member_ids": [self.applicant, self.child],
            "need_id": self.needs[0], "need_ids": [self.needs[0]], "representative_id": self.representative,
            "assigned_to": principal(self.worker), "agency_id": AGENCIES[self.agency],
            "officer": f"agency:{AGENCIES[self.agency]}:extern-{next(_numbers)}",
            "disbursement_id": getattr(self, "disbursement", UNKNOWN),
            "asked_on": today(), "answered_on": today(), "certified_on": today(), "expires_on": today(90),
        }
        if isinstance(body, list):
            return [self.fill(item, renew) for item in body]
        if not isinstance(body, dict):
            return body
        return renew({key: ids[key] if key in ids and value is not None else self.fill(value, renew)
                      for key, value in body.items()})

    def ids(self):
        return [self.applicant, self.child, self.relation, self.household, self.eligibility, self.id, *self.needs,
                self.representative, self.certification, self.obligation, self.interest, self.decision, self.emergency,
                self.participation, self.step, self.line, self.disbursement, self.recovery, self.refinancing, *self.access]


# One record for each kind of path, by the path up to its id: of the case, or of those who run the service. ------------

OF_A_CASE = {
    "/applicants/": lambda case: case.applicant,
    "/children/": lambda case: case.child,
    "/relations/": lambda case: case.relation,
    "/households/": lambda case: case.household,
    "/eligibility-assessments/": lambda case: case.eligibility,
    "/applications/": lambda case: case.id,
    "/needs/": lambda case: case.needs[1],
    "/representatives/": lambda case: case.representative,
    "/certifications/": lambda case: case.certification,
    "/obligation-assessments/": lambda case: case.obligation,
    "/best-interest-assessments/": lambda case: case.interest,
    "/decisions/": lambda case: case.decision,
    "/emergency-grants/": lambda case: case.emergency,
    "/participations/": lambda case: case.participation,
    "/participation-steps/": lambda case: case.step,
    "/decision-lines/": lambda case: case.line,
    "/refinancings/": lambda case: case.refinancing,
    "/disbursements/": lambda case: case.disbursement,
    "/payment-files/": lambda case: case.file,
    "/recoveries/": lambda case: case.recovery,
}


def access_grant(service):
    """Of a protected person whom a case worker registered; every role of staff that may read it is on her list."""
    worker = service.as_("case_worker")
    person = made(worker.post("/applicants", json={"alias": "Skyddad", "protection": "sekretessmarkering"}))["id"]
    decider = {"person_id": person, "officer": "user:" + principal(service.as_("decision_maker")), "reason_code": "decision"}
    made(worker.post("/access-grants", json=decider))
    other = {"person_id": person, "officer": "user:" + principal(service.as_("case_worker_2")), "reason_code": "replacement"}
    return made(worker.post("/access-grants", json=other))["id"]


def user(service):
    return made(service.as_("admin").post("/users", json=fresh(example("createUser"))))["id"]


def client(service):
    body = example("createClient") | {"agency_id": AGENCIES["partner"]}
    return made(service.as_("admin").post("/clients", json=body))["id"]


def agency(service):
    return made(service.as_("admin").post("/agencies", json=fresh(example("createAgency"))))["id"]


def audit_event(service):
    service.as_("case_worker").get("/children")
    return made(service.as_("auditor").get("/audit-events"), 200)["audit_events"][0]["id"]


def account(service):
    """A project's, which whoever sees accounts may see."""
    project, made = str(uuid.uuid4()), str(uuid.uuid4())
    service.sql("INSERT INTO projects (id, name_sv, name_en, funder, starts_on, ends_on, pay_until_on, target_groups)"
                " VALUES (%s, 'Projekt', 'Project', 'Stiftelsen', '2016-01-01', '2099-12-31', '2099-12-31', '{children}')", project)
    service.sql("INSERT INTO accounts (id, kind, project_id, number, name_sv, name_en)"
                " VALUES (%s, 'project', %s, '2070', 'Projekt', 'Project')", made, project)
    return made


def ledger_transaction(service):
    """Of a promise, which leaves the accounts as they were."""
    [(made,)] = service.sql("SELECT book('reservation', gen_random_uuid(), ARRAY[(a.id, 'free', 1), (a.id, 'free', -1)]::ledger_entry[])"
                            " FROM accounts a WHERE a.kind = 'bank'")
    return str(made)


def project(service):
    """One that goes on, and that an agency may see."""
    body = example("createProject") | {"ends_on": "2099-12-31", "pay_until_on": None}
    return made(service.as_("project_manager").post("/projects", json={k: v for k, v in body.items() if v is not None}))["id"]


def donation(service):
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    body = example("createDonation") | {"channel_reference": "T-" + uuid.uuid4().hex}
    return made(service.as_("fund_manager").post("/donations", json=body, headers=headers))["id"]


def activity(service):
    return made(service.as_("project_manager").post("/activities", json=example("createActivity")))["id"]


OF_THE_SERVICE = {
    "/projects/": project,
    "/donations/": donation,
    "/fund/donations/": donation,
    "/activities/": activity,
    "/accounts/": account,
    "/ledger-transactions/": ledger_transaction,
    "/access-grants/": access_grant,
    "/users/": user,
    "/clients/": client,
    "/agencies/": agency,
    "/audit-events/": audit_event,
    "/codes/": lambda service: "need-categories",
}
