"""The bench: what the service carries, how fast, at what cost, and how near that is to what PostgreSQL itself can do.

    ./dev bench [SIZE…] [--quick] [--seconds N] [--connections N] [--pool N] [--only CASE]

SIZE: applicants, 10000 and 1000000 unless told. --quick: one small size for a second each, to see that it works. A full
run writes its table into README.md. Databases are kept in build/bench, and copied for each run.
"""

import argparse
import hashlib
import json
import os
import pathlib
import platform
import random
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import cases
import floor
import report
from cluster import ROOT, Cluster, binary, TEMPLATE
from extras import hot_account, idle_connections, list_pages, logins_beside, overload, start_up
from processes import Served, cpu, cpu_of_family, rss

POSTGRES = {"shared_buffers": "1GB", "max_wal_size": "8GB", "checkpoint_timeout": "30min", "synchronous_commit": "on",
            "fsync": "on"}
READY = 40_000
WARM = 2


class Bench:
    """A cluster with a database for each size, and everything that a measurement needs."""

    def __init__(self, options):
        self.options = options
        self.folder = ROOT / "build/bench"
        self.tools = pathlib.Path(binary()).parent / "tests"
        self.cluster = Cluster(self.folder / "cluster")
        self.tokens = {}

    def start(self):
        stamp = hashlib.sha256()
        for path in sorted([*(ROOT / "sql").rglob("*.*"), HERE / "load.c"]):
            stamp.update(path.read_bytes())
        made = self.folder / "made"
        fresh = not made.exists() or made.read_text() != stamp.hexdigest()
        if fresh and self.folder.exists():
            self.cluster.stop()
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cluster.start("-c log_line_prefix='@%v ' " + " ".join(f"-c {n}={v}" for n, v in POSTGRES.items()))
        if fresh:
            self.cluster.make_template()
            made.write_text(stamp.hexdigest())
        self.postmaster = int((self.cluster.folder / "pg/postmaster.pid").read_text().split()[0])

    def known(self, size):
        return self.folder / f"known-{size}.tsv"

    def sql(self, database, statement, *values):
        with self.cluster.connect(database) as connection:
            done = connection.execute(statement, values or None)
            return done.fetchall() if done.description else []

    def load(self, size):
        """A database with so many applicants, to be copied."""
        name = f"load_{size}"
        if self.sql("postgres", "SELECT 1 FROM pg_database WHERE datname = %s", name):
            return name
        report.say(f"Loading {size} applicants")
        self.cluster.drop(name + "_new")
        self.cluster.create(name + "_new", TEMPLATE)
        ready = min(READY, size * 5)
        subprocess.run([self.tools / "load", self.cluster.url("postgres", name + "_new"), str(size), str(ready),
                        self.known(size)], env=self.cluster.environment(name), check=True)
        self.sql("postgres", f"ALTER DATABASE {name}_new RENAME TO {name}")
        return name

    def copy(self, size):
        self.cluster.drop("bench")
        self.sql("postgres", f"CREATE DATABASE bench TEMPLATE {self.load(size)} STRATEGY FILE_COPY")
        # The service prepares a statement as its caller, pgbench before there is one: names must be found then too.
        self.sql("bench", "GRANT USAGE ON SCHEMA vault TO utvag_app")
        return "bench"

    def settle(self):
        """Each measurement begins at a checkpoint, else only the first to touch a page pays for its copy in the log."""
        self.sql("bench", "CHECKPOINT")

    def serve(self, **settings):
        settings = {"pool": self.options.pool} | settings
        return Served(binary(), self.cluster.environment("bench"), self.folder, **settings)

    def generate(self, service, request, rows=None, *arguments, seconds=None):
        """One run of the generator; what it printed."""
        seconds = seconds or self.options.seconds
        command = [self.tools / "open_loop", "-d", str(seconds), *map(str, arguments), "127.0.0.1", str(service.port),
                   request, *([rows] if rows else [])]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def request(self, service, case):
        """The case's request with a token as of now: tokens live five minutes."""
        token = service.token(self.cluster.credentials()[case.role])
        return self.write("request", case.request(token))


def measure_service(bench, service, case, rows):
    """Closed loop: the most that it does, and what each request costs."""
    request = bench.request(service, case)
    bench.settle()
    before = cpu(service.pid), cpu_of_family(bench.postmaster)
    once = ["-1"] if case.once else []
    done = bench.generate(service, request, rows, "-c", bench.options.connections, "-w", WARM, *once)
    after = cpu(service.pid), cpu_of_family(bench.postmaster)
    done["service_us"], done["postgres_us"] = [(b - a) / done["sent"] for a, b in zip(before, after)]
    done["rss"] = rss(service.pid)
    report.check(case, done)
    return done


