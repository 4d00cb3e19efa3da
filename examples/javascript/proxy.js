// A proxy in front of one server. Bodies pass through in pieces, both ways, and are never whole in memory.
//
//     wirehop run proxy.js PORT OF_THE_SERVER [PORT [HOST]]
//     curl --data-binary @file http://127.0.0.1:8001/

var port = Number(ARGV[2]);
var host = ARGV[4] || "127.0.0.1";
var METHODS = { GET: "get", HEAD: "head", POST: "post", PUT: "put", DELETE: "del" };

// What concerns one connection only, and what the client says by itself.
var HOP_BY_HOP = /^(connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|host|expect|date)$/i;

function passedOn (headers) {
    return headers.filter(function (header) { return !HOP_BY_HOP.test(header[0]); });
}

var proxy = node.http.createServer(function (request, response) {
    var method = METHODS[request.method];
    if (!method) {
        response.sendHeader(405, [["Allow", "GET, HEAD, POST, PUT, DELETE"]]);
        response.finish();
        return;
    }

    // A client of its own for each request: those of one client wait for each other.
    var client = node.http.createClient(port, host);
    var begun = false;
    client.addListener("error", function (error) {
        if (begun) {
            // Half an answer is none: let the other side see it.
            request.connection.forceClose();
            return;
        }
        begun = true;
        response.sendHeader(502, [["Content-Type", "text/plain"]]);
        response.sendBody(error.message + "\n");
        response.finish();
    });

    var forwarded = client[method](request.uri.relative, passedOn(request.headers).concat([["Connection", "close"]]));
    request.addListener("body", function (chunk) { forwarded.sendBody(chunk); });
    request.addListener("complete", function () {
        forwarded.finish(function (answer) {
            begun = true;
            response.sendHeader(answer.statusCode, passedOn(answer.headers));
            answer.addListener("body", function (chunk) { response.sendBody(chunk); });
            answer.addListener("complete", function () { response.finish(); });
        });
    });
});

proxy.addListener("listening", function () {
    puts("Proxy running at http://127.0.0.1:" + proxy.port + "/");
});
proxy.listen(Number(ARGV[3] || 8001));
