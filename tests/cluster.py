"""A private PostgreSQL for tests, with a template database: migrated, and loaded with the demo.

`python cluster.py start|stop FOLDER` for a run of ctest, whose suites share it; see conftest.py.
"""

import json
import os
import pathlib
import secrets
import subprocess
import sys

import psycopg
from psycopg import sql

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEMPLATE = "utvag_template"
# Tests lose nothing with the machine; what must survive a crash of PostgreSQL is tested by faults/ on their own cluster.
FAST = "-c fsync=off -c full_page_writes=off"


def binary():
    return os.environ.get("UTVAG_BINARY", str(ROOT / "build/dev/utvag"))


class Cluster:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def dev(self, *arguments, **environment):
        done = subprocess.run([ROOT / "dev", "cluster", *arguments], env=os.environ | environment, check=True,
                              stdout=subprocess.PIPE, text=True)
        return done.stdout.strip()

    def start(self, options=FAST):
        self.dev("start", str(self.folder), UTVAG_TEST_POSTGRES_OPTIONS=options)

    def stop(self):
        self.dev("stop", str(self.folder))

    def url(self, user, database):
        """A libpq connection string; user `postgres` is the superuser, `utvag_app` the service."""
        return self.dev("url", str(self.folder), user, database)

    def connect(self, database="postgres"):
        return psycopg.connect(self.url("postgres", database), autocommit=True)

    def environment(self, database):
        """What the binary needs for this database. The cluster's folder holds the key ring that sealed the demo."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("UTVAG_")}
        return kept | {
            "UTVAG_DATABASE_URL": self.url("utvag_app", database),
            "UTVAG_OWNER_DATABASE_URL": self.url("postgres", database),
            "UTVAG_KEYS": str(self.folder / "keys"),
            "UTVAG_DEMO": "1",
            "UTVAG_PORT": "0",
            "UTVAG_ADMIN_PORT": "-1",
            # All suites share one address and few accounts; test_rates.py sets its own.
            "UTVAG_RATE_PER_MINUTE": "1000000",  # as many as there may be: the headers are there, and nobody meets them
            "UTVAG_FAILED_LOGINS_PER_MINUTE": "0",
            "UTVAG_ISSUER": "https://test.utvag.example",
        }

    def create(self, database, template=None):
        with self.connect() as connection:
            statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database))
            if template:
                statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
            connection.execute(statement)

    def drop(self, database):
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def make_template(self):
        self.create(TEMPLATE)
        environment = self.environment(TEMPLATE)
        for command in (["key", "init"], ["migrate"], ["demo", "--write", str(self.folder / "demo.json")]):
            subprocess.run([binary(), *command], env=environment, check=True)

    def clone(self):
        """A database of its own for a suite; returns its name."""
        name = "utvag_" + secrets.token_hex(6)
        self.create(name, TEMPLATE)
        return name

    def credentials(self):
        return json.loads((self.folder / "demo.json").read_text())["credentials"]


def start(folder):
    cluster = Cluster(folder)
    subprocess.run(["rm", "-rf", str(cluster.folder)], check=True)
    cluster.start()
    cluster.make_template()
    return cluster


if __name__ == "__main__":
    if sys.argv[1] == "start":
        Cluster(sys.argv[2]).stop() if pathlib.Path(sys.argv[2], "pg").exists() else None
        start(sys.argv[2])
    else:
        Cluster(sys.argv[2]).stop()
