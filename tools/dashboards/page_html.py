"""A dashboard as one file of HTML: text is text, graphs are drawings that take the page's colours, so it is light and dark at once."""
import html
import io

import charts
import page_png
import theme
import units
import view as views
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib import rc_context

COLUMN = 57  # pixels of one of the grid's 24 columns, on a screen where the page has its full width
UNIT = 38

STYLE = """
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1440px;margin:0 auto;padding:24px 28px 48px}
header{display:flex;flex-wrap:wrap;align-items:baseline;gap:6px 18px}
h1{font-size:26px;margin:0}h2{font-size:17px;margin:26px 0 10px}h3{font-size:14px;margin:0}
header p{margin:0;color:var(--muted)}header .when{margin-left:auto;font-variant-numeric:tabular-nums}
nav{margin:10px 0 0;display:flex;flex-wrap:wrap;gap:16px;align-items:center}
nav a{color:var(--blue)}nav b{font-weight:600}
button{font:inherit;color:var(--ink);background:var(--card);border:1px solid var(--edge);border-radius:6px;padding:4px 10px;cursor:pointer}
nav button{margin-left:auto}
a:focus-visible,button:focus-visible,summary:focus-visible{outline:2px solid var(--blue);outline-offset:2px}
.headline{margin-top:14px;background:var(--card);border:1px solid var(--edge);border-left:6px solid;border-radius:6px;padding:12px 18px}
.headline strong{display:block;font-size:20px;line-height:1.3}
.key{display:flex;flex-wrap:wrap;gap:6px 22px;margin:12px 0 0;padding:0;list-style:none;color:var(--muted);font-size:12px}
.key i{display:inline-block;width:16px;margin-right:8px;vertical-align:middle}
.grid{display:grid;grid-template-columns:repeat(24,minmax(0,1fr));gap:10px}
.panel{background:var(--card);border:1px solid var(--edge);border-radius:6px;padding:10px 14px;display:flex;flex-direction:column;min-width:0}
.panel h3{display:flex;justify-content:space-between;gap:8px}
details{font-weight:400}summary{list-style:none;cursor:pointer;color:var(--muted);border:1px solid;border-radius:50%;
width:17px;height:17px;font-size:11px;line-height:15px;text-align:center;opacity:.75}summary::-webkit-details-marker{display:none}
details p{position:absolute;z-index:2;max-width:340px;margin:4px 0 0;transform:translateX(calc(-100% + 14px));padding:10px 12px;
background:var(--card);border:1px solid var(--edge);border-radius:6px;box-shadow:0 4px 16px rgb(0 0 0/.18);color:var(--ink)}
.panel svg{width:100%;height:auto;display:block;flex:1;font-family:inherit}
.tile{min-height:132px}.tile h3{font-weight:400;font-size:13px}.tile output{margin:auto;font-size:34px;font-weight:700;text-align:center;
line-height:1.15;font-variant-numeric:tabular-nums}.tile output.long{font-size:22px}
.solid{border:0;color:var(--on-color)}.solid summary{color:inherit;opacity:.85}
.nothing{margin:auto;color:var(--muted);text-align:center;min-height:90px;display:flex;align-items:center;overflow-wrap:anywhere}
.tile .nothing{min-height:0}.solid .nothing{color:inherit}.nothing.error{color:var(--red)}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;margin:4px 0 0;padding:0;list-style:none;color:var(--muted);font-size:12px;
font-variant-numeric:tabular-nums}
.legend i{display:inline-block;width:12px;height:5px;margin-right:6px;vertical-align:middle}
.bars{display:grid;grid-template-columns:minmax(0,max-content) minmax(40px,1fr) max-content;gap:6px 12px;margin:12px 0 0;align-items:center}
.bars dt{overflow-wrap:anywhere}.bars dd{margin:0;display:contents}.bars i{height:14px;display:block}
@media(max-width:900px){.grid{grid-template-columns:1fr 1fr}.panel{grid-column:span 2!important}.tile{grid-column:span 1!important;
min-height:104px}.tile:first-child{grid-column:span 2!important}main{padding:16px}header .when{margin-left:0}}
@media print{nav button{display:none}}
"""
SCRIPT = """
document.querySelector("nav button").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme:dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
"""


def write(view, dashboards, path):
    parts, first_graph, is_open = [], True, False
    for json in view.dashboard["panels"]:
        if json["type"] == "row":
            parts.append(("</div>" if is_open else "") + f"<h2>{_text(json['title'])}</h2><div class=grid>")
            is_open = True
            continue
        panel = view.panels[json["id"]]
        parts.append(_panel(panel, view, first_graph))
        if panel.kind == "timeseries" and panel.series:
            first_graph = False
    title = view.dashboard["title"]
    path.write_text(f"""<!DOCTYPE html>
<html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width,initial-scale=1">
<title>{_text(title)}</title>
<style>{theme.stylesheet()}{STYLE}</style>
<main>
<header><h1>{_text(title)}</h1><p>{_text(view.dashboard['description'])}</p><p class=when>{page_png.time_range(view)}</p></header>
<nav>{_navigation(view, dashboards)}<button type=button>Light or dark</button></nav>
{_headline(view)}{_key(view)}
{"".join(parts)}{"</div>" if is_open else ""}
</main>
<script>{SCRIPT}</script>
</html>
""")


