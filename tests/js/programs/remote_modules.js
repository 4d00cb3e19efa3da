include("modules/check.js");

var asked = [];
var server = node.http.createServer(function (request, response) {
    asked.push(request.uri.path);
    var body = request.uri.path === "/main.js"
        ? "var b = require('lib/b.js'); exports.A = function () { return 'A' + b.B(); }"
        : "exports.B = function () { return 'B'; }";
    response.sendHeader(200, [["Content-Type", "application/javascript"]]);
    response.sendBody(body);
    response.finish();
});

// A port that is free here, since `require` is for this turn.
var port = 20000 + Math.floor(Math.random() * 20000);
for (;;) {
    try {
        server.listen(port, "127.0.0.1");
        break;
    } catch (error) {
        port += 1;
    }
}
var a = require("http://127.0.0.1:" + port + "/main.js");

function onLoad () {
    expect(2);
    equal(a.A(), "AB");
    equal(asked, ["/main.js", "/lib/b.js"]);
    server.close();
}
