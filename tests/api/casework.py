"""Builders: a case brought, through the interface alone, to where a test begins."""

import base64
import itertools
import json
import uuid

NUMBERS = itertools.count(1)
REASON = "Behovet är styrkt och samhället täcker det inte."


def done(answer, status=200):
    """The answer's body, when it went as it should."""
    assert answer.status_code == status, (answer.request.method, answer.request.url, answer.status_code, answer.text)
    return answer.json() if answer.text else None


def codes(answer):
    """The codes of the gates that a refusal lists."""
    assert answer.status_code == 409, (answer.status_code, answer.text)
    body = answer.json()
    return {error["code"] for error in body.get("errors", [])} or {body["code"]}


def principal(client):
    """The id of the user or machine client that a test client signs in as."""
    client.get("/codes/bodies")
    payload = client.headers["Authorization"].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]


def keyed(**headers):
    return {"Idempotency-Key": str(uuid.uuid4())} | headers


class Case:
    """An application of the partner's, and everyone who works with it. `needs` maps names to the needs' ids."""

    def __init__(self, service, partner="partner", **person):
        self.service = service
        self.partner = service.as_(partner, "handl-1")
        self.worker = service.as_("case_worker")
        self.decider = service.as_("decision_maker")
        self.other_decider = service.as_("decision_maker_2")
        self.triage = service.as_("triage")
        person = {"alias": f"Person {next(NUMBERS)}", "birth_date": "1990-03-01", "protection": "none"} | person
        self.person = done(self.partner.post("/applicants", json=person, headers=keyed()), 201)["id"]
        application = done(self.partner.post("/applications", json={"person_id": self.person}, headers=keyed()), 201)
        self.id = application["id"]
        self.needs = {}

    def path(self, *parts):
        return "/".join(["/applications", self.id, *parts])

    def read(self, client=None):
        return done((client or self.worker).get(self.path()))

    def tag(self, client=None):
        """The application's ETag as it is now."""
        answer = (client or self.worker).get(self.path())
        done(answer)
        return answer.headers["ETag"]

    def need(self, category, person=None, name=None):
        body = {"person_id": person or self.person, "category_code": category, "description": "Behövs snart."}
        self.needs[name or category] = done(self.partner.post(self.path("needs"), json=body, headers=keyed()), 201)["id"]
        return self

    def child(self, **person):
        person = {"alias": f"Barn {next(NUMBERS)}", "birth_date": "2019-03-01", "protection": "none"} | person
        return done(self.partner.post("/children", json=person, headers=keyed()), 201)["id"]

    def act(self, client, action, body=None, status=200, **headers):
        return done(client.post(self.path(action), json=body or {}, headers=keyed(**headers)), status)

    def submit(self):
        self.act(self.partner, "submit")
        return self

    def review(self, worker=None):
        worker = worker or self.worker
        self.act(self.triage, "assign", {"assigned_to": principal(worker)})
        self.act(worker, "start-review")
        return self

    def certify(self, *names, client=None, **body):
        client = client or self.partner
        self.act(client, "certifications", {"need_ids": self.ids(names), "statement": "Jag känner henne."} | body, 201)
        return self

    def eligible(self, outcome="direct", person=None, worker=None):
        body = {"person_id": person or self.person, "outcome": outcome, "exploited_in_sweden": True, "reason": REASON}
        done((worker or self.worker).post("/eligibility-assessments", json=body, headers=keyed()), 201)
        return self

    def obligation(self, outcome="not_obliged", *names, worker=None):
        for need in self.ids(names):
            body = {"need_id": need, "body_code": "municipal_social_services", "outcome": outcome}
            self.act(worker or self.worker, "obligation-assessments", body, 201)
        return self

    def best_interest(self, child, worker=None):
        body = {"person_id": child, "child_heard": "in_person", "outcome": "supports", "considerations": "Barnet vill gå i skolan."}
        self.act(worker or self.worker, "best-interest-assessments", body, 201)
        return self

    def propose(self, *names, worker=None):
        lines = [{"need_id": need, "outcome": "granted", "amount_ore": 50_000} for need in self.ids(names)]
        self.act(worker or self.worker, "propose", {"reasoning": REASON, "lines": lines})
        return self

    def ids(self, names):
        return [self.needs[name] for name in names or self.needs]

    def ready(self, *categories):
        """Needs asked for, certified, assessed and proposed."""
        for category in categories or ("glasses",):
            self.need(category)
        return self.submit().review().certify().eligible().obligation().propose()

    def line(self, name, outcome="granted", amount_ore=50_000, **more):
        line = {"need_id": self.needs[name], "outcome": outcome} | more
        return line | {"amount_ore": amount_ore} if outcome in ("granted", "partly_granted") else line

    def try_decide(self, *lines, client=None, tag=None, **more):
        """The answer to a decision on the lines, or on a grant of every need."""
        client = client or self.decider
        body = {"reasoning": REASON, "lines": list(lines) or [self.line(name) for name in self.needs]} | more
        return client.post(self.path("decisions"), json=body, headers=keyed(**{"If-Match": tag or self.tag(client)}))

    def decide(self, *lines, **more):
        return done(self.try_decide(*lines, **more), 201)

    def try_emergency(self, name, amount_ore=20_000, client=None, **more):
        body = {"need_id": self.needs[name], "amount_ore": amount_ore, "reasoning": "Hon står utan mat i natt.",
                "payee_vendor": {"name": "Nattöppet Livs AB", "organisation_number": "556677-8899"}} | more
        return (client or self.decider).post(self.path("emergency-grants"), json=body, headers=keyed())

    def emergency(self, name, **more):
        return done(self.try_emergency(name, **more), 201)

    def reconsider(self, *names, client=None):
        body = {"message": "Beslutet byggde på fel uppgift.", "need_ids": self.ids(names)}
        return (client or self.decider).post(self.path("reconsider"), json=body, headers=keyed())

    def ratify(self, grant, client=None):
        client = client or self.other_decider
        tag = client.get(f"/emergency-grants/{grant}").headers.get("ETag", '"1.00000000"')
        return client.post(f"/emergency-grants/{grant}/ratify", headers=keyed(**{"If-Match": tag}))
