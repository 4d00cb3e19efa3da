// A server of "Hello World" for `wirehop run`, in the seed's style. It picks a free port and prints it.

var server = node.http.createServer(function (request, response) {
    response.sendHeader(200, [["Content-Type", "text/plain"]]);
    response.sendBody("Hello World");
    response.finish();
});
server.addListener("listening", function () {
    puts("ready " + server.port);
});
server.listen(0, "127.0.0.1");
