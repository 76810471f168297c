// Replay and discard of dead letters: the buttons, and the dialog between them and the server. What can be lost decides how much is asked: a
// replay nothing, a discard its reason, a discard of more than one event its number as well. Enter decides nothing by itself.
import { signal } from "@preact/signals";
import { useEffect, useId, useRef, useState } from "preact/hooks";

import { ApiError, post } from "../api/client";
import { refreshAll } from "../api/query";
import { mayOperate, session } from "../api/session";
import type { DecisionAction, DecisionPlan, Selection } from "../api/types";
import { num } from "../lib/format";
import { t, tn } from "../lib/i18n";
import { setQuery } from "../lib/router";
import { Dialog } from "./dialog";
import { errorText } from "./panel";
import { RemedyView } from "./remedy";
import { Shape } from "./status";
import { Rich } from "./text";
import { say } from "./toasts";

export const REASON_MAX = 500;
/** Events a second. */
const RATE_MAX = 100_000;
/** More than this relays decide step by step. */
const AT_ONCE_MAX = 10_000;

interface Asked {
  /** Each question is a dialog of its own. */
  number: number;
  action: DecisionAction;
  selection: Selection;
}
let questions = 0;

/** What the dialog is about. Of the page and not of a row: a row may go while somebody reads. */
const asked = signal<Asked | null>(null);
/** The job that was made on this page just now: its progress takes the focus. */
export const justMade = signal<string | null>(null);

/** Why this reader may not decide. */
export function whyNot(): string | null {
  if (mayOperate.value) return null;
  return t(session.value?.features.operations === false ? "decide.read_only" : "decide.viewer");
}

const WORDS = {
  replay: { one: "decide.replay", list: "decide.replay_these" },
  discard: { one: "decide.discard", list: "decide.discard_these" },
} as const;

interface ButtonsProps {
  selection: Selection;
  /** Names what they are for, for who does not see the row. */
  what?: string;
  /** Held events are sent without a decision: only a discard makes sense. */
  isHeld?: boolean;
  small?: boolean;
  /** "Replay these": of a list. */
  isList?: boolean;
}

/** Shown to viewers, too, who are told why they do nothing. */
export function DecideButtons({ selection, what, isHeld = false, small = false, isList = false }: ButtonsProps) {
  const reason = whyNot();
  const button = (action: DecisionAction) => (
    <button
      type="button"
      class={small ? "button small" : "button"}
      aria-disabled={reason !== null}
      aria-label={what && `${t(WORDS[action][isList ? "list" : "one"])} ${what}`}
      title={reason ?? undefined}
      onClick={() => {
        if (reason === null) asked.value = { number: ++questions, action, selection };
        else say(reason, "muted");
      }}
    >
      {t(WORDS[action][isList ? "list" : "one"])}
    </button>
  );
  return (
    <span class="buttons">
      {!isHeld && button("replay")}
      {button("discard")}
    </span>
  );
}

const CONDITIONS = ["error_class", "event_type", "topic", "key", "id", "event_id", "all", "relay"];

/** What a decision is about, as the audit keeps it. Names that we do not know stay as they are. */
export function TargetText({ target }: { target: Record<string, unknown> }) {
  return (
    <span class="target">
      {Object.entries(target).map(([name, value]) => (
        <span key={name}>
          {CONDITIONS.includes(name) ? t(`filter.${name as "key"}`) : name}
          {value !== true && (
            <>
              {": "}
              <code>{typeof value === "string" ? value : JSON.stringify(value)}</code>
            </>
          )}
        </span>
      ))}
    </span>
  );
}

/** Once on each page that has buttons. */
export function DecisionDialog() {
  useEffect(
    () => () => {
      asked.value = null;
    },
    [],
  );
  const current = asked.value;
  if (!current) return null;
  // The browser tells late that a dialog was closed: the next one may be open by then.
  const close = () => {
    if (asked.peek() === current) asked.value = null;
  };
  return <Deciding key={current.number} asked={current} onClose={close} />;
}

export const failure = (error: unknown) => (error instanceof ApiError ? error : new ApiError("", 0, { type: "about:blank", title: "", status: 0, detail: String(error) }, null));

function Deciding({ asked: { action, selection }, onClose }: { asked: Asked; onClose: () => void }) {
  const [plan, setPlan] = useState<DecisionPlan>();
  const [error, setError] = useState<ApiError>();
  const [isBusy, setBusy] = useState(false);
  const isOpen = useRef(true);
  const look = () => {
    setError(undefined);
    setPlan(undefined);
    post("/dead-letters/plan", { action, selection }).then(
      (found) => isOpen.current && setPlan(found),
      (reason: unknown) => isOpen.current && setError(failure(reason)),
    );
  };
  useEffect(() => {
    look();
    return () => {
      isOpen.current = false;
    };
  }, []);
  const decide = (reason: string, events: string, rate: number | null) => {
    setBusy(true);
    post(`/dead-letters/${action}`, { selection, events, reason, rate }).then(
      (made) => {
        justMade.value = made.job;
        setQuery({ watch: made.job }, { replace: true });
        onClose();
        refreshAll();
      },
      (reason_: unknown) => {
        if (!isOpen.current) return;
        setBusy(false);
        setError(failure(reason_));
      },
    );
  };
  return (
    <Dialog title={t(`decide.title_${action}`)} onClose={onClose} class="decide">
      <div class="dialog-body">
        <p class="scope">
          <TargetText target={selection} />
        </p>
        {error ? (
          <Failed error={error} onRetry={look} onClose={onClose} />
        ) : !plan ? (
          <p class="quiet" role="status">
            {t("decide.looking")}
          </p>
        ) : (
          <Planned plan={plan} isBusy={isBusy} onDecide={decide} onClose={onClose} />
        )}
      </div>
    </Dialog>
  );
}

