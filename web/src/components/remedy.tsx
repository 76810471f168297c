import type { ComponentChildren } from "preact";

import type { Remedy } from "../api/types";
import { Command } from "./copy";
import { Rich } from "./text";

/** What to do: a command or a statement with its button, or a sentence. `text` has the page's own words for the sentence. */
export function RemedyView({ remedy, text, children }: { remedy: Remedy | null | undefined; text?: string | null | undefined; children?: ComponentChildren }) {
  if (!remedy && !children) return null;
  return (
    <div class="remedy">
      {remedy?.kind === "text" && (
        <p>
          <Rich text={text ?? remedy.text} />
        </p>
      )}
      {remedy && remedy.kind !== "text" && <Command text={remedy.text} kind={remedy.kind} />}
      {children}
    </div>
  );
}
