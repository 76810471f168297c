import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

export interface Tab<T extends string> {
  id: T;
  text: string;
  count?: string | undefined;
}

interface TabsProps<T extends string> {
  label: string;
  tabs: readonly Tab<T>[];
  value: T;
  onChange: (id: T) => void;
  children: ComponentChildren;
  /** Behind the tabs, on their line. */
  tools?: ComponentChildren;
}

/** Tabs inside a page; arrows move between them. Tabs that are places of their own are links instead. */
export function Tabs<T extends string>({ label, tabs, value, onChange, children, tools }: TabsProps<T>) {
  const id = useId();
  const move = (event: KeyboardEvent) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const next = tabs[(tabs.findIndex((tab) => tab.id === value) + step + tabs.length) % tabs.length];
    if (!next) return;
    onChange(next.id);
    document.getElementById(`${id}-${next.id}`)?.focus();
  };
  return (
    <>
      <div class="tabs-line">
        <div class="tabs" role="tablist" aria-label={label} tabIndex={-1} onKeyDown={move}>
          {tabs.map((tab) => (
            <button
              key={tab.id}
              type="button"
              id={`${id}-${tab.id}`}
              class="tab"
              role="tab"
              aria-selected={tab.id === value}
              aria-controls={`${id}-panel`}
              tabIndex={tab.id === value ? 0 : -1}
              onClick={() => onChange(tab.id)}
            >
              {tab.text}
              {tab.count !== undefined && <span class="quiet"> {tab.count}</span>}
            </button>
          ))}
        </div>
        {tools && <div class="tabs-tools">{tools}</div>}
      </div>
      <div id={`${id}-panel`} role="tabpanel" aria-labelledby={`${id}-${value}`}>
        {children}
      </div>
    </>
  );
}
