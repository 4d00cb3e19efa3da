"""Sockhop's wire, pure: no loop, socket, file or clock.

lines     bytes to lines, and which terminators there are
envelope  lines to messages, values to lines
quick     most lines to messages, faster
types     the names that values travel under, and what becomes of them here
"""
