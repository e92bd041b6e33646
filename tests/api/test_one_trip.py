"""One round trip to PostgreSQL a request, seen on the wire: between the service and PostgreSQL stands a proxy that
counts what asks the server to answer."""

import re
import socket
import struct
import threading

import pytest

from casework import Case, done, keyed


class Proxy:
    """Passes bytes both ways on unix sockets, and counts the client's Sync and Query messages (PostgreSQL's protocol,
    version 3): each is one wait for an answer."""

    def __init__(self, folder, server):
        self.server = server
        self.trips = 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(folder / ".s.PGSQL.5432"))
        self.listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.server)
            threading.Thread(target=self._requests, args=(client, server), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client), daemon=True).start()

    @staticmethod
    def _pass(source, sink):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.close()

    def _requests(self, client, server):
        waiting, started = b"", False
        while data := client.recv(65536):
            waiting += data
            while len(waiting) >= 5:
                head = 1 if started else 0
                size = head + struct.unpack(">I", waiting[head:head + 4])[0]
                if len(waiting) < size:
                    break
                if started and waiting[:1] in b"SQ":
                    self.trips += 1
                started, waiting = True, waiting[size:]
            server.sendall(data)
        server.close()


@pytest.fixture(scope="module")
def proxied(cluster, serving, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wire")
    url = cluster.url("utvag_app", "postgres")
    proxy = Proxy(folder, re.search(r"host='?([^' ]+)", url).group(1) + "/.s.PGSQL.5432")
    with serving(pool=1) as direct:
        through = re.sub(r"host='?[^' ]+'?", f"host='{folder}'", cluster.url("utvag_app", direct.database))
        with serving(pool=1, database_url=through) as service:
            service.database = direct.database
            yield Wire(proxy, service, direct)


class Wire:
    def __init__(self, proxy, service, direct):
        self.proxy, self.service, self.direct = proxy, service, direct

    def trips(self, client, method, path, status, **options):
        """The trips of a request, its connection and its token being there already."""
        client.get("/codes/bodies")
        before = self.proxy.trips
        answer = client.request(method, path, **options)
        done(answer, status)
        return self.proxy.trips - before


@pytest.fixture(scope="module")
def partner(proxied):
    return proxied.service.as_("partner", "handl-1")


@pytest.fixture
def child(partner):
    return done(partner.post("/children", json={"alias": "Lisen", "protection": "none"}, headers=keyed()), 201)


def test_reading_one_is_one_trip(proxied, partner, child):
    assert proxied.trips(partner, "GET", f"/children/{child['id']}", 200) == 1


def test_a_miss_is_one_trip(proxied, partner):
    assert proxied.trips(partner, "GET", "/children/00000000-0000-4000-8000-000000000000", 404) == 1


def test_a_list_is_one_trip(proxied, partner, child):
    assert proxied.trips(partner, "GET", "/children", 200) == 1


def test_a_search_is_one_trip(proxied, partner):
    assert proxied.trips(partner, "POST", "/children/search", 200, json={"phone": "+46701740605"}) == 1


def test_creating_is_one_trip(proxied, partner):
    body = {"alias": "Lisen", "birth_date": "2019-03-01", "protection": "none"}
    assert proxied.trips(partner, "POST", "/children", 201, json=body, headers=keyed()) == 1


def test_a_whole_registration_is_one_trip(proxied, partner):
    body = {
        "person": {"alias": "Mira", "birth_date": "1991-06-03", "protection": "none"},
        "children": [{"alias": "Lisen", "birth_date": "2019-03-01", "protection": "none"}],
        "application": {"summary": "Mor med dotter."},
        "needs": [{"for": "child:0", "category_code": "pram", "description": "Vagn."}],
        "certification": {"evidence": "own_knowledge", "statement": "Jag intygar behovet."},
    }
    assert proxied.trips(partner, "POST", "/registrations", 201, json=body, headers=keyed()) == 1


def test_changing_what_is_not_sealed_is_one_trip(proxied, partner, child):
    tag = partner.get(f"/children/{child['id']}").headers["ETag"]
    body = {"residence_status_code": "asylum_seeker"}
    assert proxied.trips(partner, "PATCH", f"/children/{child['id']}", 200, json=body, headers=keyed() | {"If-Match": tag}) == 1


def test_merging_what_is_sealed_is_two_trips(proxied, partner, child):
    tag = partner.get(f"/children/{child['id']}").headers["ETag"]
    headers = keyed() | {"If-Match": tag}
    assert proxied.trips(partner, "PATCH", f"/children/{child['id']}", 200, json={"notes": "Går i skolan."}, headers=headers) == 2


def test_a_refusal_is_two_trips_the_second_its_audit_row(proxied):
    case = Case(proxied.service)
    assert proxied.trips(case.worker, "POST", case.path("start-review"), 409, json={}, headers=keyed()) == 2


def test_deciding_is_two_trips_since_places_and_birth_dates_are_sealed(proxied):
    case = Case(proxied.service).ready("glasses")
    body = {"reasoning": "Behovet är styrkt.", "lines": [case.line("glasses")]}
    headers = keyed() | {"If-Match": case.tag(case.decider)}
    assert proxied.trips(case.decider, "POST", case.path("decisions"), 201, json=body, headers=headers) == 2