def _text(text):
    return html.escape(str(text))


def _navigation(view, dashboards):
    return "".join(
        f"<b>{_text(one['title'])}</b>" if one["uid"] == view.dashboard["uid"] else f"<a href=\"{one['uid']}.html\">{_text(one['title'])}</a>"
        for one in dashboards)


def _headline(view):
    said = views.headline(view)
    if not said:
        return ""
    color, first, second = said
    return f"<div class=headline style='border-left-color:var(--{color})'><strong>{_text(first)}</strong>{_text(second)}</div>"


def _key(view):
    items = []
    for annotation in view.dashboard["annotations"]["list"]:
        texts = sorted({mark.text for mark in view.marks if mark.name == annotation["name"]})
        if not texts:
            continue
        look = {views.BLOCKED: "height:12px;background:var(--red);opacity:.22"}.get(
            annotation["name"], f"height:4px;background:var(--{annotation['iconColor']})")
        if annotation.get("useValueForTime"):
            look = "width:0;height:14px;border-left:2px dotted var(--gray)"
        names = ": " + ", ".join(texts) if annotation["name"] == "Alert firing" else ""
        items.append(f"<li><i style='{look}'></i>{_text(annotation['name'].lower() + names)}</li>")
    return f"<ul class=key>{''.join(items)}</ul>" if items else ""


def _panel(panel, view, is_first):
    place = panel.json["gridPos"]
    style = f"grid-column:span {place['w']}"
    help_text = f"<details><summary aria-label='What this shows'>?</summary><p>{_text(panel.json['description'])}</p></details>"
    heading = f"<h3><span>{_text(panel.title)}</span>{help_text}</h3>"
    if panel.kind == "stat":
        return _tile(panel, style, heading)
    if panel.error:
        body = f"<div class='nothing error'>{_text(panel.error)}</div>"
    elif not panel.series:
        body = f"<div class=nothing>{_text(panel.defaults['noValue'])}</div>"
    elif panel.kind == "bargauge":
        body = _bars(panel)
    else:
        body = _drawing(panel, view, place, is_first) + _legend(panel)
    return f"<section class=panel style='{style}'>{heading}{body}</section>\n"


def _tile(panel, style, heading):
    value, color = page_png.tile(panel)
    is_solid = panel.json["options"]["colorMode"] == "background_solid" and not panel.error
    if panel.error or not panel.series:
        role = "error" if panel.error else ""
        ground = f";background:var(--solid-{color})" if is_solid else ""
        return (f"<section class='panel tile{' solid' if is_solid else ''}' style='{style}{ground}'>{heading}"
                f"<div class='nothing {role}'>{_text(panel.error or value)}</div></section>\n")
    look = f"background:var(--solid-{color})" if is_solid else ""
    ink = "" if is_solid or color == "blue" else f" style='color:var(--{'muted' if color == 'gray' else color})'"
    size = " class=long" if len(value) > 14 else ""
    return (f"<section class='panel tile{' solid' if is_solid else ''}' style='{style};{look}'>{heading}"
            f"<output{size}{ink}>{_text(value)}</output></section>\n")


def _bars(panel):
    highest = max(one.last for one in panel.series) or 1
    rows = "".join(
        f"<dt>{_text(panel.shown_name(one.name))}</dt><dd><i style='width:{max(1, 100 * one.last / highest):.1f}%;"
        f"background:var(--{panel.threshold_color(one.last)})'></i><b>{_text(units.text(one.last, panel.unit))}</b></dd>"
        for one in sorted(panel.series, key=lambda one: -one.last)[:20])
    return f"<dl class=bars>{rows}</dl>"


def _legend(panel):
    entries, left_out = charts.legend(panel)
    items = "".join(f"<li><i style='background:var(--{color})'></i>{_text(name)} {_text(last)}</li>" for name, color, last in entries)
    more = f"<li>and {left_out} more</li>" if left_out else ""
    return f"<ul class=legend>{items}{more}</ul>" if items else ""


def _drawing(panel, view, place, is_first):
    width, height = place["w"] * COLUMN - 28, place["h"] * UNIT - 80
    # Text stays text; names inside the drawing come from its content, so that two pages of the same data are equal.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": f"{view.dashboard['uid']}-{panel.json['id']}", "font.family": "sans-serif"}):
        figure = Figure(figsize=(width / 100, height / 100), dpi=100)
        figure.patch.set_alpha(0)
        left = page_png.left_margin(panel) - 10
        axes = figure.add_axes((left / width, 26 / height, 1 - (left + 8) / width, 1 - 34 / height))
        charts.draw(axes, panel, view, theme.BOTH, is_first)
        text = io.StringIO()
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawn = text.getvalue()
    drawn = theme.with_roles(drawn[drawn.index("<svg"):])
    return drawn.replace("<svg", f"<svg role=img aria-label=\"{_text(panel.title)}\"", 1)
