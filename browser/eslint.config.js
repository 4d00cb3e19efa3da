import js from "@eslint/js";

const GLOBALS = Object.fromEntries([
    "AbortController", "AbortSignal", "DOMException", "TextDecoder", "TextEncoder", "URL", "WebSocket", "atob",
    "btoa", "clearTimeout", "console", "crypto", "performance", "reportError", "setTimeout",
].map((name) => [name, "readonly"]));

const PAGE = Object.fromEntries([
    "clearInterval", "document", "localStorage", "location", "navigator", "requestAnimationFrame", "setInterval",
].map((name) => [name, "readonly"]));

const NODE = { Buffer: "readonly", process: "readonly" };

export default [
    js.configs.recommended,
    {
        languageOptions: { globals: GLOBALS },
        rules: {
            eqeqeq: "error",
            "no-shadow": "error",
            "no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
            "no-var": "error",
            "prefer-const": "error",
        },
    },
    { files: ["**/hub/**"], languageOptions: { globals: PAGE } },
    { files: ["**/test/**", "**/*.mjs"], languageOptions: { globals: NODE } },
];
