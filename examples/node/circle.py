"""A module: PI is its own, the two functions are everybody's."""

PI = 3.14


def area(r):
    return PI * r * r


def circumference(r):
    return 2 * PI * r


exports.area = area
exports.circumference = circumference
