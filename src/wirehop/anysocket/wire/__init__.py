"""The anysocket wire, pure: no loop, no socket, no clock. Time and limits are passed in.

packet      the layout of a packet: head, JSON, chunks
packer      bytes as text
sequence    which numbers were seen
protocol    what may happen next on a link
"""
