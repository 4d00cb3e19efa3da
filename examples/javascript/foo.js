// A program with a module of its own.
//
//     wirehop run foo.js

var circle = require("circle.js");

function onLoad () {
    puts("The area of a circle of radius 4 is " + circle.area(4));
}

function onExit () {
    stderr.puts("foo.js: done");
}
