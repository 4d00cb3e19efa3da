"""Fuzzing: coverage-guided search for bytes that break what reads bytes (``make fuzz``).

It is a folder of its own beside ``bench``, and not one of ``tests``: it is a tool that is run for
minutes or hours, with an extra to install, and what it finds becomes a test. The targets are plain
functions, ``fuzz_one(data)``, which the ordinary suite calls as well (``tests/test_fuzz_targets.py``).

choices   bytes as choices, and as a stream that is cut into pieces
loops     an event loop without time and sockets, and a transport without a network
seeds     inputs to begin with, out of the recordings in ``tests/vectors``
checks    what holds for every target: how long an input may take
targets   one module each
engine    one target under atheris, in a process of its own
report    the table of a run
"""
