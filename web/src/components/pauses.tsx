// What operators have paused: the list, its buttons, and the dialogs between them and the server. To pause everything holds up every consumer,
// so it is typed out; to resume asks for nothing but a press.
import { signal } from "@preact/signals";
import { useEffect, useId, useRef, useState } from "preact/hooks";

import { type ApiError, post, remove } from "../api/client";
import { refreshAll, useQuery, type QueryState } from "../api/query";
import type { Pause, PauseScope, Pauses as PausesAnswer } from "../api/types";
import { t } from "../lib/i18n";
import { failure, whyNot } from "./decide";
import { Dialog } from "./dialog";
import { Empty, errorText, Loaded, Panel } from "./panel";
import { RemedyView } from "./remedy";
import { Shape } from "./status";
import { Rich, Time } from "./text";
import { say } from "./toasts";

const REASON_MAX = 500;
const NAME_MAX = 4096;

interface Asked {
  number: number;
  /** Resume this; null: pause something. */
  pause: Pause | null;
}
let questions = 0;
const asked = signal<Asked | null>(null);

const nameOf = (pause: Pause) => (pause.name === null ? t("pause_what.everything") : `${t(`pause_what.${pause.what}`)} ${pause.name}`);

function ask(pause: Pause | null) {
  const reason = whyNot();
  if (reason === null) asked.value = { number: ++questions, pause };
  else say(reason, "muted");
}

export function PausesPanel() {
  const pauses = useQuery("/pauses");
  useEffect(
    () => () => {
      asked.value = null;
    },
    [],
  );
  const current = asked.value;
  const close = () => {
    if (asked.peek() === current) asked.value = null;
  };
  return (
    <Panel
      title={t("pause.title")}
      actions={
        <button type="button" class="button small" aria-disabled={whyNot() !== null} title={whyNot() ?? undefined} onClick={() => ask(null)}>
          {t("pause.begin")}
        </button>
      }
    >
      <Pauses query={pauses} />
      {current && (current.pause === null ? <PauseDialog key={current.number} onClose={close} /> : <ResumeDialog key={current.number} pause={current.pause} onClose={close} />)}
    </Panel>
  );
}

export function Pauses({ query }: { query: QueryState<PausesAnswer> }) {
  return (
    <Loaded query={query} what={t("pause.failed")}>
      {(data) =>
        data.items.length === 0 ? (
          <Empty kind="nothing" title={t("pause.nothing")} text={t("pause.nothing_text")} />
        ) : (
          <ul class="pauses">
            {data.items.map((pause) => (
              <li key={`${pause.what} ${pause.name ?? ""}`}>
                <Shape tone="warn" />
                <div>
                  <p>
                    <strong>{pause.name === null ? t("pause_what.everything") : t(`pause_what.${pause.what}`)}</strong> {pause.name !== null && <code>{pause.name}</code>}
                  </p>
                  <p class="quiet">
                    <Time at={pause.at} relative /> · {pause.by} · {pause.reason}
                  </p>
                </div>
                <button
                  type="button"
                  class="button small"
                  aria-disabled={whyNot() !== null}
                  aria-label={`${t("pause.resume")} ${nameOf(pause)}`}
                  title={whyNot() ?? undefined}
                  onClick={() => ask(pause)}
                >
                  {t("pause.resume")}
                </button>
              </li>
            ))}
          </ul>
        )
      }
    </Loaded>
  );
}

/** Sends what was decided; what went wrong stays in the dialog. */
export function useDeed(onDone: () => void) {
  const [error, setError] = useState<ApiError>();
  const [isBusy, setBusy] = useState(false);
  const isOpen = useRef(true);
  useEffect(
    () => () => {
      isOpen.current = false;
    },
    [],
  );
  const run = (work: () => Promise<unknown>, done: string) => {
    setBusy(true);
    setError(undefined);
    work().then(
      () => {
        say(done);
        onDone();
        refreshAll();
      },
      (reason: unknown) => {
        if (!isOpen.current) return;
        setBusy(false);
        setError(failure(reason));
      },
    );
  };
  return { error, isBusy, run };
}

export function DeedFailed({ error }: { error: ApiError | undefined }) {
  if (!error) return null;
  return (
    <div class="stack" role="alert">
      <p class="with-shape">
        <Shape tone="bad" />
        <span>
          <Rich text={error.problem.detail || errorText(error)} />
        </span>
      </p>
      <RemedyView remedy={error.problem.remedy} />
    </div>
  );
}

