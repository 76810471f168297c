// Single keys do things when nothing is being typed and no modifier is held. They can be switched off (WCAG 2.1.4).
import { shortcuts } from "./settings";

type Handler = () => void;
const maps: Map<string, Handler>[] = [];
const PREFIX_MS = 1500;
let prefix = "";
let prefixAt = 0;

/** Adds keys ("r", "g o", "?") until the returned function is called. The newest map wins. */
export function bindKeys(keys: Record<string, Handler>): () => void {
  const map = new Map(Object.entries(keys));
  maps.push(map);
  return () => {
    const index = maps.indexOf(map);
    if (index >= 0) maps.splice(index, 1);
  };
}

function find(key: string): Handler | undefined {
  for (let index = maps.length - 1; index >= 0; index -= 1) {
    const handler = maps[index]?.get(key);
    if (handler) return handler;
  }
  return undefined;
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

export function startKeyboard(): void {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    // A dialog has the keys for itself.
    if (shortcuts.peek() === "off" || isTyping(event.target) || document.querySelector("dialog[open]")) return;
    // Enter on a focused control is the control's.
    if (event.key === "Enter" || event.key === " ") return;
    const isSecond = prefix !== "" && event.timeStamp - prefixAt < PREFIX_MS;
    const handler = isSecond ? find(`${prefix} ${event.key}`) : find(event.key);
    prefix = "";
    if (handler) {
      event.preventDefault();
      handler();
    } else if (!isSecond && event.key === "g") {
      prefix = "g";
      prefixAt = event.timeStamp;
    }
  });
}
