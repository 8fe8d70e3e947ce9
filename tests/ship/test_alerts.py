"""Alert rules: Prometheus understands them, each fires when it should and has its paragraph."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from bff.app import ENDPOINTS
from bff.browser.front import CALLBACK_URL
from bff.journal.metrics import ENDED, PROVIDER_CALLS, REFRESHES, REFUSALS, REQUESTS, call_outcome
from bff.problem import Reason
from bff.provider.call import Fault
from tests.ship.conftest import ROOT
from tests.ship.promql import asked

FILE = ROOT / "config/alerts.yaml"
RULES: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["groups"][0]["rules"]
NAMES = [rule["alert"] for rule in RULES]
CASES = Path(__file__).with_name("alerts.test.yaml")
METRICS_MANUAL = (ROOT / "docs/reference/metrics.md").read_text()
RUNBOOK = (ROOT / "docs/alerts.md").read_text()

CLASSES: Final = {f"{number}xx" for number in range(1, 6)}
# What the manual lists of causes and outcomes; a reason may be a cause as well.
TOLD: Final = set(re.findall(r"`(\w+)`", METRICS_MANUAL.rpartition("|")[2]))
# Of a call of the provider, beside the classes.
OF_CALLS: Final = {call_outcome(429), *(fault.value for fault in Fault)}
REASONS: Final = {reason.value for reason in Reason}
VALUES: Final[Mapping[tuple[str, str], set[str]]] = {
    (REQUESTS.name, "status"): CLASSES,
    (REFUSALS.name, "reason"): REASONS,
    (REFRESHES.name, "outcome"): TOLD,
    (ENDED.name, "cause"): TOLD | REASONS,
    (PROVIDER_CALLS.name, "outcome"): CLASSES | OF_CALLS,
}


def promtool(*arguments: str | Path) -> None:
    command = ["promtool", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_no_fault() -> None:
    promtool("check", "rules", FILE)


def test_each_fires_when_it_should_and_not_else(tmp_path: Path) -> None:
    cases = yaml.safe_load(CASES.read_text())
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump({"rule_files": [str(FILE)], **cases}))
    promtool("test", "rules", tmp_path / "cases.yaml")
    fired = {
        case["alertname"]
        for test in cases["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert fired == set(NAMES)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_each_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    for each in asked(rule["expr"]):
        for label, value in each.matchers:
            known = VALUES.get((each.metric.name, label))
            assert known is None or set(value.split("|")) <= known


def test_a_login_counts_at_whichever_callback_it_ends() -> None:
    (rule,) = (rule for rule in RULES if rule["alert"] == "BffLoginsFailing")
    labels = [name for name in map(bytes.decode, ENDPOINTS) if name.startswith(CALLBACK_URL)]
    assert len(labels) == 2
    for each in asked(rule["expr"]):
        route = dict(each.matchers)["route"]
        assert [name for name in labels if not re.fullmatch(route, name)] == []


def test_the_manual_names_the_endpoints_that_count_many_paths() -> None:
    many = [name for name in map(bytes.decode, ENDPOINTS) if name.endswith("/")]
    assert [name for name in many if f"`{name}`" not in METRICS_MANUAL] == []


def test_each_has_its_paragraph_in_the_same_order() -> None:
    assert re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE) == NAMES
    for rule in RULES:
        assert rule["annotations"]["runbook"] == f"docs/alerts.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("critical", "warning")


def test_a_call_of_the_provider_fails_by_the_same_outcomes_in_rule_and_manuals() -> None:
    (rule,) = (rule for rule in RULES if rule["alert"] == "BffProviderFailing")
    (counted,) = (value for each in asked(rule["expr"]) for _, value in each.matchers)
    failed = set(counted.split("|"))
    assert failed == {"5xx", *OF_CALLS}
    paragraph = RUNBOOK.partition("## BffProviderFailing\n")[2].partition("\n## ")[0]
    assert failed <= set(re.findall(r"`(\w+)`", paragraph))
    assert OF_CALLS <= TOLD


def test_the_runbook_names_reasons_that_there_are() -> None:
    told = (ROOT / "config/bff.full.toml").read_text() + METRICS_MANUAL
    code = set(re.findall(r"`([a-z_]+)`", RUNBOOK))
    events = set(re.findall(r'= "(\w+)"', (ROOT / "bff/journal/log.py").read_text()))
    unknown = {name for name in code if name not in REASONS | events | TOLD and name not in told}
    assert unknown <= {"critical", "warning", "revocation_endpoint"}
