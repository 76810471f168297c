"""What can be known of the dashboards without Grafana and without a running system: the JSON is the code's, it keeps the rules
that provisioning from files needs, and it has what the earlier system showed. Then: what the preview does with data, without
data, and when Prometheus does not answer, against a Prometheus that the test plays.
"""
import contextlib
import http.server
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import urllib.parse

import pytest
import yaml
from support.world import ROOT, free_ports

sys.path.insert(0, str(ROOT / "tools/dashboards"))
import prometheus as source  # noqa: E402

DASHBOARDS = {dashboard["uid"]: dashboard for dashboard in source.load()}
PANELS = [(uid, panel) for uid, dashboard in DASHBOARDS.items() for panel in source.panels(dashboard)]
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
ANNOTATIONS = {"Delivery blocked", "Circuit breaker open", "Process started", "Alert firing"}
# Panels of the earlier system's dashboard file and of its screenshots: where each of them is here.
ORIGINAL = {
    "Events Processed": ("txstream-overview", "Events processed"),
    "Events Published": ("txstream-overview", "Events published"),
    "Events Failed": ("txstream-overview", "Events failed"),
    "Circuit Breaker State": ("txstream-overview", "Circuit breaker"),
    "Worker Pool Size": ("txstream-overview", "Workers"),
    "Events in Queue": ("txstream-overview", "Events waiting"),
    "Circuit Breaker Trips": ("txstream-overview", "Circuit breaker trips"),
    "Event Processing Duration (heatmap)": ("txstream-relay", "Event processing duration, distribution"),
    "Event Publishing Duration (heatmap)": ("txstream-relay", "Event publishing duration, distribution"),
    "Event Processing Duration (average)": ("txstream-relay", "Event processing duration"),
    "Event Publishing Duration (average)": ("txstream-relay", "Event publishing duration"),
    "Events Processed Rate": ("txstream-relay", "Processed, by outcome"),
    "Events Published Rate": ("txstream-relay", "Published, by topic"),
}


def of_each_panel(values):
    return pytest.mark.parametrize(
        "uid, panel", values, ids=[f"{uid.removeprefix('txstream-')}: {panel['title']}" for uid, panel in values])


# --- the files --------------------------------------------------------------------------------------------------------

