include("modules/check.js");

function onLoad () {
    expect(26);
    // What it writes, and its end.
    var cat = node.createProcess("cat");
    var response = "", ends = 0;
    ok(cat.pid > 0);
    ok(cat instanceof node.Process);
    cat.addListener("output", function (chunk) {
        if (chunk === null) {
            ends += 1;
        } else {
            response += chunk;
            if (response === "hello wørld\0") cat.close();
        }
    });
    cat.addListener("error", function (chunk) { equal(chunk, null); ends += 1; });
    cat.addListener("exit", function (code) {
        equal(code, 0);
        equal(response, "hello wørld\0");
        equal(ends, 2);
        throws(function () { cat.kill(); }, "ended");
        throws(function () { cat.write("x"); }, "ended");
        cat.close();
    });
    cat.write("hello");
    cat.write(" ", "ascii");
    cat.write("w\u00f8rld", "utf8");
    cat.write([0]);

    // One that is killed.
    var sleeper = node.createProcess("exec sleep 60");
    sleeper.addListener("exit", function (code) { ok(code > 0); equal(code, 128 + node.SIGTERM); });
    sleeper.kill();

    var other = node.createProcess("exec sleep 60");
    other.addListener("exit", function (code) { equal(code, 128 + node.SIGUSR1); });
    other.kill(node.SIGUSR1);

    // stderr and the code.
    var failing = node.createProcess("echo no >&2; exit 3");
    var said = "";
    failing.addListener("error", function (chunk) { said += chunk || ""; });
    failing.addListener("exit", function (code) { equal([code, said], [3, "no\n"]); });

    // Much, and characters over the edges of what is read.
    var much = node.createProcess("i=0; while [ $i -lt 2000 ]; do printf '%s' '\ud83d\ude00aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'; i=$((i+1)); done");
    var count = 0, length = 0;
    much.addListener("output", function (chunk) {
        if (chunk === null) return;
        length += chunk.length;
        count += chunk.split("\ud83d\ude00").length - 1;
        if (chunk.indexOf("\ufffd") >= 0) throw new Error("split");
    });
    much.addListener("exit", function () { equal([count, length], [2000, 2000 * 78]); });

    // One after the other.
    var N = 5;
    function spawn (i) {
        var child = node.createProcess("echo " + i);
        var output = "";
        child.addListener("output", function (chunk) { output += chunk || ""; });
        child.addListener("exit", function () {
            equal(output, i + "\n");
            if (i < N) spawn(i + 1);
        });
    }
    spawn(0);

    var process = new node.Process();
    equal(process.pid, undefined);
    process.spawn("true");
    ok(process.pid > 0);
    throws(function () { process.spawn("true"); }, "already");
    process.addListener("exit", function (code) { equal(code, 0); });
    throws(function () { process.write("caf\u00e9", "ascii"); }, "not ascii");
    throws(function () { process.write("x", "utf7"); }, "no encoding");
    throws(function () { process.kill(12345); }, "");
}
