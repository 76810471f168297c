import { t, type Key } from "../lib/i18n";
import { shortcuts } from "../lib/settings";
import { Dialog } from "./dialog";

const sheets: { title: Key; keys: [string, Key][] }[] = [
  {
    title: "shortcuts.go",
    keys: [
      ["g o", "nav.overview"],
      ["g x", "nav.outbox"],
      ["g d", "nav.dead_letters"],
      ["g j", "nav.jobs"],
      ["g r", "nav.orders"],
      ["g t", "nav.topics"],
      ["g m", "nav.messages"],
      ["g b", "nav.brokers"],
      ["g c", "nav.groups"],
      ["g w", "nav.relays"],
      ["g a", "nav.audit"],
    ],
  },
  {
    title: "shortcuts.lists",
    keys: [
      ["/", "shortcuts.search"],
      ["j", "shortcuts.next_row"],
      ["k", "shortcuts.previous_row"],
      ["Enter", "shortcuts.open_row"],
      ["[", "shortcuts.previous_page"],
      ["]", "shortcuts.next_page"],
      ["l", "shortcuts.tail"],
    ],
  },
  {
    title: "shortcuts.page",
    keys: [
      ["r", "shortcuts.refresh"],
      ["R", "shortcuts.rate"],
      ["t", "shortcuts.theme"],
      ["y", "shortcuts.permalink"],
      ["Esc", "shortcuts.close"],
      ["?", "shortcuts.sheet"],
    ],
  },
];

export function ShortcutSheet({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title={t("shortcuts.title")} onClose={onClose} class="sheet">
      <div class="sheet-columns">
        {sheets.map((sheet) => (
          <section key={sheet.title}>
            <h3>{t(sheet.title)}</h3>
            <dl>
              {sheet.keys.map(([keys, what]) => (
                <div key={keys}>
                  <dt>
                    {keys.split(" ").map((key) => (
                      <kbd key={key}>{key}</kbd>
                    ))}
                  </dt>
                  <dd>{t(what)}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <label class="menu-item">
        <input type="checkbox" checked={shortcuts.value === "on"} onChange={() => (shortcuts.value = shortcuts.value === "on" ? "off" : "on")} />
        {t("settings.shortcuts")}
      </label>
    </Dialog>
  );
}
