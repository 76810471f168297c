// Numbers, durations, sizes, times and money as the page writes them. 64-bit integers and money stay strings of digits.
import { language, timeZone } from "./settings";
import { now } from "./clock";
import { t } from "./i18n";

const THIN = "\u2009";
const NBSP = "\u00a0";

const decimalMark = () => (language.value === "pt-BR" ? "," : ".");

function group(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+$)/g, THIN);
}

/** 1204 → "1 204"; at most `places` places, none at the end that are zero. */
export function num(value: number | string, places = 0): string {
  const text = typeof value === "number" ? value.toFixed(places).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "") : value;
  const [, sign = "", whole = "", rest = ""] = /^([-+]?)(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  if (whole === "") return text;
  return (sign === "-" ? "\u2212" : "") + group(whole) + (rest === "" ? "" : decimalMark() + rest);
}

export interface Counted {
  value: string;
  exact: boolean;
}

/** "10 000+" for a count that was capped. */
export function count(value: Counted | null | undefined): string {
  return value ? num(value.value) + (value.exact ? "" : "+") : "–";
}

/** 850 ms, 12 s, 3 min 20 s, 2 h, 5 d 3 h. Never negative: clocks of two machines may differ. */
export function duration(ms: number): string {
  const value = Math.max(0, ms);
  if (value < 1) return `0${NBSP}ms`;
  if (value < 999.5) return `${num(value, value < 10 ? 1 : 0)}${NBSP}ms`;
  const seconds = value / 1000;
  if (seconds < 9.95) return `${num(seconds, 1)}${NBSP}s`;
  if (seconds < 59.5) return `${Math.round(seconds)}${NBSP}s`;
  return pair(Math.round(seconds), [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]);
}

function pair(seconds: number, units: [number, string][]): string {
  const first = units.findIndex(([size]) => seconds >= size);
  const [size, name] = units[first] ?? [1, "s"];
  const next = units[first + 1];
  const whole = Math.floor(seconds / size);
  const rest = next && whole < 100 ? Math.floor((seconds % size) / next[0]) : 0;
  return `${whole}${NBSP}${name}${next && rest > 0 ? ` ${rest}${NBSP}${next[1]}` : ""}`;
}

/** 512 B, 1.5 KiB, 2.1 MiB. */
export function size(bytes: number | string): string {
  let value = Number(bytes);
  if (value < 1024) return `${num(value)}${NBSP}B`;
  const units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = "";
  for (const name of units) {
    value /= 1024;
    unit = name;
    if (value < 1023.95) break;
  }
  return `${num(value, value < 100 ? 1 : 0)}${NBSP}${unit}`;
}

export function rate(perSecond: number): string {
  return `${num(perSecond, perSecond < 10 ? 1 : 0)}/s`;
}

/** Exact: the server's decimal text with its places, never through binary floating point. */
export function money(amount: string, currency: string): string {
  return `${num(amount)}${NBSP}${currency}`;
}

const pad = (value: number, places = 2) => String(value).padStart(places, "0");

/** "14:02:11.123", with the date when it is another day; "Z" in UTC; "3 min ago" when relative. */
export function time(iso: string, precise = false): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  if (timeZone.value === "relative") return ago(iso);
  const utc = timeZone.value === "utc";
  const reference = new Date(now.value);
  const part = (of: Date) => (utc ? [of.getUTCFullYear(), of.getUTCMonth() + 1, of.getUTCDate()] : [of.getFullYear(), of.getMonth() + 1, of.getDate()]);
  const day = part(at).map((value) => pad(value)).join("-");
  const today = part(reference).map((value) => pad(value)).join("-");
  const clock = utc
    ? `${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}:${pad(at.getUTCSeconds())}`
    : `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  const fraction = precise ? `.${(/\.(\d{1,6})/.exec(iso)?.[1] ?? "").padEnd(3, "0").slice(0, 3)}` : "";
  return `${day === today ? "" : `${day} `}${clock}${fraction}${utc ? "Z" : ""}`;
}

export function ago(iso: string): string {
  const ms = now.value - Date.parse(iso);
  if (ms < -1500) return t("time.ahead", { duration: duration(-ms) });
  return ms < 1000 ? t("time.now") : t("time.ago", { duration: shortDuration(ms) });
}

/** One unit is enough for an age beyond minutes: "3 h", "12 d". */
export function shortDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds}${NBSP}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}${NBSP}min`;
  if (seconds < 86400 * 2) return `${Math.floor(seconds / 3600)}${NBSP}h`;
  return `${num(Math.floor(seconds / 86400))}${NBSP}d`;
}

/** "UTC", "UTC−3", "UTC+5:30": the zone that times are shown in. */
export function zoneName(): string {
  if (timeZone.value === "utc") return "UTC";
  const minutes = -new Date(now.value).getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const whole = Math.floor(Math.abs(minutes) / 60);
  const rest = Math.abs(minutes) % 60;
  return `UTC${minutes < 0 ? "\u2212" : "+"}${whole}${rest ? `:${pad(rest)}` : ""}`;
}

/** For the title of a time: the server's text, and the same moment in the reader's zone. */
export function fullTime(iso: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  const offset = -at.getTimezoneOffset();
  if (offset === 0) return iso;
  const sign = offset < 0 ? "-" : "+";
  const zone = `${sign}${pad(Math.floor(Math.abs(offset) / 60))}:${pad(Math.abs(offset) % 60)}`;
  const local = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}T${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}${zone}`;
  return `${iso}\n${local}`;
}
