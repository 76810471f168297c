// A live tail that stays open: soak.mjs BASE TOPIC SECONDS
//
// Prints a JSON line every ten seconds: seconds, heap after a collection, DOM nodes, rows of the table.
import { launch, openTab, pause, visit } from "./browser.mjs";

const [base, topic, seconds] = process.argv.slice(2);
const browser = await launch();
const tab = await openTab(browser, base, {});
await visit(tab, `/topics/${encodeURIComponent(topic)}/tail`);
const session = await tab.page.createCDPSession();
const began = Date.now();
let faults = 0;
while (Date.now() - began < Number(seconds) * 1000) {
  await pause(Math.min(10000, Number(seconds) * 100));
  await session.send("HeapProfiler.collectGarbage");
  const { usedSize } = await session.send("Runtime.getHeapUsage");
  const { nodes } = await session.send("Memory.getDOMCounters");
  const rows = await tab.page.evaluate(() => document.querySelectorAll("main tbody tr").length);
  console.log(JSON.stringify({ seconds: (Date.now() - began) / 1000, heap_mb: usedSize / 1048576, nodes, rows }));
  for (const fault of tab.faults.splice(0)) {
    faults += 1;
    console.error(fault);
  }
}
await browser.close();
process.exit(faults === 0 ? 0 : 1);
