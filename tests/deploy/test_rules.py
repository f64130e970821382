"""Rules, alerts and runbooks as they are written. That they work is tried in test_prometheus."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.deploy.places import DEPLOY, PROMETHEUS, RULES, RUNBOOKS, alerts, program, rules, run

UNIT_TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
ALERTMANAGER = DEPLOY / "alertmanager" / "alertmanager.yml"


def test_the_configuration_of_prometheus_and_its_rules_are_valid(tmp_path: Path) -> None:
    directory = shutil.copytree(PROMETHEUS, tmp_path / "prometheus")
    (directory / "keys").mkdir()
    (directory / "keys" / "prometheus.key").write_text("lk_…")  # not a part of the repository
    said = run(program("promtool"), "check", "config", directory / "prometheus.yml")
    for path in RULES:
        assert path.name in said, "the configuration does not load it"


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_rules_do_what_their_unit_tests_say(path: Path) -> None:
    run(program("promtool"), "test", "rules", path)


def test_every_alert_is_seen_firing_and_silent_in_a_unit_test() -> None:
    fires, silent = set[str](), set[str]()
    for path in UNIT_TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test.get("alert_rule_test", ()):
                (fires if case.get("exp_alerts") else silent).add(case["alertname"])
    assert fires == set(alerts())
    assert silent == set(alerts()) - {"LedgerWatchdog"}


def test_every_alert_has_a_runbook_and_every_runbook_its_alert() -> None:
    sections = re.findall(r"^## (\w+)$", RUNBOOKS.read_text(), re.MULTILINE)
    assert sorted(sections) == sorted(alerts())
    for name, rule in alerts().items():
        assert rule["annotations"]["runbook"] == f"docs/runbooks.md#{name.lower()}"


def test_a_runbook_says_how_urgent_its_alert_is() -> None:
    text = RUNBOOKS.read_text()
    for name, rule in alerts().items():
        section = text.partition(f"## {name}\n")[2].partition("\n## ")[0]
        assert section.strip().startswith(f"*{rule['labels']['severity']}.*"), name


def test_runbooks_link_to_sections_and_files_that_exist() -> None:
    text = RUNBOOKS.read_text()
    anchors = {heading.lower() for heading in re.findall(r"^## (\w+)$", text, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        if path:
            assert (RUNBOOKS.parent / path).exists(), target
        else:
            assert anchor in anchors, target


def test_alerts_say_what_happens_and_how_urgent_it_is() -> None:
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in ("page", "ticket", "none"), name
        assert rule["annotations"]["summary"], name
        assert rule["annotations"]["description"], name


def test_what_is_recorded_is_used() -> None:
    used = "\n".join(rule["expr"] for rule in rules())
    used += "".join(path.read_text() for path in (DEPLOY / "grafana").glob("*.py"))
    used = used.replace("{window}", "5m")
    for rule in rules():
        assert rule.get("record", "") in used


def test_alertmanager_takes_its_configuration() -> None:
    run(program("amtool"), "check-config", ALERTMANAGER)


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=LedgerDown severity=page", "pager"),
        ("alertname=LedgerDueLag severity=ticket", "tickets"),
        ("alertname=LedgerWatchdog severity=none", "heartbeat"),
        ("alertname=SomethingElse", "tickets"),
    ],
)
def test_alerts_reach_whom_they_are_for(labels: str, receiver: str) -> None:
    said = run(
        program("amtool"),
        "config",
        "routes",
        "test",
        "--config.file",
        ALERTMANAGER,
        f"--verify.receivers={receiver}",
        *labels.split(),
    )
    assert receiver in said


def test_what_silences_an_alert_names_alerts_that_exist() -> None:
    config = yaml.safe_load(ALERTMANAGER.read_text())
    for rule in config["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            name, operator, pattern = re.split(r"\s*(=~?)\s*", matcher)
            assert name == "alertname"
            pattern = pattern.strip('"')
            for each in pattern.split("|") if operator == "=~" else [pattern]:
                assert any(re.fullmatch(each, alert) for alert in alerts()), each
