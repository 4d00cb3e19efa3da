include("modules/check.js");

function onLoad () {
    expect(7);
    var backend = node.http.createServer(function (request, response) {
        response.sendHeader(200, [["content-type", "text/plain"]]);
        response.sendBody("hello world\n");
        response.finish();
    });
    var proxy = node.http.createServer(function (request, response) {
        var client = node.http.createClient(backend.port);
        client.get(request.uri.path).finish(function (answer) {
            response.sendHeader(answer.statusCode, answer.headers);
            answer.addListener("body", function (chunk) { response.sendBody(chunk); });
            answer.addListener("complete", function () { response.finish(); });
        });
    });
    backend.listen(0);
    proxy.listen(0);
    proxy.addListener("listening", function () {
        var url = "http://localhost:" + proxy.port + "/test";
        node.http.cat(url, "utf8").addCallback(function (content) {
            equal(content, "hello world\n");
            node.cat(url, "raw").addCallback(function (bytes) {
                equal(bytes.length, 12);
                equal(bytes[0], 104);
                proxy.close();
                backend.close();
                backend.close();
                setTimeout(refused, 20);
            });
        });
        function refused () {
            node.http.cat(url).addErrback(function (error) { equal(error.code, "ECONNREFUSED"); });
            var client = node.http.createClient(proxy.port);
            client.addListener("error", function (error) {
                equal(error.code, "ECONNREFUSED");
            });
            client.get("/").finish(function () { ok(false); });
        }
    });
    throws(function () { node.http.cat("ftp://localhost/"); }, "no http or https URL");
    equal(node.http.STATUS_CODES[404], "Not Found");
}
