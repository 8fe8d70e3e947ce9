"""The dashboard asks only for what bff tells, for all of it, and in Prometheus' own language."""

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from bff.journal.metrics import METRICS
from tests.ship.conftest import ROOT
from tests.ship.promql import UP, asked

DASHBOARD: dict[str, Any] = json.loads((ROOT / "config/grafana.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
TARGETS: list[dict[str, str]] = [target for panel in PANELS for target in panel.get("targets", ())]
QUERIES = [
    variable["query"]["query"]
    for variable in DASHBOARD["templating"]["list"]
    if variable["type"] == "query"
]


def plain(expression: str) -> str:
    """With what Grafana puts in."""
    return expression.replace("$__rate_interval", "5m").replace('"$job"', '"bff"')


def test_every_expression_asks_for_what_there_is_and_no_metric_is_left_out() -> None:
    used = {each.metric for target in TARGETS for each in asked(plain(target["expr"]))}
    assert used == {UP, *METRICS.values()}


WRONG = {
    "a metric that is none": ("sum(bff_tokens_total)", "no series"),
    "a histogram without its end": ("rate(bff_relay_seconds[5m])", "no series"),
    "by a label that is none": ("sum by (person) (bff_streams)", "no label person"),
    "a label of another metric": ('bff_streams{route="/api"}', "no label route"),
    "buckets of what has none": ("sum by (le) (up)", "no label le"),
    "nothing of ours": ("vector(1)", "no metric"),
}


@pytest.mark.parametrize(("expression", "said"), WRONG.values(), ids=WRONG)
def test_an_expression_that_asks_for_something_else_is_found(expression: str, said: str) -> None:
    with pytest.raises(LookupError, match=said):
        asked(expression)


def test_a_legend_and_a_variable_name_labels_that_are_there() -> None:
    for target in TARGETS:
        grouped = set(re.findall(r"\w+", " ".join(re.findall(r"by \((.*?)\)", target["expr"]))))
        named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert named == grouped - {"le"}, target["expr"]
    for query in QUERIES:
        match = re.fullmatch(r"label_values\((.*), (\w+)\)", query)
        assert match is not None
        (series,) = asked(plain(match[1]))
        assert match[2] in series.labels


def test_promtool_reads_every_expression(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": plain(target["expr"])}
        for number, target in enumerate(TARGETS)
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    command = ["promtool", "check", "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_lie_beside_each_other_and_say_what_they_show() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for one, other in combinations((panel["gridPos"] for panel in PANELS), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
    for panel in PANELS:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert panel["title"]
        assert panel["type"] == "row" or panel["description"].endswith(".")


def test_it_is_tied_to_no_installation() -> None:
    found = re.findall(r'"uid": "([^"]*)"', json.dumps(DASHBOARD))
    assert set(found) == {"bff", "${datasource}"}
