"""A module is there when on_load() is called: wirehop run foo.py"""

from wirehop import node

circle = require("circle.py")


def on_load():
    node.puts(f"The area of a circle of radius 4 is {circle.area(4)}")
