import { useState } from "preact/hooks";

import { isTokenDeclined, isTokenWanted, setToken, token } from "../api/client";
import { linkFailed } from "../api/session";
import { t } from "../lib/i18n";
import { Dialog } from "./dialog";
import { Rich } from "./text";

/** Asks for a token over the page, which keeps its address and what was typed into it. */
export function TokenPrompt() {
  const [text, setText] = useState("");
  const wasRefused = token.value !== null;
  const close = () => {
    // Also called when the dialog goes because a token was given.
    if (!isTokenWanted.peek()) return;
    isTokenWanted.value = false;
    isTokenDeclined.value = true;
  };
  return (
    <Dialog title={t("token.title")} onClose={close} class="token">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (text.trim() === "") return;
          linkFailed.value = false;
          setToken(text.trim());
        }}
      >
        <p>
          <Rich text={t(linkFailed.value ? "token.link_used" : wasRefused ? "token.refused" : "token.why")} />
        </p>
        <label class="field">
          {t("token.label")}
          <input type="password" value={text} autocomplete="off" spellcheck={false} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        <p class="quiet">
          <Rich text={t("token.where")} />
        </p>
        <div class="buttons">
          <button type="submit" class="button primary">
            {t("token.use")}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