def measure_floor(bench, service, case, steps, options, parts):
    """pgbench, and the bare client."""
    url = bench.cluster.url("utvag_app", "bench")
    connections = bench.options.connections
    script, file = bench.folder / "pgbench.sql", bench.folder / "steps"
    floor.write_steps(steps, file)
    transactions = None
    if case.once:
        transactions = len(parts[0]) // connections
        case.pgbench["sets"] = ["\\set k :k + 1", f"\\set r {parts[0].start} + :client_id + {connections} * :k"]
    definitions = floor.write_pgbench(steps, case, script) + (["-D", "k=-1"] if case.once else [])
    bench.settle()
    pgbench = floor.run_pgbench(url, options, script, definitions, connections, bench.options.seconds + WARM, transactions)
    rows = bench.write("rows", report.table(case.floor_rows(parts[1] if case.once else None)))
    command = [bench.tools / "bare", "-c", str(connections), "-d", str(bench.options.seconds), "-w", str(WARM),
               *(["-1"] if case.once else []), url, file, rows]
    bench.settle()
    before = cpu_of_family(bench.postmaster)
    done = json.loads(subprocess.run(command, env=floor.environment(options), stdout=subprocess.PIPE, text=True,
                                     check=True).stdout)
    return {"pgbench": pgbench, "postgres_us": (cpu_of_family(bench.postmaster) - before) / done["done"]} | done


def measure_empty(bench):
    """µs of an empty answer."""
    with subprocess.Popen([bench.tools / "empty"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as empty:
        empty.port = int(empty.stdout.readline())
        request = bench.write("request", "GET / HTTP/1.1\nHost: localhost\n\n")
        before = cpu(empty.pid)
        done = bench.generate(empty, request, None, "-c", bench.options.connections)
        spent = cpu(empty.pid) - before
        empty.stdin.close()
    return spent / done["sent"]


def capture(bench, chosen):
    """The statements of each case, as the service sends them, and the settings of its sessions."""
    bench.sql("postgres", "ALTER DATABASE bench SET log_statement = 'all'")
    steps = {}
    with bench.serve(pool=1) as service:
        for case in chosen:
            token = service.token(bench.cluster.credentials()[case.role])
            steps[case.name] = floor.capture(bench.cluster, bench, service, case, case.row_kept, token)
    bench.sql("postgres", "ALTER DATABASE bench RESET log_statement")
    return steps, floor.settings(bench.cluster, "bench")


def measure_case(bench, case, steps, options):
    """One row of the table."""
    parts = case.parts(4)
    rows = lambda part: bench.write("rows", report.table(case.rows(parts[part] if case.once else None)))
    with bench.serve() as service:
        most = measure_service(bench, service, case, rows(2))
        rate = most["good_per_second"] / 2
        once = ["-1"] if case.once else []
        half = bench.generate(service, bench.request(service, case), rows(3), "-c", 4 * bench.options.connections,
                              "-r", rate, "-w", WARM, *once)
    base = measure_floor(bench, service, case, steps, options, parts)
    return {"case": case.name, "most": most, "half": half, "floor": base}


def measure_size(bench, size, results):
    bench.copy(size)
    chosen = [case for case in cases.make(bench, size) if not bench.options.only or bench.options.only in case.name]
    steps, options = capture(bench, chosen)
    for case in chosen:
        result = measure_case(bench, case, steps[case.name], options) | {"size": size}
        report.line(result, results)
        results["cases"].append(result)
    if not bench.options.only:
        report.say(f"List pages on {size}")
        results["pages"][size] = list_pages(bench, size)
        reads = [case for case in chosen if case.name == "read one, partner"][0]
        results["logins"][size] = logins_beside(bench, reads, results)
        results["overload"][size] = overload(bench, reads)
    if not bench.options.only or bench.options.only == "hot account":
        results["hot"][size] = hot_account(bench, size)


def options_read():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=int, default=[])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--pool", type=int)
    parser.add_argument("--only")
    options = parser.parse_args()
    options.whole = not (options.quick or options.sizes or options.only)
    options.seconds = options.seconds or (1 if options.quick else 5)
    options.pool = options.pool or options.connections
    options.sizes = options.sizes or ([2000] if options.quick else [10_000, 1_000_000])
    return options


def main():
    random.seed(1)
    bench = Bench(options_read())
    bench.start()
    results = {"cases": [], "pages": {}, "logins": {}, "overload": {}, "hot": {}, "postgres": POSTGRES, "options": vars(bench.options),
               "machine": report.machine(bench)}
    try:
        results["empty_us"] = measure_empty(bench)
        report.head(results)
        for size in bench.options.sizes:
            measure_size(bench, size, results)
        if not bench.options.only:
            results["start_up"] = start_up(bench)
            results["idle"] = idle_connections(bench)
        results["binary"] = os.path.getsize(binary())
        (bench.folder / "results.json").write_text(json.dumps(results, indent=1, default=str))
        report.print_rest(results)
        if bench.options.whole:
            report.write_readme(results, ROOT / "README.md")
    finally:
        bench.cluster.drop("bench")
        bench.cluster.stop()


if __name__ == "__main__":
    main()