function PauseDialog({ onClose }: { onClose: () => void }) {
  const { error, isBusy, run } = useDeed(onClose);
  const [what, setWhat] = useState<PauseScope>("topic");
  const [name, setName] = useState("");
  const [reason, setReason] = useState("");
  const [typed, setTyped] = useState("");
  const first = useRef<HTMLSelectElement>(null);
  const hint = useId();
  useEffect(() => first.current?.focus(), []);
  const isAll = what === "everything";
  const word = t("pause.word");
  const isReady = !isBusy && reason.trim() !== "" && (isAll ? typed.trim().toLowerCase() === word : name !== "");
  const pause = () => run(() => post("/pauses", { what, ...(isAll ? {} : { name }), reason: reason.trim() }), t("pause.done"));
  return (
    <Dialog title={t("pause.dialog")} onClose={onClose} class="decide">
      <div class="dialog-body">
        {/* Without a button that submits, Enter in a field does nothing. */}
        <form onSubmit={(event) => event.preventDefault()}>
          <label class="field">
            {t("pause.what")}
            <select ref={first} value={what} onChange={(event) => setWhat(event.currentTarget.value as PauseScope)}>
              <option value="topic">{t("pause_what.topic")}</option>
              <option value="key">{t("pause_what.key")}</option>
              <option value="everything">{t("pause_what.everything")}</option>
            </select>
          </label>
          {!isAll && (
            <label class="field">
              {t("pause.name")}
              <input type="text" class="mono" value={name} required maxLength={NAME_MAX} spellcheck={false} autocomplete="off" onInput={(event) => setName(event.currentTarget.value)} />
            </label>
          )}
          <ul class="consequences">
            <li>{t(isAll ? "pause.means_everything" : what === "topic" ? "pause.means_topic" : "pause.means_key")}</li>
            <li>{t("pause.until")}</li>
          </ul>
          <label class="field">
            {t("decide.reason")}
            <input type="text" value={reason} required maxLength={REASON_MAX} aria-describedby={hint} onInput={(event) => setReason(event.currentTarget.value)} />
            <span class="quiet" id={hint}>
              {t("pause.reason_hint")}
            </span>
          </label>
          {isAll && (
            <label class="field">
              {t("pause.type", { word })}
              <input type="text" value={typed} required autocomplete="off" onInput={(event) => setTyped(event.currentTarget.value)} />
            </label>
          )}
          <DeedFailed error={error} />
          <div class="buttons end">
            <button type="button" class="button" onClick={onClose}>
              {t("action.cancel")}
            </button>
            <button type="button" class={isAll ? "button danger" : "button primary"} disabled={!isReady} onClick={pause}>
              {t("pause.do")}
            </button>
          </div>
        </form>
      </div>
    </Dialog>
  );
}

function ResumeDialog({ pause, onClose }: { pause: Pause; onClose: () => void }) {
  const { error, isBusy, run } = useDeed(onClose);
  const [reason, setReason] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const resume = () => run(() => remove("/pauses", { what: pause.what, ...(pause.name === null ? {} : { name: pause.name }), reason: reason.trim() }), t("pause.resumed"));
  return (
    <Dialog title={t("pause.resume_dialog")} onClose={onClose} class="decide">
      <div class="dialog-body">
        <form onSubmit={(event) => event.preventDefault()}>
          <p class="lead">{nameOf(pause)}</p>
          <p class="quiet">
            <Time at={pause.at} relative /> · {pause.by} · {pause.reason}
          </p>
          <ul class="consequences">
            <li>{t("pause.resume_means")}</li>
          </ul>
          <label class="field">
            {t("decide.reason_optional")}
            <input ref={field} type="text" value={reason} maxLength={REASON_MAX} onInput={(event) => setReason(event.currentTarget.value)} />
          </label>
          <DeedFailed error={error} />
          <div class="buttons end">
            <button type="button" class="button" onClick={onClose}>
              {t("action.cancel")}
            </button>
            <button type="button" class="button primary" disabled={isBusy} onClick={resume}>
              {t("pause.resume")}
            </button>
          </div>
        </form>
      </div>
    </Dialog>
  );
}
