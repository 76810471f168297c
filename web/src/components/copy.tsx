import { useState } from "preact/hooks";

import { copyText } from "../lib/clipboard";
import { t } from "../lib/i18n";
import { Icon } from "./icons";
import { say } from "./toasts";

/** Copies `text` exactly. `label` is shown beside the icon; without it `title` names the button. */
export function Copy({ text, label, title }: { text: string | (() => string); label?: string; title?: string }) {
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    const done = await copyText(typeof text === "string" ? text : text());
    if (!done) say(t("copy.failed"), "warn");
    setDone(done);
    if (done) setTimeout(() => setDone(false), 1500);
  };
  const name = isDone ? t("copy.done") : (title ?? label ?? t("copy.copy"));
  return (
    <button type="button" class={label ? "button" : "button bare"} onClick={copy} title={name} aria-label={label ? undefined : name}>
      <Icon name={isDone ? "check" : "copy"} />
      {label && <span aria-live="polite">{isDone ? t("copy.done") : label}</span>}
    </button>
  );
}

/** A command or statement with its button. */
export function Command({ text, kind = "command" }: { text: string; kind?: "command" | "sql" | "text" }) {
  return (
    <div class="command">
      <pre tabIndex={0} role="region" aria-label={t(kind === "sql" ? "command.sql" : "command.command")}>
        {kind === "command" && <span class="prompt" aria-hidden="true">$ </span>}
        {text}
      </pre>
      <Copy text={text} title={t(kind === "sql" ? "command.copy_sql" : "command.copy")} />
    </div>
  );
}

/** An id or key in full, with its button. */
export function Copyable({ text }: { text: string }) {
  return (
    <span class="copyable">
      <code>{text}</code>
      <Copy text={text} />
    </span>
  );
}
