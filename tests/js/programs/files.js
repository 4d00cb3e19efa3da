include("modules/check.js");

function onLoad () {
    expect(39);
    var path = node.path.join(ARGV[2], "file");
    var done = [];

    // A queue: nothing has to be waited for.
    var file = new node.fs.File({ encoding: "utf8" });
    equal(file.fd, null);
    file.open(path, "w+").addCallback(function (fd) {
        done.push("open");
        equal(file.fd, fd);
    });
    file.write("hello ").addCallback(function (written) {
        done.push("write");
        equal(written, 6);
    });
    file.write([119, 0xc3, 0xb8, 114, 108, 100]).addCallback(function (written) { equal(written, 6); });
    file.print("!");
    file.puts("?");
    file.read(100, 0).addCallback(function (text) {
        done.push("read");
        equal(text, "hello wørld!?\n");
        // Asked for by a callback: after what was asked for before.
        equal(done, ["open", "write", "read"]);
    });
    file.read(100, 100).addCallback(function (text) { equal(text, null); });
    file.close().addCallback(function () {
        equal(file.fd, null);
        posix();
    });

    function posix () {
        node.fs.stat(path).addCallback(function (stats) {
            equal(stats.size, 15);
            ok(stats.mtime instanceof Date && Math.abs(stats.mtime - new Date()) < 60000);
            equal(stats.isDirectory, undefined);
            equal(typeof stats.mode, "number");
        });
        node.fs.open(path, node.O_RDWR).addCallback(function (fd) {
            node.fs.read(fd, 5, 0, node.UTF8).addCallback(function (text) {
                equal(text, "hello");
                node.fs.read(fd, 3, 7, node.RAW).addCallback(function (bytes) {
                    equal(bytes, [0xc3, 0xb8, 114]);
                    node.fs.read(fd, 5, 1000).addCallback(function (end) {
                        equal(end, null);
                        write(fd);
                    });
                });
            });
        });
    }

    function write (fd) {
        node.fs.write(fd, "HE", 0).addCallback(function (written) {
            equal(written, 2);
            // Beyond 2**32: positions are no 32-bit integers.
            node.fs.write(fd, [0, 255, 1], 5000000000).addCallback(function (written) {
                equal(written, 3);
                node.fs.stat(path).addCallback(function (stats) {
                    equal(stats.size, 5000000003);
                    node.fs.read(fd, 10, 5000000000).addCallback(function (bytes) {
                        equal(bytes, [0, 255, 1]);
                        node.fs.close(fd).addCallback(cat);
                    });
                });
            });
        });
    }

    function cat () {
        equal(arguments.length, 0);
        node.fs.unlink(path).addCallback(function () {
            var again = new node.fs.File();
            again.open(path, "w");
            again.write("caf\u00e9 \u20ac \ud83d\ude00\0");
            again.close().addCallback(function () {
                // They are in no order: what follows waits for all of them.
                var left = 5;
                function done () {
                    left -= 1;
                    if (left === 0) rename();
                }
                node.fs.cat(path).addCallback(function (text) { equal(text, "café € 😀\0"); done(); });
                node.fs.cat(path, "raw").addCallback(function (bytes) {
                    equal(bytes.slice(3, 5), [0xc3, 0xa9]);
                    equal(bytes.length, 15);
                    done();
                });
                node.cat(path, "utf8").addCallback(function (text) { equal(text.length, 10); done(); });
                node.fs.exists(path, function (is) { equal(is, true); done(); });
                node.fs.exists(path + "x").addCallback(function (is) { equal(is, false); done(); });
            });
        });
    }

    function rename () {
        node.fs.rename(path, path + "2").addCallback(function () {
            node.fs.stat(path).addErrback(function (error) {
                equal(error.code, "ENOENT");
                ok(error.message.indexOf(path) >= 0);
                node.fs.rmdir(ARGV[2]).addErrback(function (error) {
                    equal(error.code, "ENOTEMPTY");
                    failing();
                });
            });
        });
    }

    // An error is told of, and the queue goes on.
    function failing () {
        var errors = 0;
        var bad = new node.fs.File();
        bad.addListener("error", function (error) {
            errors += 1;
            equal(error.code, errors === 1 ? "ENOENT" : "EBADF");
        });
        bad.open(path + "/nowhere", "r").addErrback(function (error) { ok(error instanceof Error); });
        bad.read(1);
        bad.open(path + "2", "r").addCallback(function () {
            equal(errors, 2);
        });
        bad.close().addCallback(function () { last(); });
    }

    function last () {
        throws(function () { new node.fs.File({ encoding: "utf7" }); }, "no encoding");
        var file = new node.fs.File();
        throws(function () { file.open(path, "rw"); }, "no mode");
        throws(function () { file.write({}); }, "string or an array");
        throws(function () { file.write([256]); }, "no byte");
        throws(function () { node.fs.stat("a\0b"); }, "null character");
        throws(function () { node.fs.read("x", 1); }, "whole number");
    }
}
