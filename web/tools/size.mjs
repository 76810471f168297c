// The page's budget, gzip: 60 kB of script for the frame and any one of its pages, with all that this page may load later (charts); 15 kB
// of style. What all pages have together is bounded, too, so that it is noticed when it grows.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const PAGE_MAX = 60_000;
const ALL_MAX = 115_000;
const STYLE_MAX = 15_000;

const dist = fileURLToPath(new URL("../dist/", import.meta.url));
if (!existsSync(`${dist}.vite/manifest.json`)) throw new Error("web/dist is missing: tools/web.sh build");
const manifest = JSON.parse(readFileSync(`${dist}.vite/manifest.json`, "utf8"));
const sizeOf = (file) => gzipSync(readFileSync(dist + file), { level: 9 }).length;
const names = readdirSync(`${dist}assets`);
const total = (suffix) => names.filter((name) => name.endsWith(suffix)).reduce((sum, name) => sum + sizeOf(`assets/${name}`), 0);

const entry = Object.keys(manifest).find((key) => manifest[key].isEntry);
/** What a chunk loads, at once and later. `stop` are the other pages. */
function closure(key, seen = new Set()) {
  if (seen.has(key) || !manifest[key]) return seen;
  seen.add(key);
  for (const next of manifest[key].imports ?? []) if (next !== entry) closure(next, seen);
  for (const next of manifest[key].dynamicImports ?? []) closure(next, seen);
  return seen;
}
const frame = new Set([entry]);
for (const next of manifest[entry].imports ?? []) closure(next, frame);
const theme = names.find((name) => /^theme-.*\.js$/.test(name));
const sizes = (manifest[entry].dynamicImports ?? []).map((page) => {
  const files = new Set([...frame, ...closure(page)].map((key) => manifest[key].file));
  const sum = [...files].filter((file) => file.endsWith(".js")).reduce((all, file) => all + sizeOf(file), 0);
  return { page, size: sum + sizeOf(`assets/${theme}`) };
});

let failed = false;
const check = (what, size, max) => {
  console.log(`${String(size).padStart(7)}  ${what}${size > max ? `: more than ${max}` : ""}`);
  failed ||= size > max || size === 0;
};
for (const { page, size } of sizes.sort((a, b) => b.size - a.size)) check(page, size, PAGE_MAX);
check("script in all", total(".js"), ALL_MAX);
check("style in all", total(".css"), STYLE_MAX);

const html = readFileSync(`${dist}index.html`, "utf8");
// The Content-Security-Policy refuses inline code, and the server puts its base path in the place of each "./".
const forbidden = { "an inline script": /<script(?![^>]*\bsrc=)/, "an inline style": /<style|\sstyle=/, "a base": /<base/, "an absolute address": /(src|href)="(?!\.\/)/ };
for (const [what, pattern] of Object.entries(forbidden)) {
  if (pattern.test(html)) {
    console.error(`index.html has ${what}`);
    failed = true;
  }
}
process.exit(failed ? 1 : 0);
