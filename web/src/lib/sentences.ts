// What the server says of causes, incidents and steps. Its texts are English and complete; in another language the page has words of
// its own for each code, and falls back to the server's where a parameter or a code is missing.
import type { Cause } from "../api/types";
import { now } from "./clock";
import { duration, num, shortDuration } from "./format";
import { sentence, type Params } from "./i18n";
import { language } from "./settings";

interface Told {
  code: string;
  text: string;
  params?: Record<string, string>;
  since?: string | null;
}

/** Numbers as the page writes them; names as they are. */
function shown(params: Record<string, string>): Params {
  return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, /^\d{5,}$/.test(value) ? num(value) : value]));
}

export function told(group: string, { code, text, params = {}, since }: Told): string {
  if (language.value === "en") return text;
  const all: Params = shown(params);
  if (since) all["ago"] = shortDuration(now.value - Date.parse(since));
  if (params["next_probe_at"]) all["next_probe"] = duration(Date.parse(params["next_probe_at"]) - now.value);
  return sentence(group, code, all) ?? text;
}

/** What is wrong, and what that means: the first sentence, and the rest of it. */
export function halves(text: string): [string, string] {
  const found = /^(.+?[.!?])\s+(?=[\p{Lu}\d"`])(.+)$/su.exec(text);
  return found ? [found[1] ?? text, found[2] ?? ""] : [text, ""];
}

export function causeText(cause: Cause): string {
  return told("cause", cause);
}
