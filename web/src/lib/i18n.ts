// Every word of the page, from one JSON for each language. They are data, fetched once; English is complete, and a test
// compares the others with it.
import { signal } from "@preact/signals";

import type english from "../i18n/en.json";
import englishUrl from "../i18n/en.json?url";
import portugueseUrl from "../i18n/pt-BR.json?url";
import { language, type Language } from "./settings";

export type Key = keyof typeof english;
export type Params = Record<string, string | number>;

const table = signal<Readonly<Record<string, string>>>({});
const urls: Record<Language, string> = { en: englishUrl, "pt-BR": portugueseUrl };

export async function loadLanguage(which: Language): Promise<void> {
  const response = await fetch(urls[which]);
  if (!response.ok) throw new Error(`${urls[which]}: ${response.status}`);
  setMessages((await response.json()) as Record<string, string>);
}

export function setMessages(messages: Readonly<Record<string, string>>): void {
  table.value = messages;
}

function fill(text: string, params: Params): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (params[name] === undefined ? whole : String(params[name])));
}

export function t(key: Key, params: Params = {}): string {
  return fill(table.value[key] ?? key, params);
}

type Stem<K extends string> = K extends `${infer S}_other` ? S : never;

/** A text with a number in it: the table has `key_one` and `key_other`. `shown` is the number as it is written. */
export function tn(key: Stem<Key>, count: number, params: Params = {}): string {
  const form = new Intl.PluralRules(language.value).select(count) === "one" ? "one" : "other";
  return t(`${key}_${form}` as Key, { n: count, ...params });
}

/**
 * The page's own words for what a server says by code and parameters; null when it has none, or the parameters do not fill them. A part
 * in double brackets, "[[ since {ago}]]", is left out when its parameters are missing.
 */
export function sentence(group: string, code: string, params: Params): string | null {
  const text = table.value[`${group}.${code}`];
  if (text === undefined) return null;
  const filled = text.replace(/\[\[(.*?)\]\]/gs, (_, part: string) => {
    const inner = fill(part, params);
    return /\{\w+\}/.test(inner) ? "" : inner;
  });
  const whole = fill(filled, params);
  return /\{\w+\}/.test(whole) ? null : whole;
}
