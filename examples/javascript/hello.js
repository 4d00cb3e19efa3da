// A web server that answers after a while, and answers others meanwhile.
//
//     wirehop run hello.js [PORT [SECONDS]]
//     curl http://127.0.0.1:8000/

var port = Number(ARGV[2] || 8000);
var seconds = Number(ARGV[3] || 2);

var server = node.http.createServer(function (request, response) {
    setTimeout(function () {
        response.sendHeader(200, [["Content-Type", "text/plain"]]);
        response.sendBody("Hello World");
        response.finish();
    }, seconds * 1000);
});

server.addListener("listening", function () {
    puts("Server running at http://127.0.0.1:" + server.port + "/");
});
server.listen(port);
