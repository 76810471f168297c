"""A dashboard as one picture: the panels where the dashboard has them, as cards."""
import datetime
import textwrap

import charts
import numpy
import units
from matplotlib import image
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
import view as views

WIDTH = 1440
MARGIN, GAP = 28, 10
UNIT_HEIGHT = 34
HEADER, HEADER_WITH_HEADLINE, ROW = 92, 176, 40
LEGEND_LINE, LEGEND_ROWS_MAX = 17, 3
POINTS_PER_PIXEL = 0.72  # at 100 pixels an inch
SHARPNESS = 1.5


class Canvas:
    """A figure that is drawn on in pixels from the upper left corner."""

    def __init__(self, height, theme):
        self.height, self.theme = height, theme
        self.figure = Figure(figsize=(WIDTH / 100, height / 100), dpi=100 * SHARPNESS, facecolor=theme["page"])
        self.canvas = FigureCanvasAgg(self.figure)
        self.renderer = self.canvas.get_renderer()

    def text(self, x, y, text, role="ink", size=13, bold=False, align="left", width=None, zorder=5):
        """`y` is the middle of the line. Cut to `width`."""
        made = self.figure.text(x / WIDTH, 1 - y / self.height, _plain(text), color=self.theme[role], fontsize=size * POINTS_PER_PIXEL,
                                fontweight="bold" if bold else "normal", ha=align, va="center_baseline", zorder=zorder)
        while width and self.width_of(made) > width and len(text) > 1:
            text = text[:-2].rstrip(" …") + "…"
            made.set_text(_plain(text))
        return self.width_of(made)

    def width_of(self, made):
        return made.get_window_extent(self.renderer).width / SHARPNESS

    def box(self, x, y, width, height, role, edge=None, radius=6):
        self.figure.add_artist(FancyBboxPatch(
            ((x + radius) / 100, (self.height - y - height + radius) / 100), (width - 2 * radius) / 100, (height - 2 * radius) / 100,
            boxstyle=f"round,pad={radius / 100}", facecolor=self.theme[role], edgecolor=self.theme[edge] if edge else "none",
            linewidth=0.8, transform=self.figure.dpi_scale_trans, zorder=1))

    def bar(self, x, y, width, height, role, alpha=1.0):
        self.figure.add_artist(Rectangle((x / 100, (self.height - y - height) / 100), width / 100, height / 100, facecolor=self.theme[role],
                                         alpha=alpha, linewidth=0, transform=self.figure.dpi_scale_trans, zorder=2))

    def axes(self, x, y, width, height):
        return self.figure.add_axes((x / WIDTH, 1 - (y + height) / self.height, width / WIDTH, height / self.height), zorder=3)

    def save(self, paths):
        """`paths`: {path: height in pixels from the top, or None for all}."""
        self.canvas.draw()
        pixels = numpy.asarray(self.canvas.buffer_rgba())
        for path, height in paths.items():
            image.imsave(path, pixels[:int(height * SHARPNESS)] if height else pixels)


def _plain(text):
    # To matplotlib a dollar sign begins a formula.
    return text.replace("$", r"\$")


def write(view, theme, path, summary_path=None):
    """`summary_path`: a picture of the dashboard's first row alone."""
    layout, ends = _layout(view)
    has_headline = views.headline(view) is not None
    top = HEADER_WITH_HEADLINE if has_headline else HEADER
    canvas = Canvas(top + ends[-1] + MARGIN, theme)
    _header(canvas, view)
    first_graph = True
    for json, x, y, width, height in layout:
        if json["type"] == "row":
            canvas.text(MARGIN, top + y + height - 15, json["title"], "ink", 17, bold=True)
            continue
        panel = view.panels[json["id"]]
        _panel(canvas, view, panel, x, top + y, width, height, first_graph)
        if panel.kind == "timeseries" and panel.series:
            first_graph = False
    canvas.save({path: None, **({summary_path: top + ends[0] + GAP} if summary_path else {})})


