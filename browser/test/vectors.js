// The golden vectors that the Python tests use as well.
import { readFileSync } from "node:fs";

/** @param {string} name */
export function vectors(name) {
    return JSON.parse(readFileSync(new URL(`../../tests/vectors/anysocket-${name}.json`, import.meta.url), "utf8"));
}
