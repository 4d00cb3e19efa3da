// A queue of file operations: they are done in order, without waiting for each other here.
//
//     wirehop run files.js DIRECTORY

var path = node.path.join(ARGV[2] || "/tmp", "wirehop-example");
var file = new node.fs.File({ encoding: "utf8" });

file.addListener("error", function (error) {
    stderr.puts("it failed: " + error.message);
});

file.open(path, "w+");
file.write("hello ");
file.write("world");
file.read(100, 0).addCallback(function (text) {
    puts("read: " + text);
});
file.close().addCallback(function () {
    // No order between those that are no File: each waits for the one before.
    node.fs.rename(path, path + ".txt").addCallback(function () {
        node.fs.stat(path + ".txt").addCallback(function (stats) {
            puts("size: " + stats.size);
            node.fs.unlink(path + ".txt").addCallback(function () {
                puts("successfully deleted");
            });
        });
    });
});
