// A relay hands its lanes over: the button, and the dialog that says what would move and who would take it. Where nobody would, its name is typed.
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";

import { post, remove } from "../api/client";
import { useQuery } from "../api/query";
import type { DrainPlan } from "../api/types";
import { num } from "../lib/format";
import { t, tn } from "../lib/i18n";
import { whyNot } from "./decide";
import { Dialog } from "./dialog";
import { Loaded } from "./panel";
import { DeedFailed, useDeed } from "./pauses";
import { Shape } from "./status";
import { say } from "./toasts";

const REASON_MAX = 500;

interface Asked {
  number: number;
  relay: string;
  isCancel: boolean;
}
let questions = 0;
const asked = signal<Asked | null>(null);

export function DrainButton({ relay, drains }: { relay: string; drains: boolean }) {
  const reason = whyNot();
  const word = t(drains ? "drain.cancel" : "drain.begin");
  return (
    <button
      type="button"
      class="button small"
      aria-disabled={reason !== null}
      aria-label={`${word} ${relay}`}
      title={reason ?? undefined}
      onClick={() => {
        if (reason === null) asked.value = { number: ++questions, relay, isCancel: drains };
        else say(reason, "muted");
      }}
    >
      {word}
    </button>
  );
}

/** Once on the page that has the buttons. */
export function DrainDialog() {
  useEffect(
    () => () => {
      asked.value = null;
    },
    [],
  );
  const current = asked.value;
  if (!current) return null;
  const close = () => {
    if (asked.peek() === current) asked.value = null;
  };
  return <Asking key={current.number} asked={current} onClose={close} />;
}

function Asking({ asked: { relay, isCancel }, onClose }: { asked: Asked; onClose: () => void }) {
  const plan = useQuery("/relays/{name}/drain", { path: { name: relay } });
  const { error, isBusy, run } = useDeed(onClose);
  const at = { path: { name: relay } };
  const drain = (reason: string, force: boolean) =>
    isCancel ? run(() => remove("/relays/{name}/drain", { reason }, at), t("drain.cancelled")) : run(() => post("/relays/{name}/drain", { reason, force }, at), t("drain.done"));
  return (
    <Dialog title={t(isCancel ? "drain.cancel_title" : "drain.title")} onClose={onClose} class="decide">
      <div class="dialog-body">
        <p class="scope">
          <code>{relay}</code>
        </p>
        <Loaded query={plan} what={t("drain.failed")}>
          {(data) => (
            <DrainPlanned plan={data} isCancel={isCancel} isBusy={isBusy} onDo={drain} onClose={onClose}>
              <DeedFailed error={error} />
            </DrainPlanned>
          )}
        </Loaded>
      </div>
    </Dialog>
  );
}

interface PlannedProps {
  plan: DrainPlan;
  isCancel: boolean;
  isBusy?: boolean;
  onDo: (reason: string, force: boolean) => void;
  onClose: () => void;
  children?: preact.ComponentChildren;
}

export function DrainPlanned({ plan, isCancel, isBusy = false, onDo, onClose, children }: PlannedProps) {
  const [reason, setReason] = useState("");
  const [typed, setTyped] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const isAlone = !isCancel && plan.others === 0;
  const isReady = !isBusy && (!isAlone || typed === plan.relay);
  return (
    <form onSubmit={(event) => event.preventDefault()}>
      <p class="lead" role="status">
        {isCancel ? t("drain.takes_again") : tn("drain.moves", plan.lanes, { n: num(plan.lanes) })}
      </p>
      {!isCancel && (
        <ul class="consequences">
          {plan.others > 0 && <li>{tn("drain.others", plan.others, { n: num(plan.others) })}</li>}
          <li>{t("drain.nothing_twice")}</li>
          <li>{t("drain.until")}</li>
        </ul>
      )}
      {isAlone && (
        <p class="with-shape">
          <Shape tone="warn" />
          <span>{t("drain.alone")}</span>
        </p>
      )}
      <label class="field">
        {t("decide.reason_optional")}
        <input ref={field} type="text" value={reason} maxLength={REASON_MAX} onInput={(event) => setReason(event.currentTarget.value)} />
      </label>
      {isAlone && (
        <label class="field">
          {t("drain.type", { name: plan.relay })}
          <input type="text" class="mono" value={typed} required autocomplete="off" spellcheck={false} onInput={(event) => setTyped(event.currentTarget.value)} />
        </label>
      )}
      {children}
      <div class="buttons end">
        <button type="button" class="button" onClick={onClose}>
          {t("action.close")}
        </button>
        <button type="button" class={isAlone ? "button danger" : "button primary"} disabled={!isReady} onClick={() => onDo(reason.trim(), isAlone)}>
          {t(isCancel ? "drain.cancel" : "drain.do")}
        </button>
      </div>
    </form>
  );
}
