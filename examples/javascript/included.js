// The same, with the names of the module as names of the program.

include("circle.js");

function onLoad () {
    puts("The area of a circle of radius 4 is " + area(4));
}
