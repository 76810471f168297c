import type { ComponentChildren } from "preact";

import { ago, fullTime, time } from "../lib/format";
import { timeZone } from "../lib/settings";

/** Text in which `code` stands between backticks. */
export function Rich({ text }: { text: string }) {
  return <>{text.split("`").map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}</>;
}

/** A moment: short on the page, whole on hover and for programs. */
export function Time({ at, precise = false, relative = false }: { at: string; precise?: boolean; relative?: boolean }) {
  return (
    <time dateTime={at} title={fullTime(at)}>
      {relative ? ago(at) : time(at, precise)}
    </time>
  );
}

/** The age first, since that is what is asked; the clock's time beside it unless it would say the same. */
export function Age({ at }: { at: string }) {
  return (
    <time dateTime={at} title={fullTime(at)}>
      {ago(at)}
      {timeZone.value !== "relative" && <span class="quiet"> · {time(at)}</span>}
    </time>
  );
}

export function Code({ children }: { children: ComponentChildren }) {
  return <code>{children}</code>;
}

export interface Definition {
  term: string;
  value: ComponentChildren;
  /** Over the whole width. */
  wide?: boolean;
}

export function DefinitionList({ items }: { items: (Definition | null | false)[] }) {
  return (
    <dl class="definitions">
      {items.map(
        (item) =>
          item && (
            <div key={item.term} class={item.wide ? "wide" : undefined}>
              <dt>{item.term}</dt>
              <dd>{item.value}</dd>
            </div>
          ),
      )}
    </dl>
  );
}
