// A time series by uPlot, in the page's colours. What it shows is also in its legend, as text.
import { signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import "uplot/dist/uPlot.min.css";
import type UPlot from "uplot";

import { time } from "../lib/format";
import { t } from "../lib/i18n";
import { timeZone } from "../lib/settings";

export interface Line {
  label: string;
  values: (number | null)[];
  /** 1 … 6 of the sequence of colours. */
  color: number;
}

interface ChartProps {
  title: string;
  /** Unix seconds. */
  at: number[];
  lines: Line[];
  format: (value: number) => string;
  /** Moments to mark with a line. */
  marks?: { at: number; text: string }[];
  height?: number;
  /** Seconds that are shown, to the last point; all that there are when absent. */
  span?: number;
}

const library = signal<typeof UPlot | null>(null);
let isAsked = false;
function loadLibrary(): void {
  if (isAsked) return;
  isAsked = true;
  import("uplot").then(
    (module) => (library.value = module.default),
    () => (isAsked = false),
  );
}

const themeChanges = signal(0);
if (typeof MutationObserver !== "undefined") {
  new MutationObserver(() => (themeChanges.value += 1)).observe(document.documentElement, { attributeFilter: ["data-theme"] });
}

/** Steps of the vertical axis: nothing here is worth a tick at half an event. */
const WHOLE = Array.from({ length: 13 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();

const color = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function markLines(marks: { at: number }[]): UPlot.Plugin {
  return {
    hooks: {
      draw: (plot) => {
        plot.ctx.save();
        plot.ctx.strokeStyle = color("--quiet");
        plot.ctx.setLineDash([3, 3]);
        for (const mark of marks) {
          const x = Math.round(plot.valToPos(mark.at, "x", true));
          plot.ctx.beginPath();
          plot.ctx.moveTo(x, plot.bbox.top);
          plot.ctx.lineTo(x, plot.bbox.top + plot.bbox.height);
          plot.ctx.stroke();
        }
        plot.ctx.restore();
      },
    },
  };
}

export function Chart({ title, at, lines, format, marks = [], height = 140, span }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  const hovered = useSignal<number | null>(null);
  const Library = library.value;
  const data = [at, ...lines.map((line) => line.values)] as UPlot.AlignedData;
  const zone = timeZone.value === "utc";
  useEffect(loadLibrary, []);
  useEffect(() => {
    const host = place.current;
    if (!host || !Library) return undefined;
    const axis: UPlot.Axis = {
      stroke: color("--quiet"),
      font: "11px system-ui, sans-serif",
      grid: { stroke: color("--line"), width: 1 },
      ticks: { stroke: color("--line"), width: 1, size: 4 },
    };
    plot.current = new Library(
      {
        width: host.clientWidth,
        height,
        legend: { show: false },
        cursor: { sync: { key: "txs" }, points: { size: 5 }, drag: { x: false, y: false } },
        ...(zone ? { tzDate: (seconds: number) => Library.tzDate(new Date(seconds * 1000), "Etc/UTC") } : {}),
        scales: { ...(span === undefined ? {} : { x: { range: (_plot: UPlot, _min: number, max: number): [number, number] => [max - span, max] } }), y: { range: (_plot, _min, max) => [0, Math.max(5, max * 1.1)] } },
        axes: [
          { ...axis, size: 26, values: [[3600, "{HH}:{mm}", null, null, null, null, null, null, 1], [60, "{HH}:{mm}", null, null, null, null, null, null, 1], [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1]] },
          { ...axis, size: 62, space: 28, incrs: WHOLE, values: (_plot, ticks) => ticks.map(format) },
        ],
        series: [{}, ...lines.map((line) => ({ label: line.label, stroke: color(`--series-${line.color}`), width: 1.5, points: { show: false } }))],
        hooks: { setCursor: [(which) => (hovered.value = which.cursor.idx ?? null)] },
        plugins: [markLines(marks)],
      },
      data,
      host,
    );
    const observer = new ResizeObserver(() => plot.current?.setSize({ width: host.clientWidth, height }));
    observer.observe(host);
    return () => {
      observer.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [Library, themeChanges.value, zone, lines.length, height, span]);
  useEffect(() => {
    if (plot.current && plot.current.data[0] !== at) plot.current.setData(data);
  }, [at, lines]);
  const index = hovered.value;
  const shown = (line: Line) => {
    const value = line.values[index ?? line.values.length - 1];
    return value === null || value === undefined ? "–" : format(value);
  };
  const moment = index === null ? undefined : at[index];
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{title}</span>
        {lines.map((line) => (
          <span key={line.label} class="legend">
            <svg class={`key series-${line.color}`} viewBox="0 0 12 4" width="12" height="4" aria-hidden="true">
              <path d="M0 2h12" />
            </svg>
            {line.label} <b>{shown(line)}</b>
          </span>
        ))}
        <span class="quiet chart-time">{moment === undefined ? "" : time(new Date(moment * 1000).toISOString())}</span>
      </figcaption>
      <div ref={place} class="plot" aria-hidden="true" />
      {marks.length > 0 && <p class="off-screen">{marks.map((mark) => t("chart.mark", { at: time(new Date(mark.at * 1000).toISOString()), what: mark.text })).join(". ")}</p>}
    </figure>
  );
}
