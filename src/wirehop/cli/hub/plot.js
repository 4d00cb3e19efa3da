/** @module plot: the last minute as a line. */

const SVG = "http://www.w3.org/2000/svg";

/** Values that are kept, one for each look at the hub. */
const LENGTH = 60;

/** A line in an `<svg>` that scrolls to the left. */
export class Plot {
    /** @type {number[]} */
    #values = [];
    #line = document.createElementNS(SVG, "polyline");
    #area = document.createElementNS(SVG, "polygon");

    /** @param {SVGSVGElement} svg */
    constructor(svg) {
        this.svg = svg;
        svg.replaceChildren(this.#area, this.#line);
    }

    /** A small one, for a cell of a table. @param {string} label */
    static small(label) {
        const svg = document.createElementNS(SVG, "svg");
        svg.setAttribute("viewBox", "0 0 240 40");
        svg.setAttribute("preserveAspectRatio", "none");
        svg.setAttribute("role", "img");
        svg.setAttribute("aria-label", label);
        return new Plot(svg);
    }

    /** @param {number} value */
    add(value) {
        this.#values = [...this.#values, value].slice(-LENGTH);
        const top = Math.max(4, ...this.#values);
        const step = 240 / (LENGTH - 1);
        const left = 240 - (this.#values.length - 1) * step;
        const points = this.#values.map((one, at) => `${(left + at * step).toFixed(1)},${(38 - (one / top) * 36).toFixed(1)}`);
        this.#line.setAttribute("points", points.join(" "));
        this.#area.setAttribute("points", `${left.toFixed(1)},40 ${points.join(" ")} 240,40`);
    }
}
