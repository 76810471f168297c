// What a reader chose, remembered by his browser. What belongs to a link (filters, pages, refresh) is in the URL instead.
import { effect, signal, type Signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";
export type Language = "en" | "pt-BR";
export type TimeZone = "local" | "utc" | "relative";

function read(name: string): string | null {
  try {
    return localStorage.getItem(`txs.${name}`);
  } catch {
    return null; // Storage can be switched off; the settings then live as long as the page.
  }
}

export function write(name: string, value: string): void {
  try {
    localStorage.setItem(`txs.${name}`, value);
  } catch {
    // As above.
  }
}

function stored<T extends string>(name: string, values: readonly T[], fallback: T): Signal<T> {
  const found = typeof localStorage === "undefined" ? null : read(name);
  const setting = signal<T>(values.find((value) => value === found) ?? fallback);
  let first = true;
  effect(() => {
    const value = setting.value;
    if (!first) write(name, value);
    first = false;
  });
  return setting;
}

const browserLanguage = typeof document !== "undefined" && document.documentElement.lang === "pt-BR" ? "pt-BR" : "en";

export const theme = stored<Theme>("theme", ["auto", "light", "dark"], "auto");
export const language = stored<Language>("language", ["en", "pt-BR"], browserLanguage);
export const timeZone = stored<TimeZone>("time_zone", ["local", "utc", "relative"], "local");
export const shortcuts = stored<"on" | "off">("shortcuts", ["on", "off"], "on");

if (typeof document !== "undefined") {
  effect(() => {
    void theme.value;
    dispatchEvent(new Event("txs-theme"));
  });
  effect(() => {
    document.documentElement.lang = language.value;
  });
}

/** For what is remembered per table or topic. */
export function remembered(name: string): string | null {
  return read(name);
}
