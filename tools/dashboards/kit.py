"""The parts that all dashboards are made of: selectors, panels with their rules, variables, annotations, links.

Every panel goes through `_finish`: a panel without a description, a unit or a text for "no data" cannot be made.
"""
import json

from grafana_foundation_sdk.builders import bargauge, common, dashboard, heatmap, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heatmap_model
from grafana_foundation_sdk.models import prometheus as prometheus_model

DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
PROCESSES = 'job=~"$job",instance=~"$instance",outbox=~"$outbox"'
RATE = "[$__rate_interval]"

GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE, GRAY = "green", "yellow", "orange", "red", "blue", "purple", "gray"
GOOD_OR_BAD = [(None, GREEN), (1, RED)]
NEUTRAL = [(None, BLUE)]

NO_RELAY = "no relay reports"
NO_API = "no API reports"
NO_TRAFFIC = "no events in this range"
NO_REQUESTS = "no requests in this range"

DASHBOARDS = [("txstream-overview", "Overview"), ("txstream-relay", "Relay"), ("txstream-api", "API")]


# --- queries ----------------------------------------------------------------------------------------------------------

def metric(name, *matchers):
    """The series of that metric, of the chosen processes."""
    full = name if name.startswith("process_") else "txstream_" + name
    return f"{full}{{{','.join((PROCESSES, *matchers))}}}"


def rate(name, *matchers):
    return f"rate({metric(name, *matchers)}{RATE})"


def sum_rate(name, *matchers, by=None):
    return f"sum{f' by ({by})' if by else ''} ({rate(name, *matchers)})"


def quantile(q, name, *matchers, by=None):
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, sum by ({labels}) ({rate(name + '_bucket', *matchers)}))"


def average(name, *matchers, by=None):
    by = f" by ({by})" if by else ""
    return f"sum{by} ({rate(name + '_sum', *matchers)}) / sum{by} ({rate(name + '_count', *matchers)})"


def buckets(name, *matchers):
    return sum_rate(name + "_bucket", *matchers, by="le")


def since_the_range_began(name):
    """A count of the table's, less what had been published or parked at the left edge of the view.

    Prometheus sees it through the relay that reports at that time; a count of the table goes on where another one takes over. `@ end()`
    makes one edge for all points of a graph (Prometheus 2.33 and newer).
    """
    return (f"sum(max by (outbox) ({metric(name)}))"
            f" - sum(min by (outbox) (min_over_time({metric('outbox_events_settled_total')}[$__range] @ end())))")


def query(expr, legend="", kind="range", ref="A"):
    made = prometheus.Dataquery().expr(expr).legend_format(legend or "__auto").ref_id(ref).datasource(DATASOURCE)
    made = made.editor_mode(prometheus_model.QueryEditorMode.CODE)
    if kind == "heatmap":
        return made.range().format(prometheus_model.PromQueryFormat.HEATMAP)
    made = made.format(prometheus_model.PromQueryFormat.TIME_SERIES)
    return made.instant() if kind == "instant" else made.range()


def queries(exprs, kind="range"):
    """`exprs`: one expression, or pairs (legend, expression)."""
    pairs = [("", exprs)] if isinstance(exprs, str) else exprs
    return [query(expr, legend, kind, chr(ord("A") + i)) for i, (legend, expr) in enumerate(pairs)]


# --- panels -----------------------------------------------------------------------------------------------------------

def _finish(panel, title, description, exprs, *, kind, unit, no_value, width, height, steps, decimals=None, links=()):
    assert title and description and unit and no_value, f"{title}: a panel says what it shows, in which unit, and when nothing"
    for target in queries(exprs, kind):
        panel.with_target(target)
    panel.title(title).description(description).datasource(DATASOURCE).unit(unit).no_value(no_value)
    panel.thresholds(dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(
        [model.Threshold(value=value, color=color) for value, color in steps]))
    if decimals is not None:
        panel.decimals(decimals)
    if links:
        panel.data_links([dashboard.DashboardLink(text).url(url).type(model.DashboardLinkType.LINK) for text, url in links])
    return panel.span(width).height(height)


def value_map(texts):
    """{value: (text, colour)}"""
    options = {str(value): model.ValueMappingResult(text=text, color=color, index=i)
               for i, (value, (text, color)) in enumerate(texts.items())}
    return [model.ValueMap(options=options)]