def _layout(view):
    """[(panel, x, y, width, height)] in pixels, and where each row ends."""
    column = (WIDTH - 2 * MARGIN + GAP) / 24
    placed, ends, shift = [], [], 0
    for json in view.dashboard["panels"]:
        place = json["gridPos"]
        if json["type"] == "row":
            placed.append((json, MARGIN, place["y"] * UNIT_HEIGHT + shift, WIDTH - 2 * MARGIN, ROW))
            shift += ROW - UNIT_HEIGHT
            ends.append(0)
            continue
        x, y = MARGIN + place["x"] * column, place["y"] * UNIT_HEIGHT + shift
        placed.append((json, x, y, place["w"] * column - GAP, place["h"] * UNIT_HEIGHT - GAP))
        ends[-1] = max(ends[-1], y + place["h"] * UNIT_HEIGHT)
    return placed, ends


def _header(canvas, view):
    width = canvas.text(MARGIN, 40, view.dashboard["title"], "ink", 26, bold=True)
    canvas.text(MARGIN + width + 16, 42, view.dashboard["description"], "muted", 14)
    canvas.text(WIDTH - MARGIN, 42, time_range(view), "muted", 14, align="right")
    said = views.headline(view)
    if said:
        color, first, second = said
        canvas.box(MARGIN, 70, WIDTH - 2 * MARGIN, 72, "card", "edge")
        canvas.bar(MARGIN, 76, 6, 60, color)
        canvas.text(MARGIN + 24, 95, first, "ink", 20, bold=True, width=WIDTH - 2 * MARGIN - 48)
        canvas.text(MARGIN + 24, 123, second, "ink", 15, width=WIDTH - 2 * MARGIN - 48)
    _key(canvas, view, 160 if said else 72)


def _key(canvas, view, y):
    """What the marks in the graphs mean, of those that are there."""
    x = MARGIN
    for annotation in view.dashboard["annotations"]["list"]:
        marks = [mark for mark in view.marks if mark.name == annotation["name"]]
        if not marks:
            continue
        if annotation["name"] == views.BLOCKED:
            canvas.bar(x, y - 6, 16, 12, "red", 0.22)
        elif annotation.get("useValueForTime"):
            for dot in range(3):
                canvas.bar(x + 7, y - 6 + dot * 5, 2, 3, "gray")
        else:
            canvas.bar(x, y - 2, 16, 4, annotation["iconColor"])
        # Six of them may fire at one time; without the prefix that all share they fit into the line.
        names = sorted({mark.text.removeprefix("TxStream") for mark in marks}) if annotation["name"] == "Alert firing" else []
        text = annotation["name"].lower() + (": " + ", ".join(names) if names else "")
        x += 24 + canvas.text(x + 24, y, text, "muted", 12, width=WIDTH - MARGIN - x - 24) + 24


def time_range(view):
    start, end = (datetime.datetime.fromtimestamp(one, charts.UTC) for one in (view.start, view.end))
    return f"{start:%Y-%m-%d %H:%M:%S} to {end:%H:%M:%S} UTC"


# --- panels -----------------------------------------------------------------------------------------------------------

def _panel(canvas, view, panel, x, y, width, height, is_first):
    if panel.kind == "stat":
        _tile(canvas, panel, x, y, width, height)
        return
    canvas.box(x, y, width, height, "card", "edge")
    canvas.text(x + 14, y + 20, panel.title, "ink", 14, bold=True, width=width - 28)
    if panel.error or not panel.series:
        _nothing(canvas, panel, x, y + 20, width, height - 20)
        if panel.error or panel.kind == "bargauge":
            return
    if panel.kind == "bargauge":
        _bars(canvas, panel, x, y, width, height)
        return
    left = left_margin(panel)
    bottom = 30 + _legend(canvas, panel, x, y, width, height)
    axes = canvas.axes(x + left, y + 40, width - left - 18, height - 40 - bottom)
    charts.draw(axes, panel, view, canvas.theme, is_first)
    if not panel.series:
        axes.set_yticks([])


def left_margin(panel):
    """Room for what stands left of a graph: numbers, or the names of a timeline's rows."""
    names = [panel.shown_name(one.name) for one in panel.series] if panel.kind == "state-timeline" else []
    numbers = 64 if panel.unit in ("cpm", "bytes") else 48
    return 16 + max((len(name) * 6.7 for name in names), default=numbers)


