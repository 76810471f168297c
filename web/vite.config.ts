import { readFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

import { transformSync } from "esbuild";
import { defineConfig, type Plugin } from "vite";

// Runs before the first paint: a module script is deferred, and the page would flash in the wrong colours.
function theme(): Plugin {
  const source = () => readFileSync(new URL("src/theme.js", import.meta.url), "utf8");
  let isBuild = false;
  return {
    name: "txs-theme",
    configResolved(config) {
      isBuild = config.command === "build";
    },
    buildStart() {
      if (isBuild) this.emitFile({ type: "asset", name: "theme.js", source: transformSync(source(), { minify: true }).code });
    },
    transformIndexHtml: {
      order: "post",
      handler(html, context) {
        const file = Object.values(context.bundle ?? {}).find((each) => each.type === "asset" && each.names.includes("theme.js"))?.fileName;
        // A relative address works in dist, where the server completes it, and not below a path of Vite's own server.
        const rooted = isBuild ? html : html.replaceAll('="./src/', '="/src/');
        return rooted.replace("<!-- theme -->", `<script src="${file ? `./${file}` : "/src/theme.js"}"></script>`);
      },
    },
  };
}

// The server compresses nothing: each file lies beside its .gz and .br where they are smaller.
function compress(): Plugin {
  return {
    name: "txs-compress",
    apply: "build",
    generateBundle: {
      order: "post",
      handler(_options, bundle) {
        for (const each of Object.values(bundle)) {
          const bytes = Buffer.from(each.type === "chunk" ? each.code : each.source);
          const variants = {
            gz: gzipSync(bytes, { level: 9 }),
            br: brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }),
          };
          for (const [suffix, data] of Object.entries(variants)) {
            if (data.length < bytes.length * 0.95) {
              this.emitFile({ type: "asset", fileName: `${each.fileName}.${suffix}`, source: data });
            }
          }
        }
      },
    },
  };
}

export default defineConfig({
  // Relative: the page works under any prefix that a proxy puts before it.
  base: "./",
  plugins: [theme(), compress()],
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  build: {
    target: ["chrome111", "firefox115", "safari16.4"],
    // `data:` URLs and inline scripts are what the Content-Security-Policy forbids.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    cssCodeSplit: false,
    // For tools/size.mjs; a hidden directory is not embedded.
    manifest: true,
    reportCompressedSize: false,
    rollupOptions: { output: { assetFileNames: "assets/[name]-[hash][extname]" } },
  },
  server: {
    host: "127.0.0.1",
    port: Number(process.env["WEB_DEV_PORT"] ?? 5173),
    strictPort: true,
    proxy: { "/api/console": { target: process.env["CONSOLE_URL"] ?? "http://127.0.0.1:8082", changeOrigin: true } },
  },
});
