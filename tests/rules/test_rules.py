"""The rules of deploy/prometheus and what belongs to them agree: cases, pages of the runbook, reasons, inhibitions, metrics.

That the rules are right is the business of deploy/prometheus/tests (promtool) and of tests/integration/test_alerts.py.
"""
import pathlib
import re
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
RUNBOOK = ROOT / "docs/runbook"


RULE_FILES = sorted(str(path) for path in PROMETHEUS.glob("rules/*.yml"))
RULES = [rule for path in RULE_FILES for group in yaml.safe_load(pathlib.Path(path).read_text())["groups"] for rule in group["rules"]]
RECORDED = {rule["record"]: rule for rule in RULES if "record" in rule}
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
PAGES = {path.stem: path.read_text() for path in RUNBOOK.glob("TxStream*.md")}
CASE = re.compile(r"- eval_time: \S+  # (.*)\n +alertname: (\w+)\n( +exp_alerts:)?")
CASES = [found.groups() for path in sorted(PROMETHEUS.glob("tests/*.yml")) for found in CASE.finditer(path.read_text())]


def run(*command):
    done = subprocess.run(command, cwd=PROMETHEUS, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_prometheus_and_alertmanager_take_their_configurations():
    assert "FAILED" not in run("promtool", "check", "rules", "--lint=all", "--lint-fatal", *RULE_FILES)
    assert f"{len(RULE_FILES)} rule files found" in run("promtool", "check", "config", "prometheus.yml")
    run("amtool", "check-config", "alertmanager.yml")
    for severity in ("page", "ticket"):
        route = run("amtool", "config", "routes", "test", "--config.file=alertmanager.yml", f"severity={severity}")
        assert route.splitlines()[0] == severity


def test_each_alert_has_its_four_cases():
    unknown = {alert for _, alert, _ in CASES} - set(ALERTS)
    assert not unknown
    missing = []
    for alert in ALERTS:
        seen = [(words, bool(fires)) for words, name, fires in CASES if name == alert]
        wanted = {"fires": True, "not yet": False, "recovered": False}
        missing += [(alert, words) for words, fires in wanted.items() if (words, fires) not in seen]
        if not any(words.startswith("absent") for words, _ in seen):
            missing.append((alert, "absent"))
    assert not missing


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_how_urgent_it_is_what_it_means_and_where_to_read_on(alert):
    rule = ALERTS[alert]
    assert rule["labels"] == {"severity": rule["labels"]["severity"]} and rule["labels"]["severity"] in ("page", "ticket")
    assert rule["for"]
    annotations = rule["annotations"]
    assert set(annotations) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert annotations["runbook_url"] == f"{{{{ $externalLabels.docs }}}}/docs/runbook/{alert}.md"
    assert annotations["dashboard_url"] == "{{ $externalLabels.grafana }}/d/txstream-overview"
    assert "$labels." in annotations["summary"]


def test_each_alert_has_a_page_and_each_page_an_alert():
    assert set(PAGES) == set(ALERTS)
    index = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \|$", (RUNBOOK / "README.md").read_text(), re.M)
    assert {name: severity for name, page, severity in index if name == page} == {
        name: rule["labels"]["severity"] for name, rule in ALERTS.items()}


@pytest.mark.parametrize("alert", PAGES)
def test_a_page_says_the_five_things(alert):
    text = PAGES[alert]
    severity = ALERTS[alert]["labels"]["severity"]
    parts = re.fullmatch(
        rf"# {alert}\n\n\*\*Meaning \({severity}\)\.\*\* .+\n\n\*\*Impact\.\*\* .+\n\n```sh\n(.+?)```\n\n"
        r"\*\*Remedy\.\*\* .+\n\n\*\*Silence\.\*\* .+\n", text, re.S)
    assert parts, "meaning, impact, three commands, remedy, silence"
    assert len(parts[1].splitlines()) == 3
    mentioned = set(re.findall(r"\bTxStream[A-Z]\w+", text))
    assert mentioned <= set(ALERTS)


def test_each_way_of_not_delivering_has_an_alert():
    source = (ROOT / "src/relay/blockages.cpp").read_text()
    reasons = re.findall(r'case Blockage::\w+:\n\s+return "(\w+)";', source)
    assert len(reasons) == 11
    for reason in reasons:
        alert = "TxStream" + "".join(word.capitalize() for word in reason.split("_"))
        assert f'txstream_delivery_blocked{{reason="{reason}"' in ALERTS[alert]["expr"]


def test_inhibitions_name_alerts_that_exist():
    config = yaml.safe_load((PROMETHEUS / "alertmanager.yml").read_text())
    for rule in config["inhibit_rules"]:
        assert rule["equal"] == ["outbox"]
        for matcher in rule["source_matchers"] + rule["target_matchers"]:
            pattern = re.fullmatch(r'alertname=~?"(?:TxStream)?\(?(.*?)\)?"', matcher)[1]
            for name in pattern.removeprefix("Api(").split("|"):
                name = name.removeprefix("TxStream")
                prefix = "TxStreamApi" if "Api(" in matcher else "TxStream"
                assert any(re.fullmatch(prefix + name, alert) for alert in ALERTS), (matcher, name)


def names_in(expression):
    return set(re.findall(r"(?<![\w:])(?:(?:job|outbox):)?(?:txstream|process)_\w+(?::\w+)?", expression))


def test_rules_name_only_what_is_recorded_or_measured():
    sources = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.cpp"))
    named = {name for rule in RULES for name in names_in(rule["expr"])}
    assert {name for name in named if ":" in name} <= set(RECORDED)
    for name in sorted(name for name in named if ":" not in name):
        declared = re.sub(r"_(bucket|count|sum)$", "", name) if "duration_seconds" in name else name
        assert f'"{declared}"' in sources, name


def test_what_is_recorded_is_used_or_shown():
    used = {name for rule in RULES for name in names_in(rule["expr"])}
    shown = "\n".join(path.read_text() for path in [*ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/grafana/**/*.json")])
    assert not {name for name in RECORDED if name not in used and name not in shown}
