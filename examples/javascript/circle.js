// A module; see foo.js and included.js.

var PI = 3.14;

exports.area = function (r) {
    return PI * r * r;
};

exports.circumference = function (r) {
    return 2 * PI * r;
};

function onExit () {
    stderr.puts("circle.js: done");
}
