include("modules/check.js");
var a = require("modules/a.js");
var d = require("modules/inner/d.js");
var order = ["body"];
var root = this;

function onLoad () {
    expect(20);
    equal(a.A(), "A");
    equal(a.D(), "D");
    equal(d.D(), "D");
    ok(/relative to the file/.test(order[1]));
    // No cache: each is a module of its own.
    ok(a.d !== d);
    // `this` is `exports`; those of the program are the globals.
    equal(d.byThis, "this");
    ok(root === globalThis);
    ok(exports === globalThis);
    exports.exported = 5;
    equal(exported, 5);
    equal(typeof string, "undefined");
    // Its own module before it; the program's may come at any time.
    ok(loads.indexOf("d") < loads.indexOf("a"));
    equal(loads.sort().join(), "a,d,d");
    equal(node.path.filename(__filename), "modules.js");
    equal(node.path.filename(a.filename), "a.js");
    // What a module includes is a global name, and the module exports it.
    equal(included(), "included");
    equal(a.included(), "included");
    equal(ARGV.length, 3);
    equal(ARGV[0], "wirehop");
    throws(function () { require("modules/a.js"); }, "cannot be used after on_load");
    throws(function () { include("modules/a.js"); }, "cannot be used after on_load");
}

loads = [];
try {
    require("/absolute.js");
} catch (error) {
    order.push(error.message);
}

function onExit () {
    // Those of the modules were called before.
    equal(a.A() + a.D() + d.D(), "A doneD doneD done");
}
