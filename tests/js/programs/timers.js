include("modules/check.js");

function onLoad () {
    expect(10);
    var order = [];
    var intervals = 0;
    equal(typeof setTimeout, "function");

    var first = setTimeout(function (a, b) {
        order.push("first");
        ok(this === first);
        equal([a, b], [1, "two"]);
    }, 5, 1, "two");
    setTimeout(function () { order.push("at once"); }, 0);
    setTimeout(function () { order.push("no number"); });
    setTimeout("no function", 1);
    clearTimeout(setTimeout(function () { ok(false); }, 1));
    clearTimeout(undefined);
    clearTimeout(null);
    clearTimeout(setTimeout(function () { ok(false); }, Infinity));

    setInterval(function () {
        intervals += 1;
        ok(intervals <= 3);
        if (intervals === 3) {
            clearInterval(this);
            clearInterval(this);
            setTimeout(finished, 50);
        }
    }, 3);

    function finished () {
        equal(order.sort(), ["at once", "first", "no number"]);
        var timer = new node.Timer();
        timer.addListener("timeout", function () {
            ok(true);
            ok(timer instanceof node.EventEmitter);
        });
        timer.start(1, 0);
        ok(timer instanceof node.Timer);
    }
}
