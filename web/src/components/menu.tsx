import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { Icon, type IconName } from "./icons";

interface MenuProps {
  label: string;
  icon?: IconName;
  /** Shown on the button; without it the icon alone is, and `label` names it. */
  text?: ComponentChildren;
  children: ComponentChildren;
  class?: string;
}

/** A button that opens a small panel below it; Escape, a click outside and leaving it with the keyboard close it. */
export function Menu({ label, icon, text, children, class: extra = "" }: MenuProps) {
  const [isOpen, setOpen] = useState(false);
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!isOpen) return undefined;
    const outside = (event: Event) => {
      if (event.target instanceof Node && !ref.current?.contains(event.target)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
    };
  }, [isOpen]);
  return (
    // eslint-disable-next-line jsx-a11y/no-static-element-interactions -- only listens for Escape from what is inside
    <div
      ref={ref}
      class={`menu ${extra}`}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !isOpen) return;
        event.stopPropagation();
        setOpen(false);
        ref.current?.querySelector("button")?.focus();
      }}
    >
      <button type="button" class="button bare" aria-expanded={isOpen} aria-label={text ? undefined : label} title={label} onClick={() => setOpen(!isOpen)}>
        {/* What is read aloud contains what is seen (WCAG 2.5.3). */}
        {text && <span class="off-screen">{label}: </span>}
        {icon && <Icon name={icon} />}
        {text}
      </button>
      {isOpen && <div class="menu-panel">{children}</div>}
    </div>
  );
}

interface ChoiceProps<T extends string | number> {
  legend: string;
  value: T;
  options: readonly { value: T; text: string }[];
  onChange: (value: T) => void;
}

/** One of a few, as radio buttons. */
export function Choice<T extends string | number>({ legend, value, options, onChange }: ChoiceProps<T>) {
  return (
    <fieldset class="choice">
      <legend>{legend}</legend>
      {options.map((option) => (
        <label key={option.value} class="menu-item">
          <input type="radio" name={legend} checked={option.value === value} onChange={() => onChange(option.value)} />
          {option.text}
        </label>
      ))}
    </fieldset>
  );
}
