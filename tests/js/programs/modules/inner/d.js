var string = "D";

exports.D = function () { return string; };
this.byThis = "this";

onLoad = function () {
    loads.push("d");
};

var onExit = function () {
    string = "D done";
};
