// What is on every page: navigation, the top bar, banners, dialogs.
import { computed, effect, signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

import { cycleRate, isHidden, rate, RATES, refreshNow, setRate } from "../api/refresh";
import { useQuery } from "../api/query";
import { session } from "../api/session";
import { isTokenWanted } from "../api/client";
import type { Overview } from "../api/types";
import { count, zoneName } from "../lib/format";
import { t, type Key } from "../lib/i18n";
import { bindKeys } from "../lib/keyboard";
import { carry, navigate, place } from "../lib/router";
import { language, shortcuts, theme, timeZone } from "../lib/settings";
import { copyText } from "../lib/clipboard";
import { Banners } from "./banners";
import { Icon, type IconName } from "./icons";
import { Link } from "./link";
import { Choice, Menu } from "./menu";
import { ShortcutSheet } from "./shortcut_sheet";
import { Status, severityTone } from "./status";
import { say, Toasts } from "./toasts";
import { TokenPrompt } from "./token_prompt";

interface Entry {
  to: string;
  word: Key;
  icon: IconName;
  key: string;
}

const entries: Entry[] = [
  { to: "/", word: "nav.overview", icon: "overview", key: "g o" },
  { to: "/outbox", word: "nav.outbox", icon: "outbox", key: "g x" },
  { to: "/dead-letters", word: "nav.dead_letters", icon: "dead", key: "g d" },
  { to: "/jobs", word: "nav.jobs", icon: "jobs", key: "g j" },
  { to: "/orders", word: "nav.orders", icon: "orders", key: "g r" },
  { to: "/topics", word: "nav.topics", icon: "topics", key: "g t" },
  { to: "/messages", word: "nav.messages", icon: "messages", key: "g m" },
  { to: "/brokers", word: "nav.brokers", icon: "brokers", key: "g b" },
  { to: "/groups", word: "nav.groups", icon: "groups", key: "g c" },
  { to: "/relays", word: "nav.relays", icon: "relays", key: "g w" },
  { to: "/audit", word: "nav.audit", icon: "audit", key: "g a" },
];

const isSheetShown = signal(false);
const isNavShown = signal(false);
effect(() => {
  void place.value.path;
  isNavShown.value = false;
});

const hasOrders = computed(() => session.value?.features.orders !== false);

function Navigation({ current, parked }: { current: Key | undefined; parked: string | null }) {
  return (
    <nav class={`nav${isNavShown.value ? " is-shown" : ""}`} id="navigation" aria-label={t("nav.label")}>
      <Link to="/" class="brand">
        TxStream
      </Link>
      <ul>
        {entries
          .filter((entry) => hasOrders.value || entry.word !== "nav.orders")
          .map((entry) => (
            <li key={entry.to}>
              <Link to={entry.to} current={entry.word === current ? "page" : undefined}>
                <Icon name={entry.icon} />
                <span>{t(entry.word)}</span>
                {entry.word === "nav.dead_letters" && parked !== null && (
                  <span class="badge" title={t("nav.parked_hint")}>
                    {parked}
                  </span>
                )}
              </Link>
            </li>
          ))}
      </ul>
      {session.value && (
        <p class="version" title={session.value.revision}>
          {session.value.version}
        </p>
      )}
    </nav>
  );
}

function RefreshControl() {
  const current = rate.value;
  const text = current === 0 ? t("refresh.off") : `${current}\u00a0s`;
  return (
    <div class="refresh">
      <button type="button" class="button bare" onClick={refreshNow} title={t("refresh.now")} aria-label={t("refresh.now")}>
        <Icon name="refresh" />
      </button>
      <Menu label={t("refresh.label")} text={isHidden.value && current > 0 ? t("refresh.paused") : text}>
        <Choice
          legend={t("refresh.label")}
          value={current}
          options={RATES.map((value) => ({ value, text: value === 0 ? t("refresh.off") : `${value} s` }))}
          onChange={setRate}
        />
      </Menu>
    </div>
  );
}

function Settings() {
  const icon = theme.value === "light" ? "sun" : theme.value === "dark" ? "moon" : "auto";
  return (
    <>
      <Menu label={t("settings.time")} text={timeZone.value === "relative" ? t("settings.time_relative") : zoneName()}>
        <Choice
          legend={t("settings.time")}
          value={timeZone.value}
          options={[
            { value: "local", text: t("settings.time_local") },
            { value: "utc", text: "UTC" },
            { value: "relative", text: t("settings.time_relative_hint") },
          ]}
          onChange={(value) => (timeZone.value = value)}
        />
      </Menu>
      <Menu label={t("settings.label")} icon={icon}>
        <Choice
          legend={t("settings.theme")}
          value={theme.value}
          options={[
            { value: "auto", text: t("settings.theme_auto") },
            { value: "light", text: t("settings.theme_light") },
            { value: "dark", text: t("settings.theme_dark") },
          ]}
          onChange={(value) => (theme.value = value)}
        />
        <Choice
          legend={t("settings.language")}
          value={language.value}
          options={[
            { value: "en", text: "English" },
            { value: "pt-BR", text: "Português (Brasil)" },
          ]}
          onChange={(value) => (language.value = value)}
        />
        <label class="menu-item">
          <input type="checkbox" checked={shortcuts.value === "on"} onChange={() => (shortcuts.value = shortcuts.value === "on" ? "off" : "on")} />
          {t("settings.shortcuts")}
        </label>
      </Menu>
      <button type="button" class="button bare" onClick={() => (isSheetShown.value = true)} title={t("shortcuts.title")} aria-label={t("shortcuts.title")}>
        ?
      </button>
    </>
  );
}

function cycleTheme(): void {
  theme.value = theme.value === "auto" ? "light" : theme.value === "light" ? "dark" : "auto";
  say(t("settings.theme_is", { theme: t(`settings.theme_${theme.value}`) }));
}

async function copyPermalink(): Promise<void> {
  const done = await copyText(location.href);
  say(done ? t("copy.permalink") : t("copy.failed"), done ? "ok" : "warn");
}

function focusSearch(): void {
  const search = document.querySelector<HTMLInputElement>("main input[type=search], main [data-search]");
  search?.focus();
  search?.select();
}

/** A longer text is the error itself. */
const DOT_TEXT_MAX = 32;

/** Short: the whole text is on hover, and the overview's sentence says the rest. */
function dotText({ name, severity, text, params = {} }: Overview["dots"][number]): string {
  const word = t(`dot.${name}`);
  if (name === "relay") return params["relays"] ? `${word} ${params["relays"]} · ${params["lanes_owned"]}/${params["lanes"]}` : `${word}: ${text}`;
  if (name === "breaker") return `${word} ${text}`;
  if (severity === "ok") return word;
  return `${word}: ${text.length > DOT_TEXT_MAX ? t("dot.no_answer") : text}`;
}

interface FrameProps {
  nav: Key | undefined;
  title: string;
  children: ComponentChildren;
}

export function Frame({ nav, title, children }: FrameProps) {
  const overview = useQuery("/overview");
  const main = useRef<HTMLElement>(null);
  useEffect(
    () =>
      bindKeys({
        ...Object.fromEntries(entries.map((entry) => [entry.key, () => navigate(carry(entry.to))])),
        "?": () => (isSheetShown.value = true),
        "/": focusSearch,
        r: refreshNow,
        R: cycleRate,
        t: cycleTheme,
        y: () => void copyPermalink(),
      }),
    [],
  );
  // A reader of the screen hears the new page, and Tab begins at its top; the first page keeps the browser's own focus.
  useEffect(() => {
    const close = (event: KeyboardEvent) => {
      if (event.key === "Escape") isNavShown.value = false;
    };
    addEventListener("keydown", close);
    return () => removeEventListener("keydown", close);
  }, []);
  const path = place.value.path;
  const first = useRef(true);
  useEffect(() => {
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
  }, [path]);
  useEffect(() => {
    const environment = session.value?.environment;
    document.title = `${title} · ${environment ? `${environment} · ` : ""}TxStream`;
  });
  const parked = overview.data?.numbers.parked;
  const dots = overview.data?.dots ?? [];
  return (
    <>
      <a class="skip" href="#main">
        {t("nav.skip")}
      </a>
      <Navigation current={nav} parked={parked && parked.value !== "0" ? count(parked) : null} />
      <div class="page">
        <div class="top" role="banner">
          <button
            type="button"
            class="button bare nav-button"
            aria-expanded={isNavShown.value}
            aria-controls="navigation"
            onClick={() => (isNavShown.value = !isNavShown.value)}
          >
            <Icon name="menu" /> {t("nav.menu")}
          </button>
          {session.value?.environment && <span class="environment" title={session.value.environment}>{session.value.environment}</span>}
          <ul class={overview.error ? "dots is-stale" : "dots"} aria-label={t("dots.label")}>
            {dots.length === 0 && overview.error && (
              <li>
                <Status tone="warn" plain>
                  {t("dots.unknown")}
                </Status>
              </li>
            )}
            {dots.map((dot) => (
              <li key={dot.name} title={dot.text}>
                <Status tone={severityTone(dot.severity)} plain>
                  <span>{dotText(dot)}</span>
                </Status>
              </li>
            ))}
          </ul>
          <div class="controls">
            <RefreshControl />
            <Settings />
          </div>
        </div>
        <Banners overview={overview} />
        <main id="main" tabIndex={-1} ref={main}>
          {children}
        </main>
      </div>
      <Toasts />
      {isSheetShown.value && <ShortcutSheet onClose={() => (isSheetShown.value = false)} />}
      {isTokenWanted.value && <TokenPrompt />}
    </>
  );
}
