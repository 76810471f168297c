"""What a dashboard's JSON asks of Prometheus, and Prometheus's answers. Needs nothing but Python.

Queries stand in the JSON with Grafana's variables. `Variables` puts in what Grafana would.
"""
import dataclasses
import json
import math
import pathlib
import re
import urllib.error
import urllib.parse
import urllib.request

HOME = pathlib.Path(__file__).resolve().parent.parent.parent / "deploy/grafana/dashboards"
TIMEOUT_SECONDS = 30
# Grafana's: a rate needs two samples, and one may be missing.
SCRAPES_IN_A_RATE = 4


class Unreachable(Exception):
    """Prometheus does not answer, or refuses the query."""

    def __init__(self, url, reason):
        super().__init__(f"Prometheus at {url} {reason}")
        self.reason = reason


@dataclasses.dataclass(frozen=True)
class Query:
    dashboard: str
    where: str  # "panel 12, Backlog", "variable topic", "annotation Alert firing"
    expr: str


def load(home=HOME):
    return [json.loads(path.read_text()) for path in sorted(home.glob("*.json"))]


def panels(dashboard):
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def all_queries(dashboard):
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield Query(dashboard["uid"], f"panel {panel['title']}", target["expr"])
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield Query(dashboard["uid"], f"variable {variable['name']}", label_values(variable)[0])
    for annotation in dashboard["annotations"]["list"]:
        yield Query(dashboard["uid"], f"annotation {annotation['name']}", annotation["expr"])


def label_values(variable):
    """(selector, label)"""
    found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
    return found[1], found[2]


class Prometheus:
    def __init__(self, url):
        self.url = url.rstrip("/")
        # A proxy of the environment is for the world outside.
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, path, **parameters):
        """`data` of the answer."""
        body = urllib.parse.urlencode(parameters, doseq=True).encode()
        try:
            with self.opener.open(f"{self.url}/api/v1/{path}", body or None, TIMEOUT_SECONDS) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            try:
                reason = json.loads(text)["error"]
            except (ValueError, KeyError):
                reason = text[:200]
            raise Unreachable(self.url, f"refuses: {reason}") from None
        except (OSError, ValueError) as error:
            raise Unreachable(self.url, f"does not answer: {getattr(error, 'reason', error)}") from None

    def instant(self, expr, time):
        """[(labels, value)], without NaN."""
        return [(one["metric"], number) for one in self.ask("query", query=expr, time=time)["result"]
                if not math.isnan(number := float(one["value"][1]))]

    def range(self, expr, start, end, step):
        """[(labels, [(time, value)])], without NaN."""
        found = []
        for one in self.ask("query_range", query=expr, start=start, end=end, step=step)["result"]:
            points = [(at, number) for at, text in one["values"] if not math.isnan(number := float(text))]
            if points:
                found.append((one["metric"], points))
        return found

    def series(self, selector, start, end):
        return self.ask("series", **{"match[]": selector, "start": start, "end": end})

    def scrape_interval(self):
        """Seconds: the longest of the jobs that are ours, or 15."""
        config = self.ask("status/config")["yaml"]
        found = [_seconds(one) for one in re.findall(r"^\s*scrape_interval: (\S+)$", config, re.M)]
        return max(found, default=15.0)


def _seconds(text):
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(ms|[smhd])", text))


class Variables:
    """What stands for each of Grafana's variables, for a view from `start` to `end` with a point at each `step`."""

    def __init__(self, prometheus, dashboard, start, end, step, scrape_interval, rate_seconds=None):
        self.values = {
            "__rate_interval": f"{int(1000 * (rate_seconds or max(step + scrape_interval, SCRAPES_IN_A_RATE * scrape_interval)))}ms",
            "__range": f"{int((end - start) * 1000)}ms",
        }
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                self.values[variable["name"]] = variable.get("allValue") or self._every_value(prometheus, variable, start, end)

    def _every_value(self, prometheus, variable, start, end):
        selector, label = label_values(variable)
        values = sorted({one[label] for one in prometheus.series(self.put_in(selector), start, end) if label in one})
        # In a PromQL string a backslash stands for itself only when doubled.
        return "|".join(re.escape(value).replace("\\", "\\\\") for value in values)

    def put_in(self, text):
        return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda found: self.values[found[1] or found[2]], text)


def legend(pattern, labels):
    """A series's name, as Grafana makes it of legendFormat."""
    if pattern and pattern != "__auto":
        return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), pattern)
    plain = {name: value for name, value in labels.items() if name != "__name__"}
    if len(plain) == 1:
        return next(iter(plain.values()))
    return ", ".join(f"{name}={value}" for name, value in sorted(plain.items())) or labels.get("__name__", "value")
