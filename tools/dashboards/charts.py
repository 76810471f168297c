"""Draws one panel's data into a matplotlib Axes. Knows themes, not pages."""
import datetime

import numpy
import units
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle
from theme import PALETTE
from view import BLOCKED

UTC = datetime.timezone.utc
# Series that are drawn and named; a reader cannot tell more apart.
SERIES_MAX = 8
# More numbers in a legend are not read.
NUMBERS_MAX = 6
TICK_SIZE = 8.5
LETTER_WIDTH = 7.5  # of a bold one
TICK_WIDTH = 100  # pixels: one of "12:34:56" and its distance


def draw(axes, panel, view, theme, is_first=False):
    """The graphs. Tiles and bars of last values are text, and each kind of page has its own."""
    _frame(axes, view, theme)
    if not panel.series:
        return
    {"timeseries": _lines, "heatmap": _heat, "state-timeline": _timeline}[panel.kind](axes, panel, view, theme)
    if panel.kind != "state-timeline":
        _marks(axes, view, theme, is_first)


def legend(panel):
    """[(name, colour, last value)] of what is drawn, and how many series are not."""
    if panel.kind != "timeseries":
        return [], 0
    drawn, left_out = _chosen(panel)
    has_numbers = panel.json["options"]["legend"].get("calcs") and len(drawn) <= NUMBERS_MAX
    return [(panel.shown_name(one.name), color, units.text(one.last, panel.unit, panel.defaults.get("decimals")) if has_numbers else "")
            for one, color in drawn], left_out


def _frame(axes, view, theme):
    axes.set_facecolor("none")
    axes.set_xlim(view.start, view.end)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=TICK_SIZE, labelcolor=theme["muted"], pad=4)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(theme["edge"])
    moments = _moments(view.start, view.end, _pixels(axes) / TICK_WIDTH)
    pattern = "%H:%M:%S" if view.end - view.start < 300 else "%H:%M"
    axes.set_xticks(moments, [datetime.datetime.fromtimestamp(one, UTC).strftime(pattern) for one in moments])


def _pixels(axes):
    return axes.get_position().width * axes.figure.get_figwidth() * 100