def stat_panel(title, description, expr, *, unit="short", no_value, steps=NEUTRAL, width=4, height=4, decimals=None,
               mappings=None, name_is_the_value=False, names=None, filled=False, sparkline=False):
    """`names`: {series: what is shown in its place}. `sparkline` asks for the range, everything else for the last value."""
    panel = stat.Panel()
    _finish(panel, title, description, expr, kind="range" if sparkline else "instant", unit=unit, no_value=no_value,
            width=width, height=height, steps=steps, decimals=decimals)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    panel.color_mode(common_model.BigValueColorMode.BACKGROUND_SOLID if filled else common_model.BigValueColorMode.VALUE)
    panel.graph_mode(common_model.BigValueGraphMode.AREA if sparkline else common_model.BigValueGraphMode.NONE)
    panel.text_mode(common_model.BigValueTextMode.NAME if name_is_the_value else common_model.BigValueTextMode.AUTO)
    panel.color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
    if mappings:
        panel.mappings(value_map(mappings))
    for series, shown in (names or {}).items():
        panel.override_by_name(series, [model.DynamicConfigValue(id_val="displayName", value=shown)])
    return panel


def graph(title, description, exprs, *, unit, no_value, width=12, height=8, steps=NEUTRAL, colors=None, stacked=False,
          area=False, threshold_line=False, decimals=None, soft_max=None, links=()):
    """Lines over time. `colors`: {legend: colour} where a colour has a meaning; all others are the palette's."""
    panel = timeseries.Panel()
    _finish(panel, title, description, exprs, kind="range", unit=unit, no_value=no_value, width=width, height=height,
            steps=steps, decimals=decimals, links=links)
    panel.min(0).line_width(2).show_points(common_model.VisibilityMode.NEVER)
    panel.fill_opacity(30 if stacked or area else 0)
    panel.color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    panel.legend(common.VizLegendOptions().show_legend(True).placement(common_model.LegendPlacement.BOTTOM)
                 .display_mode(common_model.LegendDisplayMode.LIST).calcs(["lastNotNull", "max"]))
    panel.tooltip(common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI)
                  .sort(common_model.SortOrder.DESCENDING))
    if stacked:
        panel.stacking(common.StackingConfig().group("A").mode(common_model.StackingMode.NORMAL))
    if threshold_line:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(common_model.GraphThresholdsStyleMode.DASHED))
    if soft_max is not None:
        panel.axis_soft_max(soft_max)
    for legend, color in (colors or {}).items():
        panel.override_by_name(legend, [model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": color})])
    return panel


def heat(title, description, histogram, *, unit="s", no_value=NO_TRAFFIC, width=12, height=8):
    panel = heatmap.Panel()
    _finish(panel, title, description, [("{{le}}", buckets(*histogram))], kind="heatmap", unit=unit, no_value=no_value,
            width=width, height=height, steps=NEUTRAL)
    panel.calculate(False).cell_gap(1).show_legend().hide_y_histogram().mode(common_model.TooltipDisplayMode.SINGLE)
    panel.color(heatmap.HeatmapColorOptions().mode(heatmap_model.HeatmapColorMode.SCHEME).scheme("Blues")
                .steps(32).scale(heatmap_model.HeatmapColorScale.EXPONENTIAL).exponent(0.5).reverse(False))
    panel.y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(common_model.AxisPlacement.LEFT))
    panel.rows_frame(heatmap.RowsHeatmapOptions().layout(common_model.HeatmapCellLayout.AUTO))
    return panel


def timeline(title, description, exprs, *, states, no_value, width=24, height=7, names=None):
    """One row for each series, in the colours of `states`: {value: (text, colour)}."""
    panel = statetimeline.Panel()
    _finish(panel, title, description, exprs, kind="range", unit="short", no_value=no_value, width=width, height=height,
            steps=[(None, "transparent")])
    panel.mappings(value_map(states)).merge_values(True).show_value(common_model.VisibilityMode.NEVER)
    panel.fill_opacity(90).line_width(0).row_height(0.8)
    panel.color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
    panel.legend(common.VizLegendOptions().show_legend(True).placement(common_model.LegendPlacement.BOTTOM)
                 .display_mode(common_model.LegendDisplayMode.LIST))
    panel.tooltip(common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.SINGLE))
    for series, shown in (names or {}).items():
        panel.override_by_name(series, [model.DynamicConfigValue(id_val="displayName", value=shown)])
    return panel


