// What pages about Kafka share.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import type { Schemas } from "../api/types";
import { Command } from "../components/copy";
import { Dialog } from "../components/dialog";
import { Icon } from "../components/icons";
import { Link } from "../components/link";
import { RemedyView } from "../components/remedy";
import { severityTone, Status, type Tone } from "../components/status";
import { Rich } from "../components/text";
import { sentence, t } from "../lib/i18n";
import { param, setQuery } from "../lib/router";
import "../styles/kafka.css";

const TYPING_MS = 250;

/** A part of a name, in `q` of the address while it is typed. */
export function NameSearch({ label }: { label: string }) {
  const current = param("q") ?? "";
  const [text, setText] = useState(current);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => setText(current), [current]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <label class="name-search">
      <Icon name="search" />
      <span class="off-screen">{label}</span>
      <input
        type="search"
        value={text}
        placeholder={label}
        onInput={(event) => {
          const wanted = event.currentTarget.value;
          setText(wanted);
          clearTimeout(timer.current);
          timer.current = setTimeout(() => setQuery({ q: wanted.trim(), cursor: null }, { replace: true }), TYPING_MS);
        }}
      />
    </label>
  );
}

export function PageHead({ title, crumbs, children, chips }: { title: ComponentChildren; crumbs?: ComponentChildren; chips?: ComponentChildren; children?: ComponentChildren }) {
  return (
    <div class="page-head">
      {crumbs && <p class="crumbs">{crumbs}</p>}
      <h1>{title}</h1>
      {chips}
      {children && <div class="actions">{children}</div>}
    </div>
  );
}

export function Warnings({ warnings }: { warnings: readonly Schemas["Warning"][] }) {
  if (warnings.length === 0) return null;
  return (
    <section class="panel warnings" aria-label={t("kafka.warnings")}>
      <ul>
        {warnings.map((warning, index) => (
          <li key={index}>
            <p>
              <Status tone={severityTone(warning.severity)} plain>
                <span>
                  <Rich text={sentence("warning", warning.code, warning.params) ?? warning.text} />
                </span>
              </Status>
            </p>
            <RemedyView remedy={warning.remedy} text={sentence("remedy", warning.code, warning.params)} />
          </li>
        ))}
      </ul>
    </section>
  );
}

export function ConfigTable({ items }: { items: readonly Schemas["ConfigEntry"][] }) {
  const [isAll, setAll] = useState(false);
  const [wanted, setWanted] = useState("");
  const overridden = items.filter((entry) => !entry.is_default);
  const shown = (isAll || wanted !== "" ? [...overridden, ...items.filter((entry) => entry.is_default)] : overridden).filter((entry) => entry.name.includes(wanted.trim()));
  return (
    <>
      <div class="list-tools">
        <label class="name-search">
          <Icon name="search" />
          <span class="off-screen">{t("config.search")}</span>
          <input type="search" value={wanted} placeholder={t("config.search")} onInput={(event) => setWanted(event.currentTarget.value)} />
        </label>
        <label class="menu-item">
          <input type="checkbox" checked={isAll} onChange={() => setAll(!isAll)} /> {t("config.defaults")}
        </label>
      </div>
      {shown.length === 0 ? (
        <p class="panel-body quiet">{wanted === "" ? t("config.none") : t("config.no_match")}</p>
      ) : (
        <div class="table-frame" role="region" aria-label={t("config.caption")} tabIndex={0}>
          <table>
            <caption class="off-screen">{t("config.caption")}</caption>
            <thead>
              <tr>
                <th scope="col">{t("config.name")}</th>
                <th scope="col">{t("config.value")}</th>
                <th scope="col">{t("config.source")}</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((entry) => (
                <tr key={entry.name} data-row class={entry.is_default ? "is-dim" : undefined}>
                  <td class="mono">{entry.name}</td>
                  <td class="mono wrap">{entry.is_sensitive ? <span class="quiet">{t("config.sensitive")}</span> : entry.value === "" ? <span class="quiet">{t("config.empty")}</span> : (entry.value ?? "–")}</td>
                  <td>
                    {sentence("config_source", entry.source.replace("'", "").replace(" ", "_"), {}) ?? entry.source}
                    {entry.is_read_only && <span class="quiet"> · {t("config.read_only")}</span>}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

/** What this console does not do, and why: said where a reader would look for it. */
export function NotOffered() {
  const [isOpen, setOpen] = useState(false);
  return (
    <p class="not-offered quiet">
      {t("absent.line")}{" "}
      <button type="button" class="link" onClick={() => setOpen(true)}>
        {t("absent.why")}
      </button>
      {isOpen && (
        <Dialog title={t("absent.title")} onClose={() => setOpen(false)}>
          <div class="sheet-text">
            <p>
              <Rich text={t("absent.produce")} />
            </p>
            <p>
              <Rich text={t("absent.delete")} />
            </p>
            <p>
              <Rich text={t("absent.reset")} />
            </p>
            <Command text="kafka-consumer-groups.sh --bootstrap-server HOST:9092 --group GROUP --topic TOPIC --reset-offsets --to-datetime 2026-01-31T12:00:00.000 --dry-run" />
            <p class="quiet">
              <Rich text={t("absent.docs")} />
            </p>
          </div>
        </Dialog>
      )}
    </p>
  );
}

const groupTones: Record<Schemas["GroupState"], Tone> = {
  Stable: "ok",
  PreparingRebalance: "info",
  CompletingRebalance: "info",
  Empty: "muted",
  Dead: "bad",
  Unknown: "muted",
};

export function GroupState({ state }: { state: Schemas["GroupState"] }) {
  return (
    <span title={sentence("group_state_hint", state, {}) ?? undefined}>
      <Status tone={groupTones[state]} plain>
        {sentence("group_state", state, {}) ?? state}
      </Status>
    </span>
  );
}

/** Toggles one key of the address, as a link so that it can be opened elsewhere. */
export function Toggle({ to, isOn, children }: { to: string; isOn: boolean; children: ComponentChildren }) {
  return (
    <Link to={to} class="button" current={isOn ? "true" : undefined}>
      {isOn && <Icon name="check" />} {children}
    </Link>
  );
}