def _moments(start, end, count_max):
    spacing = next((one for one in (10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400)
                    if (end - start) / one <= min(6, max(3, count_max))), 604800)
    first = -(-start // spacing) * spacing
    margin = (end - start) * 0.03
    return [one for one in numpy.arange(first, end, spacing) if start + margin <= one <= end - margin]


# --- lines ------------------------------------------------------------------------------------------------------------

def _chosen(panel):
    """([(series, colour)], how many are left out): the highest, in the order of their names, so that a colour stays with a name."""
    by_height = sorted(panel.series, key=lambda one: -one.highest)[:SERIES_MAX]
    free = [color for color in PALETTE if color not in {panel.fixed_color(one.name) for one in by_height}]

    def order(series):
        # The dashboard's own, where it gives colours.
        return (panel.series.index(series) if panel.fixed_color(series.name) else -1, series.name)

    drawn = [(one, panel.fixed_color(one.name) or free[number % len(free)]) for number, one in enumerate(sorted(by_height, key=order))]
    return drawn, len(panel.series) - len(drawn)


def _on_grid(series, view):
    """(times, values), with NaN where there is no point, so that a gap is a gap."""
    count = int(round((view.end - view.start) / view.step)) + 1
    values = numpy.full(count, numpy.nan)
    for at, value in series.points:
        place = int(round((at - view.start) / view.step))
        if 0 <= place < count:
            values[place] = value
    return view.start + numpy.arange(count) * view.step, values


def _lines(axes, panel, view, theme):
    custom = panel.defaults.get("custom", {})
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    filled = custom.get("fillOpacity", 0) > 0
    drawn, _ = _chosen(panel)
    below = 0
    highest = custom.get("axisSoftMax", 0)
    for number, (series, color) in enumerate(drawn):
        times, values = _on_grid(series, view)
        if stacked:
            values = numpy.nan_to_num(values) + below
        if filled:
            axes.fill_between(times, below, values, color=theme[color], alpha=0.22, linewidth=0, zorder=2)
        # Where two lines lie on each other, the one beneath shows as a wider edge.
        is_beneath = not filled and number == 0 and len(drawn) == 2 and all(panel.fixed_color(one.name) for one, _ in drawn)
        axes.plot(times, values, color=theme[color], linewidth=3.6 if is_beneath else 1.7, solid_joinstyle="round",
                  solid_capstyle="round", zorder=3 + number, alpha=0.5 if is_beneath else 1)
        below = values if stacked else 0
        if not numpy.all(numpy.isnan(values)):
            highest = max(highest, numpy.nanmax(values))
    _y_axis(axes, theme, units.ticks(highest, panel.unit), panel.unit)
    if custom.get("thresholdsStyle", {}).get("mode") == "dashed":
        for step in panel.defaults["thresholds"]["steps"]:
            if step["value"] is not None and step["value"] <= axes.get_ylim()[1]:
                axes.axhline(step["value"], color=theme["red"], linewidth=1, linestyle=(0, (4, 3)), zorder=2)


def _y_axis(axes, theme, places, unit):
    axes.set_ylim(0, places[-1] * 1.04)
    axes.set_yticks(places, [units.text(one, unit) for one in places])
    axes.grid(axis="y", color=theme["grid"], linewidth=0.8)


# --- heat maps --------------------------------------------------------------------------------------------------------

def _heat(axes, panel, view, theme):
    """Buckets as Prometheus has them hold all that is below their bound, so each row is what it has more than the one beneath."""
    bounds = sorted(panel.series, key=lambda one: float(one.name))
    grids = [_on_grid(one, view) for one in bounds]
    rows = numpy.diff(numpy.vstack([numpy.zeros_like(grids[0][1]), *(values for _, values in grids)]), axis=0)
    rows = numpy.clip(numpy.nan_to_num(rows), 0, None)
    used = numpy.flatnonzero(rows.sum(axis=1) > 0)
    if not used.size:
        return
    first, last = max(0, used[0] - 1), min(len(bounds) - 1, used[-1] + 1)
    highest = rows.max()
    times = grids[0][0]
    cells, strengths = [], []
    for row in range(first, last + 1):
        for column in numpy.flatnonzero(rows[row] > highest * 1e-4):
            left, right, floor = times[column] - view.step, times[column], row - first
            cells.append([(left, floor), (right, floor), (right, floor + 0.94), (left, floor + 0.94)])
            # Half of the colour's range belongs to the lowest tenth of the counts: few slow events are what one looks for.
            strengths.append(round(0.14 + 0.86 * (rows[row][column] / highest) ** 0.4, 2))
    axes.add_collection(PolyCollection(cells, facecolors=[to_rgba(theme["blue"], one) for one in strengths], linewidths=0, zorder=2))
    count = last - first + 1
    axes.set_ylim(0, count)
    every = -(-count // 7)
    labels = {row - first + 1: "more" if bounds[row].name.startswith("+") else units.text(float(bounds[row].name), panel.unit)
              for row in range(first, last + 1)}
    shown = [place for place in labels if (count - place) % every == 0]
    axes.set_yticks(shown, [labels[place] for place in shown])
    axes.grid(axis="y", color=theme["grid"], linewidth=0.8)


# --- states -----------------------------------------------------------------------------------------------------------

def _timeline(axes, panel, view, theme):
    names = []
    for row, series in enumerate(reversed(panel.series)):
        names.append(panel.shown_name(series.name))
        axes.add_patch(Rectangle((view.start, row + 0.18), view.end - view.start, 0.64, facecolor=theme["grid"], alpha=0.55, linewidth=0))
        for start, end, value in _runs(series, view):
            _, color = panel.mapped(value) or ("", panel.threshold_color(value))
            if color != "transparent":
                axes.add_patch(Rectangle((start, row + 0.1), end - start, 0.8, facecolor=theme[color], linewidth=0, zorder=3))
    axes.set_ylim(0, len(names))
    axes.set_yticks([row + 0.5 for row in range(len(names))], names)
    axes.tick_params(axis="y", labelcolor=theme["ink"])


def _runs(series, view):
    """(start, end, value) of each stretch in which the value was the same."""
    began, last, value = series.points[0][0], series.points[0][0], series.points[0][1]
    for at, number in series.points[1:]:
        if number != value or at > last + 1.5 * view.step:
            yield began, min(at, last + view.step), value
            began, value = at, number
        last = at
    yield began, min(view.end, last + view.step), value


# --- what happened ----------------------------------------------------------------------------------------------------

def _marks(axes, view, theme, is_first):
    for start, end, reason in view.held_up():
        axes.axvspan(start, end, color=theme["red"], alpha=0.15, linewidth=0, zorder=1)
        # A name wider than its span would lie on its neighbours.
        name = view.reason(reason)
        if is_first and (end - start) / (view.end - view.start) * _pixels(axes) > LETTER_WIDTH * len(name):
            axes.annotate(name, ((start + end) / 2, axes.get_ylim()[1]), xytext=(0, -12), textcoords="offset points",
                          ha="center", va="top", fontsize=9, fontweight="bold", color=theme["red"], zorder=6)
    height = axes.get_ylim()[1] * 0.022
    for mark in view.marks:
        if mark.start == mark.end:
            axes.axvline(mark.start, color=theme["gray"], linewidth=1, linestyle=(0, (1, 2)), zorder=2)
        elif mark.name != BLOCKED:
            place = {"orange": 1, "purple": 2}.get(mark.color, 3)
            axes.add_patch(Rectangle((mark.start, axes.get_ylim()[1] - place * height), mark.end + view.step - mark.start, height * 0.8,
                                     facecolor=theme[mark.color], linewidth=0, zorder=5))
