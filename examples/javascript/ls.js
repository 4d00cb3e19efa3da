// A child process: what it writes, and how it ends.
//
//     wirehop run ls.js ["COMMAND"]

var ls = node.createProcess(ARGV[2] || "ls -lh /usr");

ls.addListener("output", function (data) {
    if (data !== null) print(data);
});
ls.addListener("error", function (data) {
    if (data !== null) stderr.print(data);
});
ls.addListener("exit", function (code) {
    puts("exit code " + code);
});
