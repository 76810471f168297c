// A live tail that stays open: soak.mjs BASE TOPIC SECONDS
//
// Prints a JSON line every ten seconds: seconds, heap after a collection, DOM nodes, rows of the table, and what the tail itself counts:
// records received and skipped, and rows that name a gap, each counted when it appeared.
import { launch, openTab, pause, visit } from "./browser.mjs";

const [base, topic, seconds] = process.argv.slice(2);
const browser = await launch();
const tab = await openTab(browser, base, {});
await visit(tab, `/topics/${encodeURIComponent(topic)}/tail`);
await tab.page.evaluate(() => {
  window.gapsSeen = 0;
  const isGap = (node) => node instanceof HTMLElement && node.matches("tr.is-gap");
  new MutationObserver((changes) => {
    for (const change of changes) window.gapsSeen += [...change.addedNodes].filter(isGap).length;
  }).observe(document.querySelector("main"), { childList: true, subtree: true });
});
const session = await tab.page.createCDPSession();
const began = Date.now();
let faults = 0;
while (Date.now() - began < Number(seconds) * 1000) {
  await pause(Math.min(10000, Number(seconds) * 100));
  await session.send("HeapProfiler.collectGarbage");
  const { usedSize } = await session.send("Runtime.getHeapUsage");
  const { nodes } = await session.send("Memory.getDOMCounters");
  const shown = await tab.page.evaluate(() => {
    const number = (selector) => Number(/^[\d\s]+/.exec(document.querySelector(selector)?.textContent ?? "")?.[0].replace(/\s/g, "") ?? 0);
    return {
      rows: document.querySelectorAll("main tbody tr").length,
      received: number(".tail-counts"),
      skipped: number(".tail-bar > .status.warn"),
      gaps: window.gapsSeen,
    };
  });
  console.log(JSON.stringify({ seconds: (Date.now() - began) / 1000, heap_mb: usedSize / 1048576, nodes, ...shown }));
  for (const fault of tab.faults.splice(0)) {
    faults += 1;
    console.error(fault);
  }
}
await browser.close();
process.exit(faults === 0 ? 0 : 1);
