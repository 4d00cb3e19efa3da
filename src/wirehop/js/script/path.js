// node.path, which the seed's own programs use. `join` does not resolve "..": the system does.

const path = {
    join(...parts) {
        const cleaned = parts.map((part) => String(part).replace(/^(\.\/+)+/, ""));
        const used = cleaned.filter((part, i) => part !== "" && (part !== "." || i === cleaned.length - 1));
        return used
            .map((part, i) => {
                const begun = i === 0 ? part : part.replace(/^\/+/, "");
                return i === used.length - 1 ? begun : begun.replace(/\/*$/, "/");
            })
            .join("");
    },
    dirname(path) {
        const text = String(path);
        const at = text.lastIndexOf("/");
        return at < 0 ? "." : at === 0 ? "/" : text.slice(0, at);
    },
    filename(path) {
        return String(path).slice(String(path).lastIndexOf("/") + 1);
    },
};