def _nothing(canvas, panel, x, y, width, height, role="muted"):
    role = "red" if panel.error else role
    lines = textwrap.wrap(panel.error or panel.defaults["noValue"], max(12, int(width / 8.4)))[:4]
    for number, line in enumerate(lines):
        canvas.text(x + width / 2, y + height / 2 + (number - (len(lines) - 1) / 2) * 19 - 6, line, role, 14, align="center", zorder=6)


def _tile(canvas, panel, x, y, width, height):
    solid = panel.json["options"]["colorMode"] == "background_solid"
    value, color = tile(panel)
    if panel.error:
        solid = False
    canvas.box(x, y, width, height, f"solid-{color}" if solid else "card", None if solid else "edge")
    canvas.text(x + 14, y + 20, panel.title, "on-color" if solid else "muted", 13, width=width - 28)
    middle = y + (height + 20) / 2
    if panel.error or not panel.series:
        _nothing(canvas, panel, x, y + 20, width, height - 20, "on-color" if solid else "muted")
        return
    size = min(40.0, (width - 28) / max(1, len(value)) * 1.75)
    canvas.text(x + width / 2, middle, value, "on-color" if solid else color if color != "blue" else "ink", size, bold=True, align="center")


def tile(panel):
    """(text, colour) of a stat."""
    if not panel.series:
        return panel.defaults["noValue"], "gray"
    if panel.json["options"]["textMode"] == "name":
        worst = max(panel.series, key=lambda one: one.last)
        names = [panel.shown_name(one.name) for one in panel.series]
        return names[0] + (f" (and {len(names) - 1} more)" if len(names) > 1 else ""), panel.threshold_color(worst.last)
    value = panel.series[0].last
    mapped = panel.mapped(value)
    return mapped or (units.text(value, panel.unit, panel.defaults.get("decimals")), panel.threshold_color(value))


def _bars(canvas, panel, x, y, width, height):
    rows = sorted(panel.series, key=lambda one: -one.last)[:max(1, int((height - 50) / 26))]
    if not rows:
        return
    label_width = min(width * 0.6, 36 + 7.2 * max(len(panel.shown_name(one.name)) for one in rows))
    highest = max(one.last for one in rows) or 1
    for number, one in enumerate(rows):
        line = y + 54 + number * 26
        canvas.text(x + 14, line, panel.shown_name(one.name), "ink", 13, width=label_width - 20)
        canvas.bar(x + label_width, line - 7, max(1, (width - label_width - 70) * one.last / highest), 14, panel.threshold_color(one.last))
        canvas.text(x + width - 14, line, units.text(one.last, panel.unit), "ink", 13, bold=True, align="right")


def _legend(canvas, panel, x, y, width, height):
    """Written from the panel's lower edge upwards; returns its height."""
    entries, left_out = charts.legend(panel)
    rows, place = [[]], 0
    for name, color, last in entries:
        # 6.3 pixels for a letter of this size, and the mark with its distance.
        needed = 36 + 6.3 * len(f"{name}  {last}")
        if rows[-1] and place + needed > width - 32 - (80 if left_out or len(rows) == LEGEND_ROWS_MAX else 0):
            rows.append([])
            place = 0
        rows[-1].append((name, color, last, needed))
        place += needed
    left_out += sum(len(row) for row in rows[LEGEND_ROWS_MAX:])
    rows = rows[:LEGEND_ROWS_MAX]
    for number, row in enumerate(rows):
        place, line = x + 16, y + height - 15 - (len(rows) - 1 - number) * LEGEND_LINE
        for name, color, last, needed in row:
            canvas.bar(place, line - 3, 12, 5, color)
            canvas.text(place + 18, line, f"{name}  {last}", "muted", 11.5, width=width - 50)
            place += needed
        if left_out and number == len(rows) - 1:
            canvas.text(place, line, f"and {left_out} more", "muted", 11.5)
    return LEGEND_LINE * len(rows) if entries else 0