def bars(title, description, exprs, *, unit="short", no_value, steps=NEUTRAL, width=12, height=8):
    """One bar for each series, of its last value."""
    panel = bargauge.Panel()
    _finish(panel, title, description, exprs, kind="instant", unit=unit, no_value=no_value, width=width, height=height,
            steps=steps)
    panel.min(0).display_mode(common_model.BarGaugeDisplayMode.BASIC).show_unfilled(False)
    panel.orientation(common_model.VizOrientation.HORIZONTAL)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    panel.color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
    return panel


# --- the rest of a dashboard ------------------------------------------------------------------------------------------

def _variables():
    yield (dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
           .current(model.VariableOption(text="Prometheus", value="prometheus", selected=True)))
    everything = model.VariableOption(text=["All"], value=["$__all"], selected=True)
    for name, label, source, all_value in (
            ("job", "Job", "label_values(txstream_build_info, job)", None),
            ("instance", "Process", 'label_values(txstream_build_info{job=~"$job"}, instance)', ".*"),
            ("outbox", "Outbox", f"label_values({metric('build_info')}, outbox)".replace(',outbox=~"$outbox"', ""), ".*"),
            ("topic", "Topic", f"label_values({metric('events_published_total')}, topic)", ".*"),
            ("event_type", "Event type", f"label_values({metric('events_processed_total')}, event_type)", ".*")):
        made = (dashboard.QueryVariable(name).label(label).datasource(DATASOURCE)
                .query({"qryType": 1, "query": source, "refId": f"variable-{name}"})
                .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)
                .multi(True).include_all(True).current(everything))
        # Jobs are listed one by one even for "All": `up` exists for jobs that are not ours. Of the others, a series without
        # the label counts too.
        yield made.all_value(all_value) if all_value else made


class _Annotation(dashboard.AnnotationQuery):
    """The SDK's model has no fields for a Prometheus annotation's texts."""

    def __init__(self, **extra):
        super().__init__()
        self._extra = extra

    def build(self):
        built = super().build()
        plain = built.to_json
        built.to_json = lambda: {**plain(), **self._extra}
        return built


def _annotations():
    for name, color, expr, title, more in (
            ("Delivery blocked", RED, f"max by (reason) ({metric('delivery_blocked')}) == 1", "{{reason}}", {}),
            ("Circuit breaker open", ORANGE, f"max by (instance) ({metric('circuit_breaker_state')}) == 2",
             "circuit breaker open, {{instance}}", {}),
            ("Process started", GRAY, f"max by (job, instance) ({metric('process_start_time_seconds')}) * 1000",
             "{{job}} started, {{instance}}", {"useValueForTime": True}),
            ("Alert firing", PURPLE, 'max by (alertname) (ALERTS{alertname=~"TxStream.*",alertstate="firing",outbox=~"$outbox"})',
             "{{alertname}}", {})):
        # Moments at most a step apart become one span of time; the default, a minute, would join separate outages.
        made = _Annotation(titleFormat=title, textFormat="", tagKeys="", step="10s", **more)
        yield made.name(name).datasource(DATASOURCE).enable(True).icon_color(color).expr(expr)


def _links(own_uid):
    for uid, title in DASHBOARDS:
        if uid != own_uid:
            yield (dashboard.DashboardLink(f"TxStream {title}").type(model.DashboardLinkType.LINK).url(f"/d/{uid}")
                   .icon("dashboard").tooltip(f"To the dashboard TxStream {title}").tags([]).as_dropdown(False)
                   .target_blank(False).include_vars(True).keep_time(True))


def make_dashboard(uid, title, description, rows):
    """`rows`: pairs (title, panels)."""
    made = (dashboard.Dashboard(title).uid(uid).description(description).tags(["txstream"]).readonly().timezone("browser")
            .time("now-1h", "now").refresh("10s").tooltip(model.DashboardCursorSync.CROSSHAIR)
            .variables(list(_variables())).annotations(list(_annotations())).links(list(_links(uid))))
    number = 0
    for row_title, panels in rows:
        number += 1
        made.with_row(dashboard.Row(row_title).id(number))
        for panel in panels:
            number += 1
            made.with_panel(panel.id(number))
    return made.build()


def to_text(built):
    """The JSON of a file. `id` is what Grafana gives it; the SDK leaves it out instead of saying null."""
    plain = json.loads(json.dumps({"id": None, **built.to_json()}, cls=JSONEncoder))
    return json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
