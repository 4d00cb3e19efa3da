include("modules/check.js");

var N = 100;

function onLoad () {
    expect(23 + 2 * N);
    pingPong();
    reconnect();
    states();
}

function pingPong () {
    var count = 0;
    var server = node.tcp.createServer(function (socket) {
        equal(socket.remoteAddress, "127.0.0.1");
        ok(socket.server === server);
        ok(socket instanceof node.tcp.Connection);
        socket.setEncoding("UTF8");
        socket.addListener("receive", function (data) {
            equal(socket.readyState, "open");
            if (/PING/.exec(data)) socket.send("PONG");
        });
        socket.addListener("eof", function () {
            equal(socket.readyState, "writeOnly");
            socket.close();
        });
        socket.addListener("disconnect", function (hadError) {
            equal(hadError, false);
            equal(socket.readyState, "closed");
            socket.server.close();
            socket.server.close();
        });
    });
    server.addListener("listening", function () {
        var client = node.tcp.createConnection(server.port);
        equal(client.readyState, "opening");
        client.setEncoding("utf8");
        client.addListener("connect", function () { client.send("PING"); });
        client.addListener("receive", function (data) {
            equal(data, "PONG");
            count += 1;
            if (count < N) client.send("PING"); else client.close();
        });
        client.addListener("disconnect", function () { equal(count, N); });
    });
    server.listen(0, "127.0.0.1");
    throws(function () { server.listen(0); }, "listens already");
}

// The same object, from inside of its own end; and raw data, which is an array of integers.
function reconnect () {
    var left = 3;
    var server = node.tcp.createServer(function (socket) {
        socket.addListener("receive", function (bytes) {
            if (!(bytes instanceof Array)) throw new Error("raw data is an array");
            socket.send(bytes);
            socket.fullClose();
        });
    });
    server.listen(0);
    server.addListener("listening", function () {
        var client = node.tcp.createConnection(server.port);
        var back = [];
        client.addListener("connect", function () {
            client.send([0, 1, 127, 128, 255]);
            client.send("\u0000\u00ff", "raw");
        });
        client.addListener("receive", function (bytes) { back = back.concat(bytes); });
        client.addListener("eof", function () { client.close(); });
        client.addListener("disconnect", function (hadError) {
            equal(hadError, false);
            left -= 1;
            if (left > 0) {
                client.connect(server.port);
                return;
            }
            equal(back.slice(0, 7), [0, 1, 127, 128, 255, 0, 255]);
            server.close();
            // And again, when it is long over.
            setTimeout(function () {
                client.removeAllListeners("disconnect");
                client.addListener("disconnect", function (hadError) { equal(hadError, true); });
                client.connect(server.port);
            }, 5);
        });
    });
}

function states () {
    var connection = new node.tcp.Connection();
    equal(connection.readyState, "closed");
    throws(function () { connection.send("x"); }, "Socket is not open for writing");
    throws(function () { connection.connect(); }, "port");
    throws(function () { connection.connect("x"); }, "whole number");
    connection.close();
    connection.fullClose();
    connection.forceClose();

    var taken = node.tcp.createServer(function (socket) {
        socket.addListener("eof", function () { socket.close(); });
    });
    taken.listen(0, "127.0.0.1");
    taken.addListener("listening", function () {
        // At the call, as in the seed.
        throws(function () { node.tcp.createServer().listen(taken.port, "127.0.0.1"); }, "in use");
        connection.connect(taken.port);
        throws(function () { connection.connect(taken.port); }, "not over");
        connection.addListener("connect", function () {
            throws(function () { connection.send("caf\u00e9", "ascii"); }, "not ascii");
            throws(function () { connection.send({}); }, "string or an array");
            connection.send("ok");
            connection.forceClose();
            equal(connection.readyState, "closed");
            taken.close();
        });
        connection.addListener("disconnect", function () { ok(false); });
    });
}
