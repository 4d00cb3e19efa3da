"""The exports of an included module are names of this one: wirehop run included.py"""

from wirehop import node

include("circle.py")


def on_load():
    node.puts(f"The area of a circle of radius 4 is {area(4)}")
