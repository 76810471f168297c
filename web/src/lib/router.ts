// Paths by the History API. The URL is the state: filters, pages, tabs and the refresh rate are in its query.
import { computed, signal } from "@preact/signals";

import { basePath, withBase, withoutBase } from "./base";

export interface Place {
  /** Below the page's root, begins with a slash, still percent-encoded. */
  path: string;
  query: URLSearchParams;
  /** How many pages of a list were turned to get here: what "previous page" may go back. */
  turned: number;
}

function here(): Place {
  const path = withoutBase(window.location.pathname) ?? "/";
  const state: unknown = window.history.state;
  const turned = typeof state === "object" && state !== null && "turned" in state && typeof state.turned === "number" ? state.turned : 0;
  return { path, query: new URLSearchParams(window.location.search), turned };
}

export const place = signal<Place>(typeof window === "undefined" ? { path: "/", query: new URLSearchParams(), turned: 0 } : here());
export const path = computed(() => place.value.path);

export function start(): void {
  addEventListener("popstate", () => {
    place.value = here();
  });
}

export interface Navigation {
  replace?: boolean;
  /** Turns a page of the same list. */
  turns?: boolean;
}

/** `target` is a path of the page with its query: "/outbox?q=state%3Aparked". */
export function navigate(target: string, { replace = false, turns = false }: Navigation = {}): void {
  const before = place.peek();
  const state = { turned: turns ? before.turned + 1 : replace ? before.turned : 0 };
  const url = withBase(target);
  if (replace) history.replaceState(state, "", url);
  else history.pushState(state, "", url);
  const after = here();
  place.value = after;
  if (!replace && after.path !== before.path) window.scrollTo(0, 0);
}

/** What holds for the session and not for a page stays in the URL from page to page. */
export function carry(to: string): string {
  const refresh = place.value.query.get("refresh");
  if (refresh === null || /[?&]refresh=/.test(to)) return to;
  return `${to}${to.includes("?") ? "&" : "?"}refresh=${encodeURIComponent(refresh)}`;
}

export type QueryValue = string | number | boolean | null | undefined;

/** The current address with parts of its query changed; null or "" removes a part. */
export function withQuery(changes: Record<string, QueryValue>, from: Place = place.value): string {
  const query = new URLSearchParams(from.query);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "" || value === false) query.delete(name);
    else query.set(name, value === true ? "1" : String(value));
  }
  return from.path + queryText(query);
}

/** Readable: what may stand in a query stays as it is ("q=state:parked", not "q=state%3Aparked"). */
export function queryText(query: URLSearchParams): string {
  const text = query.toString().replace(/%(3A|2C|2F|40|7E|2A|21)/g, (_, code: string) => String.fromCharCode(parseInt(code, 16)));
  return text === "" ? "" : `?${text}`;
}

export function setQuery(changes: Record<string, QueryValue>, navigation: Navigation = {}): void {
  navigate(withQuery(changes, place.peek()), navigation);
}

export function param(name: string): string | null {
  return place.value.query.get(name);
}

/** Builds "/topics/a%2Fb" from `at("topics", "a/b")`. */
export function at(...segments: (string | number)[]): string {
  return `/${segments.map((segment) => encodeURIComponent(String(segment))).join("/")}`;
}

/** Matches "/topics/:topic/messages" and decodes its parts; null if it does not match. */
export function match(pattern: string, target: string): Record<string, string> | null {
  const wanted = pattern.split("/").filter(Boolean);
  const found = target.split("/").filter(Boolean);
  if (wanted.length !== found.length) return null;
  const parts: Record<string, string> = {};
  for (const [index, segment] of wanted.entries()) {
    const text = found[index] ?? "";
    if (segment.startsWith(":")) {
      try {
        parts[segment.slice(1)] = decodeURIComponent(text);
      } catch {
        return null;
      }
    } else if (segment !== text) {
      return null;
    }
  }
  return parts;
}

/** Takes over clicks on links of the page; those with modifiers, other targets and downloads stay the browser's. */
export function followLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || link.target !== "" || link.hasAttribute("download") || link.origin !== location.origin) return;
  const target = withoutBase(link.pathname);
  if (target === null || target.startsWith("/api/") || !link.pathname.startsWith(basePath)) return;
  if (link.hash !== "" && link.pathname === location.pathname && link.search === location.search) return;
  event.preventDefault();
  navigate(target + link.search, { turns: link.dataset["turns"] === "1" });
}
