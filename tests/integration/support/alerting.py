"""A Prometheus and an Alertmanager with the committed configuration, made quick, and a webhook that takes their notifications."""
import collections
import contextlib
import http.server
import json
import pathlib
import re
import subprocess
import threading
import urllib.parse
import urllib.request

import yaml

from support.world import ROOT, eventually, free_ports

COMMITTED = ROOT / "deploy/prometheus"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION = r"(\d+)([smhd])\b"

# What is waited for is divided by the first, what is looked back on by the second. A cause must be there before its consequence
# is, as in reality, though the relay needs the same seconds to find it: so `for` keeps more of its length. Three seconds
# hold the samples that a rate needs. A scrape has a second, or a busy machine makes a process look dead.
FOR_DIVISOR = 12
WINDOW_DIVISOR = 60
WINDOW_SECONDS_MIN = 3
SCRAPE_INTERVAL = "1s"
EVALUATION_INTERVAL = "500ms"


def _divided(divisor, least):
    def put(found):
        seconds = int(found[1]) * UNITS[found[2]] / divisor
        return f"{round(1000 * max(seconds, least))}ms"
    return put


def quick_rules(text):
    """The rules, with every `for`, range and offset shortened, and nothing else changed."""
    window = _divided(WINDOW_DIVISOR, WINDOW_SECONDS_MIN)

    def windows(found):
        return re.sub(DURATION, window, found[0])

    text = re.sub(rf"(?<= for: ){DURATION}", _divided(FOR_DIVISOR, 0), text)
    return re.sub(rf"\[{DURATION}(:{DURATION})?\]|\boffset {DURATION}", windows, text)


def quick_routes(text):
    """Alertmanager's configuration, with its waits shortened like windows."""
    return re.sub(rf"(?<=_(?:wait): ){DURATION}|(?<=_interval: ){DURATION}", _route_wait, text)


def _route_wait(found):
    number, unit = (found[1], found[2]) if found[1] else (found[3], found[4])
    return f"{round(1000 * int(number) * UNITS[unit] / WINDOW_DIVISOR)}ms"


class Webhook:
    """Takes Alertmanager's notifications. `states` is {outbox: {alert: [status, ...]}} in their order, per receiver."""

    def __init__(self):
        self.lock = threading.Lock()
        self.states = collections.defaultdict(lambda: collections.defaultdict(list))  # guarded by lock
        self.receivers = {}  # guarded by lock
        webhook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                webhook.take(self.path.strip("/"), body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def take(self, receiver, body):
        with self.lock:
            for alert in body["alerts"]:
                labels = alert["labels"]
                states = self.states[labels.get("outbox", "")][labels["alertname"]]
                if not states or states[-1] != alert["status"]:
                    states.append(alert["status"])
                self.receivers[labels["alertname"]] = (receiver, labels["severity"], alert["annotations"])

    def of(self, outbox):
        with self.lock:
            return {alert: list(states) for alert, states in self.states[outbox].items()}

    def received(self, alert):
        with self.lock:
            return self.receivers[alert]

    def end(self):
        self.server.shutdown()
        self.thread.join(10)
        self.server.server_close()


class Watch:
    """Prometheus, Alertmanager and the webhook behind them. `targets`: [(job, address, outbox)]."""

    def __init__(self, directory, targets):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.port, self.alertmanager_port = free_ports(2)
        self.url = f"http://127.0.0.1:{self.port}"
        self.webhook = Webhook()
        self.processes = []
        self._write_configurations(targets)
        self._start("prometheus-alertmanager", f"--config.file={self.directory}/alertmanager.yml",
                    f"--storage.path={self.directory}/alertmanager", "--cluster.listen-address=",
                    f"--web.listen-address=127.0.0.1:{self.alertmanager_port}")
        self._start("prometheus", f"--config.file={self.directory}/prometheus.yml",
                    f"--storage.tsdb.path={self.directory}/prometheus", f"--web.listen-address=127.0.0.1:{self.port}")
        for port in (self.alertmanager_port, self.port):
            eventually(lambda port=port: self._is_ready(port), f"{port} is ready")

    def _write_configurations(self, targets):
        (self.directory / "rules").mkdir()
        for path in COMMITTED.glob("rules/*.yml"):
            (self.directory / "rules" / path.name).write_text(quick_rules(path.read_text()))
        routes = quick_routes((COMMITTED / "alertmanager.yml").read_text())
        (self.directory / "alertmanager.yml").write_text(routes.replace("http://127.0.0.1:9099", self.webhook.url))
        config = yaml.safe_load((COMMITTED / "prometheus.yml").read_text())
        config["global"].update(
            scrape_interval=SCRAPE_INTERVAL, scrape_timeout=SCRAPE_INTERVAL, evaluation_interval=EVALUATION_INTERVAL)
        config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [f"127.0.0.1:{self.alertmanager_port}"]}]}]
        jobs = [job for job in config["scrape_configs"] if job["job_name"] != "prometheus"]
        for job in jobs:
            job["static_configs"] = [{"targets": [address], "labels": {"outbox": outbox}}
                                     for name, address, outbox in targets if name == job["job_name"]]
        config["scrape_configs"] = jobs
        (self.directory / "prometheus.yml").write_text(yaml.safe_dump(config))

    def _start(self, *command):
        with open(self.directory / f"{command[0]}.log", "wb") as log:
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL))

    def _is_ready(self, port):
        assert all(process.poll() is None for process in self.processes), self.logs()
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5) as answer:
            return answer.status == 200
        return False

    def logs(self):
        return "\n".join(path.read_text()[-3000:] for path in self.directory.glob("*.log"))

    def query(self, expression):
        """[(labels, value or [(time, value), ...])] of an instant query."""
        url = f"{self.url}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(url, timeout=30) as answer:
            result = json.load(answer)["data"]["result"]
        return [(one["metric"], one.get("values") or float(one["value"][1])) for one in result]

    def history(self, outbox):
        """{alert: {state: when it was first in it}}"""
        found = collections.defaultdict(dict)
        for labels, values in self.query(f'ALERTS{{outbox="{outbox}"}}[1h]'):
            states = found[labels["alertname"]]
            states[labels["alertstate"]] = min(values[0][0], states.get(labels["alertstate"], float("inf")))
        return dict(found)

    def is_firing(self, outbox, alert):
        return bool(self.query(f'ALERTS{{outbox="{outbox}", alertname="{alert}", alertstate="firing"}}'))

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait(10)
        self.webhook.end()
