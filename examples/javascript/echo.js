// An echo server.
//
//     wirehop run echo.js [PORT]
//     nc 127.0.0.1 7000

function echo (socket) {
    socket.setEncoding("utf8");
    socket.addListener("connect", function () {
        socket.send("hello\r\n");
    });
    socket.addListener("receive", function (data) {
        socket.send(data);
    });
    socket.addListener("eof", function () {
        socket.send("goodbye\r\n");
        socket.close();
    });
}

var server = node.tcp.createServer(echo, { backlog: 1024 });
server.addListener("listening", function () {
    puts("Echo server at port " + server.port);
});
server.listen(Number(ARGV[2] || 7000), "localhost");
