"""README's journey works as pasted: every line of it, against a fresh demo."""

import json
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"<!-- journey -->\n```bash\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def journey(service, tmp_path_factory):
    folder = tmp_path_factory.mktemp("journey")
    state = folder / "var"
    state.mkdir()
    demo = {"base_url": service.url, "credentials": service.cluster.credentials()}
    (state / "demo.json").write_text(json.dumps(demo))
    (folder / "dev").symlink_to(ROOT / "dev")
    script = "\n".join(BLOCK.findall((ROOT / "README.md").read_text()))
    environment = os.environ | {"UTVAG_VAR": str(state), "UTVAG_PORT": str(service.port)}
    return subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment, text=True,
                          capture_output=True, timeout=120)


def test_journey_runs_to_its_end(journey):
    assert journey.returncode == 0, journey.stdout + journey.stderr


def test_partner_reads_both_decisions(journey):
    assert '{"reasoning":"Samhället täcker inte behovet.","lines":[{"outcome":"granted","amount_ore":450000}]}' in journey.stdout
    assert '{"outcome":"partly_granted","amount_ore":1200000}' in journey.stdout


def test_pram_is_decided_while_rehabilitation_waits(journey):
    waiting = '{"state":"under_review","needs":[{"category_code":"pram","status":"proposed"}'
    assert waiting in journey.stdout and '{"state":"decided"' in journey.stdout
    assert journey.stdout.index(waiting) < journey.stdout.index('{"kind":"decision"') < journey.stdout.index('"not_obliged"')


def test_gift_pays_for_the_child_and_the_statement_adds_up(journey):
    assert "<CtrlSum>17700.00" in journey.stdout
    assert '{"amount_ore":700000,"remaining_ore":130000}' in journey.stdout
    assert '{"level":"none","suppressed":true}' in journey.stdout and '"adds_up":true' in journey.stdout


def test_refusals_say_why_and_tell_nothing(journey):
    last = journey.stdout.strip().splitlines()[-2:]
    assert [json.loads(line)["status"] for line in last] == [409, 404]


def test_security_table_names_tests_that_exist():
    tests = {name for path in (ROOT / "tests").rglob("test_*.*") if path.suffix in (".py", ".c")
             for name in re.findall(r"^(?:def |START_TEST\()(\w+)", path.read_text(), re.MULTILINE)}
    table = (ROOT / "README.md").read_text().partition("| requirement |")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w*_\w+)`", re.sub(r"^\|.*?\|.*?\|", "", table, flags=re.MULTILINE)))
    assert len(named) > 50
    assert named <= tests
