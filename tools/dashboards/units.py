"""Numbers as a reader wants them, for those of Grafana's units that our dashboards use."""
import math

_TIMES = [(1e-6, "ns", 1e-9), (1e-3, "µs", 1e-6), (1, "ms", 1e-3), (120, "s", 1), (7200, "min", 60), (172800, "h", 3600),
          (math.inf, "d", 86400)]
_BYTES = ["B", "KiB", "MiB", "GiB", "TiB"]
_PER = {"cps": "/s", "reqps": "/s", "ops": "/s", "cpm": "/min"}


def text(value, unit, decimals=None):
    if value is None or math.isnan(value):
        return "–"
    if unit == "percentunit":
        return _number(value * 100, 1 if decimals is None else decimals) + " %"
    if unit == "s":
        if value == 0:
            return "0 s"
        for below, name, size in _TIMES:
            if abs(value) < below:
                return f"{_number(value / size, decimals)} {name}"
    if unit == "bytes":
        step = 0
        while abs(value) >= 1024 and step < len(_BYTES) - 1:
            value, step = value / 1024, step + 1
        return f"{_number(value, decimals)} {_BYTES[step]}"
    return _short(value, decimals) + _PER.get(unit, "")


def _short(value, decimals):
    for size, name in ((1e9, " G"), (1e6, " M"), (1e5, " k")):
        if abs(value) >= size:
            return _number(value / (1e3 if name == " k" else size), decimals) + name
    return _number(value, decimals)


def _number(value, decimals=None):
    if decimals is None:
        # Three digits that count; a whole number stands as it is.
        if value == round(value):
            decimals = 0
        else:
            decimals = max(0, min(3, 2 - math.floor(math.log10(abs(value)))))
    shown = f"{value:,.{decimals}f}".replace(",", "\u2009")
    if "." in shown:
        shown = shown.rstrip("0").rstrip(".")
    return "0" if shown == "-0" else shown


def ticks(highest, unit):
    """Places on an axis from 0 to at least `highest`, three to five of them."""
    if not highest > 0 or math.isinf(highest):
        highest = 1.0
    base = 1.0
    if unit == "s":
        base = next((size for below, _, size in _TIMES if highest < below), 1.0)
    elif unit == "bytes":
        base = 1024.0 ** max(0, math.floor(math.log(highest, 1024)))
    scaled = highest / base
    power = 10 ** math.floor(math.log10(scaled))
    for step in (0.2, 0.25, 0.5, 1, 2, 2.5, 5, 10):
        if scaled / (step * power) <= 4:
            break
    step *= power * base
    return [i * step for i in range(math.ceil(highest / step - 1e-9) + 1)]
