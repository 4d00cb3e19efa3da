// A server that is closed is still asked on the connections that it has.
include("modules/check.js");

function onLoad () {
    expect(2);
    var asked = 0;
    var server = node.http.createServer(function (request, response) {
        asked += 1;
        server.close();
        setTimeout(function () {
            response.sendHeader(200, []);
            response.sendBody(request.uri.path);
            response.finish();
        }, 1);
    });
    server.listen(0, "127.0.0.1");
    server.addListener("listening", function () {
        var text = "";
        var connection = node.tcp.createConnection(server.port);
        connection.setEncoding("utf8");
        connection.addListener("connect", function () {
            connection.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
        });
        connection.addListener("receive", function (chunk) { text += chunk; });
        connection.addListener("eof", function () { connection.close(); });
        connection.addListener("disconnect", function () {
            ok(text.indexOf("/1") > 0);
            equal(asked, 2);
            // It can listen again.
            server.listen(0, "127.0.0.1");
            server.listeners("listening").length = 0;
            server.close();
        });
    });
}
