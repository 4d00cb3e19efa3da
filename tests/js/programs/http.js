include("modules/check.js");

function onLoad () {
    expect(47);
    var requests = 0;
    var server = node.http.createServer(function (request, response) {
        ok(this === server);
        var handler = handlers[request.uri.path];
        requests += 1;
        // Names that programs gave these objects in those days.
        request.id = response.id = requests;
        handler(request, response);
    });

    var handlers = {
        "/hello": function (request, response) {
            equal(request.method, "GET");
            equal(request.httpVersion, "1.1");
            equal(request.uri.params, { name: "ryan", x: "ü" });
            equal(request.uri.toString(), "/hello?name=ryan&x=%C3%BC");
            equal(request.uri.protocol, undefined);
            equal(request.uri.directory, "/");
            equal(request.uri.file, "hello");
            equal(request.headers.filter(function (h) { return h[0] === "X-Two"; }), [["X-Two", "1"], ["X-Two", "2"]]);
            request.addListener("body", function () { ok(false); });
            request.addListener("complete", function () {
                response.sendHeader(200, [["Content-Type", "text/plain"], ["X-Number", 5]]);
                throws(function () { response.sendHeader(200, []); }, "already");
                response.sendBody("Hello ");
                response.sendBody("World");
                response.finish();
                response.finish();
                throws(function () { response.sendBody("x"); }, "sendBody() belongs");
            });
        },
        "/echo": function (request, response) {
            equal(request.method, "POST");
            response.sendHeader(200, [["Content-Type", "application/octet-stream"]]);
            request.addListener("body", function (chunk) { response.sendBody(chunk); });
            request.addListener("complete", function () { response.finish(); });
        },
        "/text": function (request, response) {
            request.setBodyEncoding("utf8");
            var text = "";
            request.addListener("body", function (chunk) {
                if (typeof chunk !== "string") throw new Error("text is a string");
                text += chunk;
            });
            request.addListener("complete", function () {
                response.sendHeader(200, [["Transfer-Encoding", "chunked"]]);
                response.sendBody(text, "utf8");
                setTimeout(function () { response.sendBody(" later"); response.finish(); }, 2);
            });
        },
        // A body that is only waited for; more than anybody keeps unread.
        "/count": function (request, response) {
            request.addListener("complete", function () {
                response.sendHeader(204);
                response.finish();
            });
        },
        "/bad": function (request, response) {
            throws(function () { response.sendBody("x"); }, "sendBody() belongs");
            throws(function () { response.finish(); }, "after sendHeader");
            throws(function () { response.sendHeader(99, []); }, "no final HTTP status");
            throws(function () { response.sendHeader(200, [["X", "a\r\nY: b"]]); }, "one line");
            throws(function () { response.sendHeader(200, [["X", "a\nY"], ["b", "c"]]); }, "one line");
            throws(function () { response.sendHeader(200, [["X Y", "a"]]); }, "no header name");
            throws(function () { response.sendHeader(200, [["X", "\u20ac"]]); }, "no header may have");
            throws(function () { response.sendHeader(200, [["X"]]); }, "a name and a value");
            response.sendHeader(200, [["Content-Length", 3]]);
            throws(function () { response.sendBody("four"); response.finish(); }, "longer than its Content-Length");
            request.connection.forceClose();
        },
        "/connection": function (request, response) {
            var connection = request.connection;
            equal(connection.remoteAddress, "127.0.0.1");
            equal(connection.readyState, "open");
            ok(response.connection === connection);
            connection.addListener("disconnect", function () { ok(true); });
            // In the middle of an async function nobody is called by.
            (async function () {
                await null;
                response.sendHeader(200, [["Connection", "close"]]);
                response.sendBody("in a job");
                await null;
                response.finish();
            })();
        },
    };

    server.addListener("listening", function () {
        var client = node.http.createClient(server.port, "127.0.0.1");
        client.addListener("error", function (error) { ok(error instanceof Error); });
        var hello = client.get("/hello?name=ryan&x=%C3%BC", [["X-Two", "1"], ["X-Two", "2"]]);
        ok(hello instanceof node.EventEmitter);
        hello.finish(function (response) {
            equal(response.statusCode, 200);
            equal(response.httpVersion, "1.1");
            ok(response.client === client);
            ok(response.headers.some(function (h) { return h[0] === "X-Number" && h[1] === "5"; }));
            response.setBodyEncoding("utf8");
            take(response, function (text) { equal(text, "Hello World"); });
        });

        var bytes = [];
        for (var i = 0; i < 70000; i++) bytes.push(i & 255);
        var echo = client.post("/echo", [["Content-Length", bytes.length]]);
        echo.sendBody(bytes.slice(0, 30000));
        echo.sendBody(new Uint8Array(bytes.slice(30000)));
        echo.finish(function (response) {
            var back = [];
            response.addListener("body", function (chunk) { back = back.concat(chunk); });
            response.addListener("complete", function () { equal(back, bytes); });
        });
        throws(function () { echo.sendBody("x"); }, "before finish()");
        throws(function () { echo.finish(); }, "finished already");

        var text = client.post("/text");
        text.sendBody("\ud83d\ude00 caf\u00e9 \0");
        text.finish(function (response) {
            response.setBodyEncoding("utf8");
            take(response, function (text) { equal(text, "\ud83d\ude00 caf\u00e9 \0 later"); });
        });

        var count = client.put("/count", [["Content-Length", 300000]]);
        for (i = 0; i < 30; i++) count.sendBody(new Array(10001).join("x"));
        count.finish(function (response) { equal(response.statusCode, 204); });

        // One that nobody listens to does not stop the next.
        client.del("/count").finish(function (response) {});
        client.head("/connection", [["X", "y"]]).finish(function (response) {
            take(response, function (text) { equal(text, ""); });
        });
        client.get("/bad").finish(function () { ok(false); });
        setTimeout(function wait () {
            if (requests < 7) setTimeout(wait, 5);
            else setTimeout(function () { server.close(); }, 20);
        }, 5);

        throws(function () { client.get("no slash"); }, "no path");
        throws(function () { client.get("/", [["X", "\n"]]); }, "one line");
        throws(function () { node.http.createClient("x"); }, "whole number");
    });
    server.listen(0, "127.0.0.1");

    function take (response, done) {
        var text = "";
        response.addListener("body", function (chunk) { text += chunk; });
        response.addListener("complete", function () { done(text); });
    }
}