def test_the_json_is_what_the_code_writes(tmp_path):
    done = subprocess.run([ROOT / "tools/dashboards/generate.py", "--out", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in source.HOME.iterdir()}, "make dashboards renews them"


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_a_dashboard_can_be_provisioned_from_its_file(uid):
    dashboard = DASHBOARDS[uid]
    assert (source.HOME / f"{uid}.json").exists() and len(uid) <= 40
    assert "dashboard" not in dashboard and dashboard["title"], "the dashboard itself, not the form of the HTTP API"
    assert dashboard["id"] is None and type(dashboard["schemaVersion"]) is int
    text = json.dumps(dashboard)
    assert "__inputs" not in text and "__requires" not in text and "DS_PROMETHEUS" not in text
    assert dashboard["refresh"] == "10s" and dashboard["time"] == {"from": "now-1h", "to": "now"} and dashboard["tags"] == ["txstream"]


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_all_that_asks_prometheus_asks_the_chosen_data_source(uid):
    dashboard = DASHBOARDS[uid]
    first, *others = dashboard["templating"]["list"]
    assert (first["name"], first["type"], first["query"]) == ("datasource", "datasource", "prometheus")
    asking = [*source.panels(dashboard), *(target for panel in source.panels(dashboard) for target in panel["targets"]),
              *others, *dashboard["annotations"]["list"]]
    assert len(asking) > 30 and all(one["datasource"] == DATASOURCE for one in asking)


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_what_is_shown_can_be_narrowed_to_processes_topics_and_types(uid):
    variables = {one["name"]: one for one in DASHBOARDS[uid]["templating"]["list"] if one["type"] == "query"}
    assert {"job", "instance", "topic", "event_type"} <= variables.keys()
    assert all(one["multi"] and one["includeAll"] for one in variables.values())
    used = "".join(query.expr for query in source.all_queries(DASHBOARDS[uid]))
    assert set(re.findall(r"\$(\w+)", used)) - {"datasource"} <= variables.keys() | {
        "__rate_interval", "__range"}


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_each_dashboard_leads_to_the_others_and_shows_what_happened(uid):
    links = {link["url"]: link for link in DASHBOARDS[uid]["links"]}
    assert links.keys() == {f"/d/{other}" for other in DASHBOARDS if other != uid}
    assert all(link["keepTime"] and link["includeVars"] for link in links.values())
    assert {one["name"] for one in DASHBOARDS[uid]["annotations"]["list"]} == ANNOTATIONS


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_panels_have_ids_of_their_own_and_do_not_overlap(uid):
    panels = DASHBOARDS[uid]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = set(itertools.product(range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])))
        assert place["x"] + place["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells


@of_each_panel(PANELS)
def test_a_panel_says_what_it_shows_in_which_unit_and_when_it_shows_nothing(uid, panel):
    defaults = panel["fieldConfig"]["defaults"]
    assert len(panel["description"]) > 20 and panel["description"] != panel["title"]
    assert defaults["unit"] and defaults["noValue"]
    assert defaults["thresholds"]["steps"][0]["value"] is None, "the first step holds from minus infinity on"
    assert panel["targets"] and len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@of_each_panel(PANELS)
def test_a_rate_covers_what_grafana_says_and_every_series_is_of_the_chosen_processes(uid, panel):
    for target in panel["targets"]:
        windows = re.findall(r"\[([^\]]*)\]", re.sub(r'"[^"]*"', "", target["expr"]))
        assert set(windows) <= {"$__rate_interval", "$__range"}
        selectors = re.findall(r"\b(?:txstream|process|up)\w*\{([^}]*)\}", target["expr"])
        assert selectors and all('job=~"$job",instance=~"$instance"' in one for one in selectors)


def test_what_the_earlier_system_showed_is_there():
    there = {(uid, panel["title"]): panel for uid, panel in PANELS}
    assert not set(ORIGINAL.values()) - there.keys()
    for title, place in ORIGINAL.items():
        assert ("heatmap" in title) == (there[place]["type"] == "heatmap")


def test_each_reason_for_not_delivering_has_words():
    code = (ROOT / "src/relay/blockages.cpp").read_text()
    reasons = set(re.findall(r'case Blockage::\w+:\s*return "(\w+)";', code))
    assert len(reasons) >= 10
    for title in ("Is everything delivered?", "What held delivery up"):
        panel = next(panel for uid, panel in PANELS if panel["title"] == title)
        named = {one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"]}
        assert named - {"delivering"} == reasons


def test_grafana_finds_the_files_where_the_documents_say():
    home = ROOT / "deploy/grafana"
    files = [home / "provisioning/dashboards/txstream.yaml", home / "provisioning/datasources/prometheus.yaml"]
    dashboards, datasources = (yaml.safe_load(path.read_text()) for path in files)
    assert dashboards["apiVersion"] == datasources["apiVersion"] == 1
    provider, = dashboards["providers"]
    assert provider["type"] == "file" and provider["allowUiUpdates"] is False and provider["disableDeletion"] is True
    datasource, = datasources["datasources"]
    assert (datasource["type"], datasource["uid"]) == ("prometheus", "prometheus")
    asked = set(re.findall(r"\$\{(\w+)\}", "".join(path.read_text() for path in files)))
    script = (ROOT / "tools/services/grafana.sh").read_text()
    readme = (home / "README.md").read_text()
    assert asked and all(f"{name}=" in script and name in readme for name in asked)
    assert not list((home / "provisioning").rglob("*.json")), "a dashboard there would be taken for a provider"


# --- the preview, against a Prometheus of ours --------------------------------------------------------------------------

PREVIEW = ROOT / "tools/dashboards/preview.py"
START, END = 1_700_000_000, 1_700_000_600
AWAY = (START + 200, START + 320)


class PlayedPrometheus(http.server.BaseHTTPRequestHandler):
    """Ten minutes in which Kafka was away for two. `series` may be replaced by a state."""

    def do_POST(self):
        asked = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if self.path.endswith("/series"):
            self.answer([])
            return
        expr = asked["query"][0]
        refusal = self.server.refuse(expr)
        if refusal:
            self.answer(None, refusal)
        elif self.path.endswith("query"):
            self.answer({"result": [{"metric": labels, "value": [END, str(value(END))]} for labels, value in self.server.series(expr)]})
        else:
            moments = range(int(float(asked["start"][0])), int(float(asked["end"][0])) + 1, int(float(asked["step"][0])))
            found = [(labels, [[at, str(value(at))] for at in moments if value(at) is not None])
                     for labels, value in self.server.series(expr)]
            self.answer({"result": [{"metric": labels, "values": points} for labels, points in found if points]})

    def do_GET(self):
        self.answer({"yaml": "global:\n  scrape_interval: 2s\n"})

    def answer(self, data, refusal=None):
        body = json.dumps({"status": "error", "error": refusal} if refusal else {"status": "success", "data": data}).encode()
        self.send_response(422 if refusal else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def outage(expr):
    def while_away(at):
        return 1 if AWAY[0] <= at < AWAY[1] else 0

    if "== 1) or label_replace" in expr:
        return [({"reason": "delivering"}, lambda at: 0)]
    if "delivery_blocked" in expr and expr.endswith("== 1"):
        return [({"reason": "kafka_unavailable"}, lambda at: while_away(at) or None)]
    if "delivery_blocked" in expr:
        return [({"reason": "kafka_unavailable"}, while_away), ({"reason": "stalled"}, lambda at: 0)]
    if 'status="dead_letter"' in expr:
        return [({}, lambda at: 1)]
    if "events_in_queue" in expr:
        return [({}, lambda at: while_away(at) * (at - AWAY[0]) * 40)]
    if "ALERTS" in expr or "circuit_breaker_state" in expr and "== 2" in expr:
        return []
    if "start_time" in expr:
        return [({"job": "relay", "instance": "one"}, lambda at: (START + 400) * 1000)]
    if "_bucket" in expr and "histogram_quantile" not in expr and "/" not in expr:
        return [({"le": bound}, lambda at, share=share: share * 100) for bound, share in (("0.1", 0.2), ("1", 0.9), ("+Inf", 1))]
    # Nine series, more than a reader can tell apart, and one with a hole.
    return [({"instance": f"<{number}>"}, lambda at, number=number: number + at % 60 if number or at % 200 < 100 else None)
            for number in range(9)]


@contextlib.contextmanager
def played(series, refuse=lambda expr: None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), PlayedPrometheus)
    server.series, server.refuse = series, refuse
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


@pytest.fixture
def overview(tmp_path):
    """A directory with that dashboard alone: three of them take three times as long to draw."""
    home = tmp_path / "dashboards"
    home.mkdir()
    shutil.copy(source.HOME / "txstream-overview.json", home)
    return home


def preview(url, out, dashboards):
    return subprocess.run(
        [PREVIEW, "--prometheus", url, "--from", str(START), "--to", str(END), "--out", out, "--dashboards", dashboards],
        capture_output=True, text=True, check=False)


def test_a_reader_of_the_preview_sees_that_kafka_was_away_and_that_nothing_was_lost(tmp_path, overview):
    with played(outage) as url:
        done = preview(url, tmp_path, overview)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "txstream-overview.html").read_text()
    assert "Delivery was held up: Kafka was away (2 min 00 s). Nothing was lost" in page
    assert "Everything that was committed has reached Kafka, except 1 event parked for a decision." in page
    assert page.count(">Kafka is away<") >= 2, "next to its row, and in the first graph over the time it names"
    for panel in source.panels(DASHBOARDS["txstream-overview"]):
        assert panel["title"] in page
    assert "and 1 more" in page and "&lt;8&gt;" in page and "<8>" not in page
    # One file, for a mail or an archive: nothing is loaded, and both sets of colours are in it.
    assert not re.search(r'(?:src|href)="?(?:https?:)?//', page) and "prefers-color-scheme:dark" in page and "var(--blue)" in page
    for name in ("", "-dark", "-summary"):
        assert (tmp_path / f"txstream-overview{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_panel_without_data_says_so_and_one_that_fails_says_why(tmp_path, overview):
    with played(lambda expr: [], lambda expr: "too many samples" if "lanes_owned" in expr else None) as url:
        done = preview(url, tmp_path, overview)
    page = (tmp_path / "txstream-overview.html").read_text()
    assert done.returncode == 1
    assert "TxStream overview, Lanes owned by process: Prometheus refuses: too many samples" in done.stderr
    assert "It is not known whether anything is delivered" in page and "refuses: too many samples" in page
    texts = {panel["fieldConfig"]["defaults"]["noValue"] for panel in source.panels(DASHBOARDS["txstream-overview"])}
    assert all(text in page for text in texts)


def test_without_prometheus_nothing_is_drawn_and_the_reason_is_said(tmp_path, overview):
    port, = free_ports(1)
    done = preview(f"http://127.0.0.1:{port}", tmp_path / "out", overview)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"Prometheus at http://127.0.0.1:{port} does not answer" in done.stderr and "make start-all" in done.stderr
    assert not (tmp_path / "out").exists()


# --- the script that starts Grafana, where there is one -----------------------------------------------------------------

SERVICE = ROOT / "tools/services/grafana.sh"
# Answers what the script asks, and keeps what it was started with.
PLAYED_GRAFANA = """#!/usr/bin/python3
import http.server, json, os, re, sys
config = next(one for one in sys.argv if one.startswith("--config="))[9:]
text = open(config).read()
json.dump({"arguments": sys.argv[1:], "environment": dict(os.environ), "config": text}, open(os.environ["PLAYED"], "w"))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer((re.search("http_addr = (.*)", text)[1], int(re.search("http_port = (.*)", text)[1])), Handler).serve_forever()
"""


def service(*arguments, **environment):
    return subprocess.run([SERVICE, *map(str, arguments)], env={**os.environ, **environment}, capture_output=True, text=True,
                          timeout=60, check=False)


def test_a_grafana_of_the_machine_is_started_with_the_dashboards_and_ended(tmp_path):
    home = tmp_path / "grafana-home"
    (home / "conf").mkdir(parents=True)
    (home / "bin").mkdir()
    (home / "bin/grafana-server").write_text(PLAYED_GRAFANA)
    (home / "bin/grafana-server").chmod(0o755)
    port, = free_ports(1)
    known = {"GRAFANA_HOME": str(home), "PLAYED": str(tmp_path / "played"), "GF_SERVER_HTTP_ADDR": "0.0.0.0"}
    directory = tmp_path / "service"
    assert service("available", **known).returncode == 0
    try:
        started = service("start", "--dir", directory, "--port", port, "--prometheus-port", 4711, **known)
        assert started.returncode == 0 and f"127.0.0.1:{port}" in started.stdout, started.stderr
        assert service("status", "--dir", directory).returncode == 0
        assert "already runs" in service("start", "--dir", directory, "--port", port, "--prometheus-port", 4711, **known).stdout
        played_with = json.loads((tmp_path / "played").read_text())
        assert played_with["environment"]["TXSTREAM_PROMETHEUS_URL"] == "http://127.0.0.1:4711"
        assert pathlib.Path(played_with["environment"]["TXSTREAM_DASHBOARDS"]) == source.HOME
        assert not any(name.startswith("GF_") for name in played_with["environment"])
        for line in ("http_addr = 127.0.0.1", f"data = {directory}/data", "org_role = Viewer", f"provisioning = {ROOT}/deploy/grafana/provisioning"):
            assert line in played_with["config"].splitlines()
    finally:
        assert service("stop", "--dir", directory).returncode == 0
    assert service("status", "--dir", directory).returncode == 3


def test_on_a_machine_without_grafana_the_script_names_the_alternative(tmp_path):
    missing = {"GRAFANA_HOME": str(tmp_path)}
    assert service("available", **missing).returncode == 1
    started = service("start", "--dir", tmp_path / "service", "--port", 1, **missing)
    assert started.returncode == 1 and "make dashboards-preview" in started.stderr
