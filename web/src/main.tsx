import { effect } from "@preact/signals";
import { render } from "preact";

import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/controls.css";
import "./styles/status.css";
import "./styles/panels.css";
import "./styles/remedy.css";
import "./styles/lists.css";
import "./styles/dialogs.css";
import "./styles/search.css";
import "./styles/strip.css";
import "./styles/pages.css";
import { App, preload } from "./app";
import { startRefresh } from "./api/refresh";
import { startSession } from "./api/session";
import { startClock } from "./lib/clock";
import { loadLanguage } from "./lib/i18n";
import { startKeyboard } from "./lib/keyboard";
import { followLinks, start as startRouter } from "./lib/router";
import { language } from "./lib/settings";

startSession();
startRouter();
startClock();
startRefresh();
startKeyboard();
document.addEventListener("click", followLinks);

preload();
const root = document.getElementById("app");
let isShown = false;
effect(() => {
  void loadLanguage(language.value)
    .catch(() => undefined)
    .then(() => {
      if (!isShown && root) render(<App />, root);
      isShown = true;
    });
});
