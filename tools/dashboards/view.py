"""A dashboard and the data of a time range: everything that is drawn, asked once."""
import dataclasses
import math

import prometheus as source
import units

POINTS = 240
# Panels whose last value the headline quotes, by title.
STATE, WAITING, PARKED = "Is everything delivered?", "Events waiting", "Events parked"
BLOCKED = "Delivery blocked"
REASONS = "What held delivery up"


@dataclasses.dataclass
class Series:
    name: str
    points: list  # [(time, value)]

    @property
    def last(self):
        return self.points[-1][1]

    @property
    def highest(self):
        return max(value for _, value in self.points)


@dataclasses.dataclass
class Panel:
    json: dict
    series: list
    error: str = ""

    @property
    def title(self):
        return self.json["title"]

    @property
    def kind(self):
        return self.json["type"]

    @property
    def defaults(self):
        return self.json["fieldConfig"]["defaults"]

    @property
    def unit(self):
        return self.defaults["unit"]

    def override(self, name, property_id):
        """What the dashboard says of that series, or None."""
        for one in self.json["fieldConfig"].get("overrides", []):
            if one["matcher"] == {"id": "byName", "options": name}:
                for chosen in one["properties"]:
                    if chosen["id"] == property_id:
                        return chosen["value"]
        return None

    def shown_name(self, name):
        return self.override(name, "displayName") or name

    def fixed_color(self, name):
        chosen = self.override(name, "color")
        return chosen["fixedColor"] if chosen else None

    def threshold_color(self, value):
        color = "gray"
        for step in self.defaults["thresholds"]["steps"]:
            if step["value"] is None or value >= step["value"]:
                color = step["color"]
        return color

    def mapped(self, value):
        """(text, colour) that a number stands for, or None."""
        for mapping in self.defaults.get("mappings", []):
            found = mapping["options"].get(f"{value:g}")
            if found:
                return found["text"], found["color"]
        return None


@dataclasses.dataclass
class Mark:
    """Something that an annotation shows: a span of time, or one moment."""
    name: str
    text: str
    color: str
    start: float
    end: float


@dataclasses.dataclass
class View:
    dashboard: dict
    start: float
    end: float
    step: float
    panels: dict  # id -> Panel
    marks: list
    reason_texts: dict  # of delivery_blocked

    def panel(self, title):
        return next((panel for panel in self.panels.values() if panel.title == title), None)

    def held_up(self):
        """[(start, end, reason)] of the times in which delivery was blocked. Where several reasons overlap, the one that lasted
        longest names the whole; but never 'stalled', which is what a relay says when it knows no reason and another may."""
        spans = []
        for mark in sorted((one for one in self.marks if one.name == BLOCKED), key=lambda one: one.start):
            end = min(self.end, mark.end + self.step)
            if spans and mark.start <= spans[-1][1]:
                spans[-1][1] = max(spans[-1][1], end)
                spans[-1][2].append(mark)
            else:
                spans.append([mark.start, end, [mark]])
        return [(start, end, max(marks, key=lambda one: (one.text != "stalled", one.end - one.start)).text) for start, end, marks in spans]

    def reason(self, label):
        """A reason of delivery_blocked in words, where the dashboard has some."""
        return self.reason_texts.get(label) or label.replace("_", " ")

    def errors(self):
        return [f"{panel.title}: {panel.error}" for panel in self.panels.values() if panel.error]


def reason_texts(dashboards):
    """What the overview calls the reasons: the other dashboards show them too."""
    overrides = [one for dashboard in dashboards for panel in source.panels(dashboard) if panel["title"] == REASONS
                 for one in panel["fieldConfig"]["overrides"]]
    return {one["matcher"]["options"]: one["properties"][0]["value"] for one in overrides}


def fetch(prometheus, dashboard, start, end, texts):
    scrape = prometheus.scrape_interval()
    step = max(scrape, _round_up((end - start) / POINTS))
    variables = source.Variables(prometheus, dashboard, start, end, step, scrape)
    panels = {json["id"]: _fetch_panel(prometheus, json, variables, start, end, step) for json in source.panels(dashboard)}
    marks = [mark for annotation in dashboard["annotations"]["list"]
             for mark in _fetch_marks(prometheus, annotation, variables, start, end, step)]
    return View(dashboard, start, end, step, panels, marks, texts)


def _round_up(seconds):
    return next(nice for nice in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, math.ceil(seconds)) if nice >= seconds)


def _fetch_panel(prometheus, json, variables, start, end, step):
    series = []
    try:
        for target in json["targets"]:
            expr = variables.put_in(target["expr"])
            if target.get("instant"):
                found = [(labels, [(end, value)]) for labels, value in prometheus.instant(expr, end)]
            else:
                found = prometheus.range(expr, start, end, step)
            series += [Series(source.legend(target.get("legendFormat"), labels), points) for labels, points in found]
    except source.Unreachable as error:
        return Panel(json, [], f"Prometheus {error.reason}")
    return Panel(json, series)


def _fetch_marks(prometheus, annotation, variables, start, end, step):
    for labels, points in prometheus.range(variables.put_in(annotation["expr"]), start, end, step):
        text = source.legend(annotation["titleFormat"], labels)
        color, name = annotation["iconColor"], annotation["name"]
        if annotation.get("useValueForTime"):
            for moment in sorted({value / 1000 for _, value in points}):
                if start <= moment <= end:
                    yield Mark(name, text, color, moment, moment)
            continue
        began = last = points[0][0]
        for at, _ in [*points[1:], (math.inf, 0)]:
            if at > last + 1.5 * step:
                yield Mark(name, text, color, began, last)
                began = at
            last = at


# --- the headline -----------------------------------------------------------------------------------------------------

def headline(view):
    """(colour, first sentence, second sentence): what a reader should know before any graph, or None where the dashboard does not
    say it."""
    state = view.panel(STATE)
    if state is None:
        return None
    if not state.series:
        why = state.error or state.defaults["noValue"]
        return "gray", "It is not known whether anything is delivered", f"{why[0].upper()}{why[1:]}."
    held_up = view.held_up()
    now = {series.name for series in state.series if series.last == 1}
    waiting, parked = _last(view, WAITING), _last(view, PARKED)
    if now:
        names = " and ".join(sorted(view.reason(one) for one in (now - {"stalled"} or now)))
        return "red", f"Not everything is delivered: {names}", f"{_events(waiting)} wait; nothing of it is lost. {_events(parked)} parked."
    if not held_up:
        first = "Nothing held delivery up"
    else:
        parts = []
        for reason in dict.fromkeys(reason for _, _, reason in held_up):
            seconds = sum(end - start for start, end, one in held_up if one == reason)
            parts.append(f"{view.reason(reason).replace(' is away', ' was away')} ({_duration(seconds)})")
        first = f"Delivery was held up: {', '.join(parts)}"
    if waiting != 0:
        return "yellow", first, f"It flows again; {_events(waiting)} still wait. {_events(parked)} parked."
    exception = f", except {_events(parked)} parked for a decision" if parked else ""
    return "green", f"{first}. Nothing was lost", f"Everything that was committed has reached Kafka{exception}."


def _last(view, title):
    panel = view.panel(title)
    return panel.series[0].last if panel and panel.series else None


def _events(count):
    return "An unknown number of events" if count is None else f"{units.text(count, 'short', 0)} event{'s' * (count != 1)}"


def _duration(seconds):
    return f"{seconds:.0f} s" if seconds < 120 else f"{int(seconds // 60)} min {seconds % 60:02.0f} s"
