// Assertions. A program says with `expect(n)` how many of them it is to reach.

var wanted = -1;
var reached = 0;

function show (value) {
    return JSON.stringify(value) + " (" + typeof value + ")";
}

exports.equal = function (found, wanted) {
    reached += 1;
    if (JSON.stringify(found) !== JSON.stringify(wanted) || typeof found !== typeof wanted) {
        throw new Error("found " + show(found) + ", wanted " + show(wanted));
    }
};

exports.ok = function (value) {
    reached += 1;
    if (!value) {
        throw new Error("not so");
    }
};

exports.throws = function (call, text) {
    reached += 1;
    try {
        call();
    } catch (error) {
        if (String(error).indexOf(text) < 0) {
            throw new Error("threw " + error + ", wanted " + text);
        }
        return;
    }
    throw new Error("threw nothing, wanted " + text);
};

exports.expect = function (count) {
    wanted = count;
};

function onExit () {
    if (reached !== wanted) {
        throw new Error("reached " + reached + " of " + wanted + " assertions");
    }
    puts("all is well");
}
