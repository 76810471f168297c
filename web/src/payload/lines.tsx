// A list of lines of equal height of which only those in sight are in the document: a value may have a million.
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

/** As in payload.css. */
export const LINE_PX = 18;
const MARGIN = 20;
const VISIBLE_MAX = 26;

interface LinesProps {
  count: number;
  line: (index: number) => ComponentChildren;
  label: string;
  /** The line that must be in sight; a new object each time it is asked for. */
  target?: { line: number } | null;
  role?: "tree" | undefined;
  active?: string | undefined;
  onKeyDown?: ((event: KeyboardEvent) => void) | undefined;
  onPress?: ((index: number, event: MouseEvent) => void) | undefined;
  /** How many characters fit into a line, whenever that changes. */
  onColumns?: ((columns: number) => void) | undefined;
}

export function Lines({ count, line, label, target, role, active, onKeyDown, onPress, onColumns }: LinesProps) {
  const frame = useRef<HTMLDivElement>(null);
  const space = useRef<HTMLDivElement>(null);
  const part = useRef<HTMLDivElement>(null);
  const ruler = useRef<HTMLSpanElement>(null);
  const [top, setTop] = useState(0);
  const shown = Math.min(count, VISIBLE_MAX);
  const first = Math.max(0, Math.floor(top / LINE_PX) - MARGIN);
  const last = Math.min(count, first + shown + 2 * MARGIN);

  useLayoutEffect(() => {
    // Through the object model: the Content-Security-Policy refuses style attributes.
    if (frame.current) frame.current.style.height = `${shown * LINE_PX + 14}px`;
    if (space.current) space.current.style.height = `${count * LINE_PX}px`;
    if (part.current) part.current.style.transform = `translateY(${first * LINE_PX}px)`;
  }, [count, first, shown]);

  useEffect(() => {
    const box = frame.current;
    if (!target || !box) return;
    const at = target.line * LINE_PX;
    if (at < box.scrollTop || at + LINE_PX > box.scrollTop + box.clientHeight - 14) box.scrollTop = Math.max(0, at - box.clientHeight / 3);
  }, [target]);

  useEffect(() => {
    const box = frame.current;
    if (!onColumns || !box) return undefined;
    const measure = () => {
      const width = (ruler.current?.getBoundingClientRect().width ?? 0) / 100;
      if (width > 0) onColumns(Math.max(20, Math.floor((box.clientWidth - 24) / width)));
    };
    const observer = new ResizeObserver(measure);
    observer.observe(box);
    return () => observer.disconnect();
  }, [onColumns]);

  const press = (event: MouseEvent) => {
    const found = event.target instanceof Element ? event.target.closest("[data-line]") : null;
    if (found instanceof HTMLElement) onPress?.(Number(found.dataset["line"]), event);
  };
  const indexes = Array.from({ length: Math.max(0, last - first) }, (_, at) => first + at);
  return (
    // eslint-disable-next-line jsx-a11y/no-static-element-interactions -- a tree or a region that scrolls, by its role
    <div
      ref={frame}
      class="lines"
      role={role ?? "region"}
      aria-label={label}
      aria-activedescendant={active}
      // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls
      tabIndex={0}
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
      onKeyDown={onKeyDown}
      onClick={onPress && press}
    >
      {onColumns && (
        <span ref={ruler} class="ruler" aria-hidden="true">
          {"0".repeat(100)}
        </span>
      )}
      <div ref={space} class="lines-space" role="presentation">
        <div ref={part} class="lines-part" role="presentation">
          {indexes.map(line)}
        </div>
      </div>
    </div>
  );
}
