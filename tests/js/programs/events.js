include("modules/check.js");

function onLoad () {
    expect(29);
    var emitter = new node.EventEmitter();
    var heard = [];

    equal(emitter.emit("nothing", []), false);
    emitter.addListener("event", function (a, b) {
        ok(this === emitter);
        heard.push(["first", a, b]);
        if (heard.length === 1) {
            // Waits for the next time.
            emitter.addListener("event", function (a) { heard.push(["late", a]); });
        }
    });
    emitter.addListener("event", 5);
    emitter.addListener("event", undefined);
    equal(emitter.emit("event", [1, 2]), true);
    equal(heard, [["first", 1, 2]]);
    emitter.emit("event", [3, 4]);
    equal(heard, [["first", 1, 2], ["first", 3, 4], ["late", 3]]);

    // The list is the live one.
    equal(emitter.listeners("event").length, 2);
    emitter.listeners("event").pop();
    equal(emitter.listeners("event").length, 1);
    equal(emitter.listeners("other"), []);
    emitter.listeners("other").push(function () { ok(true); });
    emitter.emit("other");

    var once = 0;
    function count () { once += 1; }
    emitter.once("once", count);
    emitter.emit("once");
    emitter.emit("once");
    equal(once, 1);
    emitter.on("once", count).removeListener("once", count);
    equal(emitter.emit("once"), false);
    emitter.on("once", count).removeAllListeners("once");
    equal(emitter.emit("once"), false);

    // Names that every object has are no events.
    equal(emitter.emit("toString"), false);
    equal(emitter.listeners("constructor"), []);

    // The styles of inheriting of those days.
    function Old () { node.EventEmitter.call(this); }
    Old.prototype = new node.EventEmitter();
    var one = new Old(), other = new Old();
    one.addListener("x", function () { ok(true); });
    equal(other.emit("x"), false);
    equal(one.emit("x"), true);
    function Older () { this.__proto__ = new node.EventEmitter(); }
    var older = new Older();
    older.addListener("x", function () { ok(this === older); });
    older.emit("x");

    // An error passes to who emits.
    emitter.addListener("bad", function () { throw new Error("of a listener"); });
    throws(function () { emitter.emit("bad"); }, "of a listener");

    // Promises.
    var promise = new node.Promise();
    ok(promise instanceof node.EventEmitter);
    var events = [];
    var same = promise.addCallback(function (a, b) { events.push(["success", a, b]); });
    ok(same === promise);
    ok(promise.addErrback(function () { events.push(["error"]); }) === promise);
    setTimeout(function () {
        promise.emitSuccess([1, 2]);
        promise.emitSuccess([3]);
        promise.emitError([]);
        equal(events, [["success", 1, 2]]);
        // Late ones are called too, and not at once.
        var isLate = false;
        promise.addCallback(function (a) { equal(a, 1); ok(isLate); });
        isLate = true;
        promise.addErrback(function () { ok(false); });
    }, 2);

    var failing = new node.Promise();
    failing.addErrback(function (error) { equal(error.message, "no"); });
    setTimeout(function () { failing.emitError([new Error("no")]); }, 1);

    (async function () {
        var stats = await node.fs.stat(".");
        ok(stats.mtime instanceof Date);
        try {
            await node.fs.stat("does not exist");
        } catch (error) {
            equal(error.code, "ENOENT");
        }
    })();
}
