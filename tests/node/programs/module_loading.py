"""Modules load before on_load() is called, each of them anew, and hear of the end before it."""

a = require("fixtures/a.py")
d = require("fixtures/b/d.py")
d2 = require("fixtures/b/d.py")


def on_load():
    assert (a.A(), a.C(), a.D()) == ("A", "C", "D")
    assert d is not d2
    assert (d.D(), d2.D()) == ("D", "D")


def on_exit():
    assert (a.A(), a.C(), a.D()) == ("A done", "C done", "D done")
    assert (d.D(), d2.D()) == ("D done", "D done")
