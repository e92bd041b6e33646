"""The floor: the statements that the service sends, taken from PostgreSQL's own log so that they cannot drift, sent by
pgbench and by a bare libpq client (bare.c)."""

import json
import os
import pathlib
import re
import subprocess
import time


class Step:
    def __init__(self, sql, values, begins):
        self.sql = " ".join(sql.split("\n"))
        self.values = values
        self.begins = begins  # a transaction


def read_log(text):
    """The statements of the one request in a log whose lines begin with @ and their transaction. Each transaction of a request
    begins as its caller enters; the service has others, of its own."""
    steps, request = [], None
    marks = re.split(r"^@(\S*) ", text, flags=re.M)[1:]
    for transaction, entry in zip(marks[::2], marks[1::2]):
        entry = entry.rstrip("\n").replace("\n\t", "\n")
        found = re.match(r"LOG:  execute ([^:]+): (.*)", entry, re.S)
        begins = bool(found) and found[1] == "enter"
        if begins:
            request = transaction
        if transaction != request:
            continue
        if found:
            steps.append(Step(found[2], [], begins))
        elif entry.startswith("DETAIL:  parameters: ") and steps:
            for number, quoted in re.findall(r"\$(\d+) = (NULL|'(?:[^']|'')*')", entry):
                assert int(number) == len(steps[-1].values) + 1
                steps[-1].values.append(None if quoted == "NULL" else quoted[1:-1].replace("''", "'"))
    return steps


def capture(cluster, database, service, case, row, token):
    """The steps of one request, with gaps where its own values were. The service must have one connection."""
    log = pathlib.Path(cluster.folder, "pg/log")
    fresh = "00000000-0000-4000-8000-00000000beef"
    fill = lambda text: re.sub(r"\{(.)\}", lambda gap: row[int(gap[1]) - 1] if gap[1].isdigit() else fresh, text)
    headers = {name: fill(value) for name, value in case.headers.items()}
    size = log.stat().st_size
    body = None if case.body is None else json.loads(fill(case.body))
    service.ask(case.method, fill(case.path), body, Authorization="Bearer " + token, **headers)
    time.sleep(0.2)
    with log.open("rb") as file:
        file.seek(size)
        steps = read_log(file.read().decode())
    assert len(steps) >= 2, "the log holds no statements"
    known = dict(zip(case.floor_row(database, row), ("{1}", "{2}"))) | {fresh: "{a}"}
    for step in steps:
        step.values = [value and gapped(value, known) for value in step.values]
    for step in steps:
        if step.begins:
            step.values[10] = "{t}"
    return steps


def gapped(value, known):
    for text, gap in known.items():
        value = value.replace(text, gap)
    # A new record's id, which record_seal put into the body.
    return re.sub(r'("id": ?")[0-9a-f-]{36}"', r'\1{b}"', value) if value.startswith("{") else value


def settings(cluster, database):
    """What the service sets for its sessions, as PGOPTIONS."""
    text = pathlib.Path(cluster.folder, "pg/log").read_text()
    pairs = re.findall(r"SET (\w+(?:\.\w+)?) = (\w+);?", text[text.rindex("statement: SET statement_timeout"):][:1000])
    return " ".join(f"-c {name}={value}" for name, value in pairs if name != "log_parameter_max_length_on_error")


def write_steps(steps, path):
    lines = []
    for step in steps:
        lines.append(("T" if step.begins else "S") + "\t" + step.sql)
        lines += ["N" if value is None else "V\t" + value for value in step.values]
    path.write_text("\n".join(lines) + "\n")


def write_pgbench(steps, case, path):
    """A script, and its -D options. Gaps become expressions of numbers that pgbench draws."""
    gaps = {gap: expression for gap, expression in case.pgbench.items() if gap.startswith("{")}
    gaps |= {"{t}": "gen_random_uuid()::text", "{a}": ":a::text", "{b}": "md5(:b::text)::uuid::text"}
    lines = list(case.pgbench.get("sets", []))
    lines += ["\\set a random(1, 9000000000000000000)", "\\set b random(1, 9000000000000000000)"]
    definitions = []
    for at, step in enumerate(steps):
        texts = []
        if step.begins:
            lines += ["\\endpipeline"] * (at > 0) + ["\\startpipeline"]
        for number, value in enumerate(step.values):
            text = f":v{at}_{number}"
            used = [gap for gap in gaps if value and gap in value]
            if not value:
                text = "NULL" if value is None else "''"
            elif value in gaps:
                text = f"({gaps[value]})"
            else:
                definitions += ["-D", f"v{at}_{number}={value}"]
            for gap in used if value not in gaps else []:
                text = f"replace({text}, '{gap}', {gaps[gap]})"
            texts.append(text)
        lines.append(re.sub(r"\$(\d+)", lambda found: texts[int(found[1]) - 1], step.sql) + ";")
    path.write_text("\n".join(lines + ["\\endpipeline"]) + "\n")
    return definitions


def run_pgbench(url, options, script, definitions, connections, seconds, transactions=None):
    length = ["-t", str(transactions)] if transactions else ["-T", str(round(seconds))]
    command = ["pgbench", "-n", "-M", "prepared", "-c", str(connections), "-j", "2", *length, "-f", str(script),
               *definitions, url]
    done = subprocess.run(command, env=environment(options), capture_output=True, text=True)
    found = re.search(r"^tps = ([\d.]+)", done.stdout, re.M)
    if done.returncode or not found:
        raise SystemExit("pgbench: " + done.stderr[:2000])
    return float(found[1])


def environment(options):
    return os.environ | {"PGOPTIONS": options}
