#!/usr/bin/python3
"""Draws the dashboards of deploy/grafana from a live Prometheus, for machines without Grafana (make dashboards-preview).

    preview.py --prometheus URL --out DIR [--from UNIX] [--to UNIX] [--dashboards DIR]

Without --from and --to: the last 15 minutes. For each dashboard NAME it writes NAME.html (one file, light and dark), NAME.png and
NAME-dark.png, and NAME-summary.png, its first row. Ends with 1 when Prometheus does not answer, or refuses a query: then it says
which.
"""
import argparse
import pathlib
import sys
import time

import own_python  # noqa: F401  first: it starts this program again, with the Python that has the packages

import page_html  # noqa: E402
import page_png  # noqa: E402
import prometheus as source  # noqa: E402
import theme  # noqa: E402
import view as views  # noqa: E402

DEFAULT_SECONDS = 900


def main():
    options = parse()
    end = options.to or time.time()
    start = options.start or end - DEFAULT_SECONDS
    if not start < end:
        sys.exit(f"preview.py: --from ({start:.0f}) must lie before --to ({end:.0f})")
    server = source.Prometheus(options.prometheus)
    dashboards = source.load(options.dashboards)
    if not dashboards:
        sys.exit(f"preview.py: there is no dashboard in {options.dashboards}; make dashboards writes them")
    failed = []
    try:
        texts = views.reason_texts(dashboards)
        drawn = [views.fetch(server, dashboard, start, end, texts) for dashboard in dashboards]
    except source.Unreachable as error:
        sys.exit(f"preview.py: {error}. Nothing was drawn. Is it started (make start-all), and is --prometheus its address?")
    options.out.mkdir(parents=True, exist_ok=True)
    for view in drawn:
        name = options.out / view.dashboard["uid"]
        page_html.write(view, [one.dashboard for one in drawn], name.with_suffix(".html"))
        page_png.write(view, theme.LIGHT, name.with_suffix(".png"), f"{name}-summary.png")
        page_png.write(view, theme.DARK, f"{name}-dark.png")
        print(name.with_suffix(".html"))
        failed += [f"{view.dashboard['title']}, {error}" for error in view.errors()]
    for one in failed:
        print(f"preview.py: {one}", file=sys.stderr)
    sys.exit(bool(failed))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prometheus", required=True, metavar="URL")
    parser.add_argument("--from", dest="start", type=float, metavar="UNIX")
    parser.add_argument("--to", type=float, metavar="UNIX")
    parser.add_argument("--out", required=True, type=pathlib.Path, metavar="DIR")
    parser.add_argument("--dashboards", type=pathlib.Path, default=source.HOME, metavar="DIR")
    return parser.parse_args()


main()
