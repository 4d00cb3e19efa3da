var d = require("inner/d.js");
include("inner/included.js");
var string = "A";

exports.A = function () { return string; };
exports.D = function () { return d.D(); };
exports.d = d;
exports.filename = __filename;

function onLoad () {
    loads.push("a");
}

function onExit () {
    string = "A done";
}