export function Failed({ error, onRetry, onClose }: { error: ApiError; onRetry: () => void; onClose: () => void }) {
  return (
    <div class="stack" role="alert">
      <p class="with-shape">
        <Shape tone="bad" />
        <span>
          <Rich text={errorText(error)} />
        </span>
      </p>
      {error.problem.detail !== "" && error.problem.detail !== errorText(error) && <p class="quiet">{error.problem.detail}</p>}
      <RemedyView remedy={error.problem.remedy} />
      <div class="buttons">
        <button type="button" class="button" onClick={onRetry}>
          {t("decide.look_again")}
        </button>
        <button type="button" class="button" onClick={onClose}>
          {t("action.close")}
        </button>
      </div>
    </div>
  );
}

const digits = (text: string) => text.replace(/[\s.,\u2009]/g, "");

/** null: as fast as it goes; undefined: not a rate. */
function rateOf(text: string): number | null | undefined {
  if (text.trim() === "") return null;
  const rate = /^\d+$/.test(digits(text)) ? Number(digits(text)) : 0;
  return rate >= 1 && rate <= RATE_MAX ? rate : undefined;
}

interface PlannedProps {
  plan: DecisionPlan;
  isBusy?: boolean;
  onDecide: (reason: string, events: string, rate: number | null) => void;
  onClose: () => void;
}

/** The plan, and what has to be said before it is done. */
export function Planned({ plan, isBusy = false, onDecide, onClose }: PlannedProps) {
  const [reason, setReason] = useState("");
  const [rate, setRate] = useState("");
  const [typed, setTyped] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const hint = useId();
  const rateHint = useId();
  useEffect(() => field.current?.focus(), []);
  const events = Number(plan.events);
  const isDiscard = plan.action === "discard";
  if (events === 0) {
    return (
      <div class="stack">
        <p role="status">{t("decide.none")}</p>
        <LeftOut plan={plan} />
        <button type="button" class="button" onClick={onClose}>
          {t("action.close")}
        </button>
      </div>
    );
  }
  const isTyped = isDiscard && events > 1;
  const perSecond = rateOf(rate);
  const isReady = !isBusy && perSecond !== undefined && (!isDiscard || reason.trim() !== "") && (!isTyped || digits(typed) === plan.events);
  return (
    // Without a button that submits, Enter in a field does nothing.
    <form onSubmit={(event) => event.preventDefault()}>
      <p class="lead" role="status">
        {tn(`decide.count_${plan.action}`, events, { n: num(plan.events), keys: tn("decide.keys", Number(plan.keys), { n: num(plan.keys) }) })}
      </p>
      <Sample plan={plan} />
      <ul class="consequences">
        {plan.held_behind !== "0" && <li>{tn("decide.held_behind", Number(plan.held_behind), { n: num(plan.held_behind) })}</li>}
        {!isDiscard && plan.keys_passed !== "0" && <li>{tn("decide.keys_passed", Number(plan.keys_passed), { n: num(plan.keys_passed) })}</li>}
        <li>{t(`decide.order_${plan.action}`)}</li>
        {!isDiscard && <li>{t("decide.repaired")}</li>}
      </ul>
      <LeftOut plan={plan} />
      <label class="field">
        {t(isDiscard ? "decide.reason" : "decide.reason_optional")}
        <input ref={field} type="text" value={reason} required={isDiscard} maxLength={REASON_MAX} aria-describedby={hint} onInput={(event) => setReason(event.currentTarget.value)} />
        <span class="quiet" id={hint}>
          {t("decide.reason_hint")}
        </span>
      </label>
      {events > 1 && (
        <label class="field">
          {t("decide.rate")}
          <input type="text" value={rate} inputMode="numeric" autocomplete="off" aria-invalid={perSecond === undefined} aria-describedby={rateHint} onInput={(event) => setRate(event.currentTarget.value)} />
          <span class={perSecond === undefined ? "bad-text" : "quiet"} id={rateHint}>
            {perSecond === undefined ? t("decide.rate_wrong", { max: num(RATE_MAX) }) : t(events > AT_ONCE_MAX ? "decide.rate_many" : "decide.rate_hint")}
          </span>
        </label>
      )}
      {isTyped && (
        <label class="field">
          {t("decide.type", { n: plan.events })}
          <input type="text" value={typed} required inputMode="numeric" autocomplete="off" onInput={(event) => setTyped(event.currentTarget.value)} />
        </label>
      )}
      <div class="buttons end">
        <button type="button" class="button" onClick={onClose}>
          {t("action.cancel")}
        </button>
        <button type="button" class={isDiscard ? "button danger" : "button primary"} disabled={!isReady} onClick={() => perSecond !== undefined && onDecide(reason.trim(), plan.events, perSecond)}>
          {tn(`decide.do_${plan.action}`, events, { n: num(plan.events) })}
        </button>
      </div>
    </form>
  );
}

function LeftOut({ plan }: { plan: DecisionPlan }) {
  if (plan.left_out === "0") return null;
  return (
    <p class="with-shape">
      <Shape tone="warn" />
      <span>{tn("decide.left_out", Number(plan.left_out), { n: num(plan.left_out) })}</span>
    </p>
  );
}

function Sample({ plan }: { plan: DecisionPlan }) {
  const more = Number(plan.events) - plan.sample.length;
  return (
    <ul class="sample">
      {plan.sample.map((event) => (
        <li key={event.ref} title={event.error ?? undefined}>
          <span>{event.event_type}</span> <code>{event.key}</code> <span class="quiet">{event.error}</span>
        </li>
      ))}
      {more > 0 && <li class="quiet">{tn("decide.more", more, { n: num(more) })}</li>}
    </ul>
  );
}
