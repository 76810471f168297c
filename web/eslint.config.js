import jsxA11y from "eslint-plugin-jsx-a11y";
import tseslint from "typescript-eslint";

const sources = ["src/**/*.{ts,tsx}"];

export default tseslint.config(
  { ignores: ["dist/", "node_modules/", "src/api/schema.ts"] },
  {
    files: sources,
    extends: [...tseslint.configs.recommendedTypeChecked, jsxA11y.flatConfigs.strict],
    languageOptions: { parserOptions: { project: "./tsconfig.json", tsconfigRootDir: import.meta.dirname ?? new URL(".", import.meta.url).pathname } },
    rules: {
      "@typescript-eslint/consistent-type-imports": "error",
      // A test's promise belongs to the runner.
      "@typescript-eslint/no-floating-promises": ["error", { allowForKnownSafeCalls: [{ from: "package", package: "node:test", name: ["test", "describe", "it"] }] }],
      // A template may hold numbers; objects stay refused.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "@typescript-eslint/no-misused-promises": ["error", { checksVoidReturn: { attributes: false } }],
      // Our own controls wrap an input, or name it by id.
      "jsx-a11y/label-has-associated-control": ["error", { assert: "either", depth: 3 }],
      // Scrolling regions have to be reachable with the keyboard (WCAG 2.1.1).
      "jsx-a11y/no-noninteractive-tabindex": ["error", { roles: ["region", "tabpanel"] }],
      // The Content-Security-Policy refuses style attributes, and nothing may put text into the page as HTML.
      "no-restricted-syntax": [
        "error",
        { selector: "JSXAttribute[name.name='style']", message: "style attributes break the CSP: use a class, or element.style in an effect" },
        { selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']", message: "nothing may become HTML" },
        { selector: "MemberExpression[property.name=/^(innerHTML|outerHTML|insertAdjacentHTML)$/]", message: "nothing may become HTML" },
      ],
      eqeqeq: "error",
      "no-console": "error",
    },
  },
);
