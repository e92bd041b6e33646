"""What a run tells: lines as it goes, and the table in README.md."""

import os
import pathlib
import platform
import re
import sys


def say(text):
    print(text, flush=True)


def table(rows):
    return "".join("\t".join(row) + "\n" for row in rows)


def check(case, done):
    wrong = {status: count for status, count in done["status"].items() if status != str(case.status)}
    if wrong or done["unanswered"]:
        sys.exit(f"{case.name}: {wrong}, {done['unanswered']} unanswered")


def machine(bench):
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    version = bench.sql("postgres", "SHOW server_version")[0][0].split()[0]
    return {"cores": os.cpu_count(), "cpu": cpu[1] if cpu else platform.machine(), "postgres": version}


def floor_of(result):
    return max(result["floor"]["pgbench"], result["floor"]["per_second"])


def spaced(number):
    return f"{number:,}".replace(",", " ")


COLUMNS = ["case", "applicants", "a second", "floor", "of floor", "p50 ms", "p99 ms", "service µs", "bare µs", "PostgreSQL µs",
           "RSS MB"]


def cells(result, empty_us):
    most, half, base = result["most"], result["half"], result["floor"]
    return [result["case"], spaced(result["size"]), f"{most['good_per_second']:.0f}",
            f"{floor_of(result):.0f}", f"{most['good_per_second'] / floor_of(result):.2f}", f"{half['p50_us'] / 1000:.2f}",
            f"{half['p99_us'] / 1000:.2f}", f"{most['service_us']:.0f}", f"{base['cpu_us'] + empty_us:.0f}",
            f"{most['postgres_us']:.0f}", f"{most['rss']:.0f}"]


def head(results):
    say(f"{results['machine']}; connections and pool {results['options']['connections']}, {results['options']['pool']};"
        f" empty answer {results['empty_us']:.1f} µs")
    say("  ".join(COLUMNS) + "  (pgbench, bare client a second)")


def line(result, results):
    row = cells(result, results["empty_us"])
    base = result["floor"]
    say("  ".join(f"{cell:>{len(name)}}" for name, cell in zip(COLUMNS, row))
        + f"  ({base['pgbench']:.0f}, {base['per_second']:.0f}; PostgreSQL {base['postgres_us']:.0f} µs)")


def page_ratios(results):
    sizes = sorted(results["pages"])
    if len(sizes) < 2:
        return {}
    small, large = results["pages"][sizes[0]], results["pages"][sizes[-1]]
    return {name: large[name] / small[name] for name in large}


def print_rest(results):
    for name, ratio in page_ratios(results).items():
        say(f"{ratio:5.2f}  {name}")
    if not page_ratios(results):
        for pages in results["pages"].values():
            for name, median in pages.items():
                say(f"{median:6} µs  {name}")
    for text in facts(results):
        say(text)


def facts(results):
    """Sentences, for the table's foot."""
    for size, pools in results["logins"].items():
        for pool, done in pools.items():
            times = {name: f"p50 {done[name]['p50_us'] / 1000:.2f} ms, p99 {done[name]['p99_us'] / 1000:.2f} ms"
                     for name in ("alone", "beside")}
            yield (f"At half of saturation on {spaced(size)} applicants, with {pool} database connections: {times['alone']};"
                   f" with two logins a second beside: {times['beside']}.")
    for size, done in results["overload"].items():
        yield (f"At three times saturation on {spaced(size)} applicants: {done['goodput']:.0f} good answers a second, of"
               f" {done['peak']:.0f} at the peak ({done['goodput'] / done['peak']:.2f}).")
    for size, done in results["hot"].items():
        yield (f"64 clients decide {done[1]:.0f} times a second on {spaced(size)} applicants when all promise of one account, and"
               f" {done[64]:.0f} when each does of another ({done[1] / done[64]:.2f}).")
    if ratios := page_ratios(results):
        worst = max(ratios, key=ratios.get)
        yield (f"A list page on the larger table takes {max(ratios.values()):.2f} times that on the smaller at most ({worst}),"
               f" over {len(ratios)} orders and filters of two lists and two roles.")
    if "idle" in results:
        yield (f"At 1 000 idle connections {results['idle']['plain']:.0f} MB, over TLS {results['idle']['tls']:.0f} MB; ready"
               f" {results['start_up'] * 1000:.0f} ms after the start; the binary is {results['binary'] / 1e6:.2f} MB.")


def markdown(results):
    settings = ", ".join(f"`{name}={value}`" for name, value in results["postgres"].items())
    columns = ["case", "applicants", "requests/s", "floor/s", "ratio", "p50 ms", "p99 ms", "service µs", "least µs",
               "PostgreSQL µs", "RSS MB"]
    rows = [cells(result, results["empty_us"]) for result in results["cases"]]
    lines = ["| " + " | ".join(columns) + " |", "|---|" + "--:|" * (len(columns) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    machine, options = results["machine"], results["options"]
    about = (f"One run, on {machine['cores']} cores ({machine['cpu']}) that generator, service and PostgreSQL {machine['postgres']}"
             f" share; {settings}; {options['connections']} connections everywhere. Throughput is closed-loop; p50 and p99 are"
             " open-loop at half of it, from when a request was due. *floor*: pgbench (or the bare libpq client, if faster)"
             " with the same statements in the same transaction, taken from PostgreSQL's log. *least*: processor time of a bare"
             " libpq client and of an empty ulfius answer, beside the service's own.")
    return "\n".join([about, "", *lines, "", *("- " + text for text in facts(results))])


def write_readme(results, path):
    text = path.read_text()
    if "<!-- bench -->" not in text:
        sys.exit("README.md has no place for the table:\n" + markdown(results))
    start, end = text.index("<!-- bench -->") + len("<!-- bench -->"), text.index("<!-- /bench -->")
    path.write_text(text[:start] + "\n" + markdown(results) + "\n" + text[end:])
