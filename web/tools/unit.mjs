// Bundles each src/**/*.test.ts(x) and runs them with Node's own test runner: unit.mjs [FILTER]
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const out = `${root}node_modules/.txs-unit`;
const filter = process.argv[2] ?? "";
const tests = readdirSync(`${root}src`, { recursive: true, withFileTypes: false })
  .map((name) => `src/${name}`)
  .filter((name) => /\.test\.tsx?$/.test(name) && name.includes(filter))
  .sort();
if (tests.length === 0) throw new Error(`no test matches "${filter}"`);
rmSync(out, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: tests,
  outdir: out,
  outbase: "src",
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node18",
  jsx: "automatic",
  jsxImportSource: "preact",
  sourcemap: "inline",
  packages: "external",
  loader: { ".json": "json" },
  plugins: [
    {
      name: "url",
      setup(build) {
        build.onResolve({ filter: /\?url$/ }, ({ path }) => ({ path, namespace: "url" }));
        build.onLoad({ filter: /.*/, namespace: "url" }, ({ path }) => ({ contents: `export default ${JSON.stringify(path)}` }));
      },
    },
  ],
  logLevel: "warning",
});
const files = tests.map((name) => `${out}/${name.replace(/^src\//, "").replace(/\.tsx?$/, ".mjs")}`);
const run = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...files], { stdio: "inherit", cwd: root });
process.exit(run.status ?? 1);
