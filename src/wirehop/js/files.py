"""Files of a program (seed: Node 0.1.0, "File I/O")."""

from __future__ import annotations

from functools import partial
from typing import Any

from wirehop.js.bridge import Bridge, Operations
from wirehop.js.results import Results
from wirehop.js.values import data, failure, whole
from wirehop.node import fs, http, locations
from wirehop.node.file import File, stderr, stdin, stdout

__all__ = ["Files"]

STANDARD = (stdin, stdout, stderr)


class Files:
    """The wrappers of POSIX, and the files that have a queue."""

    def __init__(self, bridge: Bridge, results: Results) -> None:
        self._bridge = bridge
        self._results = results
        self._files: dict[float, File] = {}
        self._encodings: dict[float, str] = {}
        self._unread: set[float] = set()
        """The files of which it was said that nobody reads them any more."""

    @property
    def operations(self) -> Operations:
        of = self._results.of
        return {
            "fsRename": lambda number, path1, path2: of(number, fs.rename(path1, path2)),
            "fsStat": lambda number, path: of(number, fs.stat(path)),
            "fsUnlink": lambda number, path: of(number, fs.unlink(path)),
            "fsRmdir": lambda number, path: of(number, fs.rmdir(path)),
            "fsExists": lambda number, path: of(number, fs.exists(path)),
            "fsClose": lambda number, fd: of(number, fs.close(whole(fd, "fd"))),
            "fsOpen": self._open,
            "fsRead": self._read,
            "fsWrite": self._write,
            "fsCat": lambda number, path, encoding: of(number, fs.cat(path, encoding)),
            "httpCat": lambda number, url, encoding: of(number, http.cat(url, encoding)),
            "cat": lambda number, location, encoding: of(number, locations.cat(location, encoding)),
            "fileNew": self._file_new,
            "fileForget": self._file_forget,
            "fileOpen": self._file_open,
            "fileClose": self._file_close,
            "fileRead": self._file_read,
            "fileWrite": self._file_write,
            "filePrint": self._file_print,
        }

    # --- the wrappers

    def _open(self, number: float, path: str, flags: Any, mode: Any) -> None:
        self._results.of(number, fs.open(path, whole(flags, "flags"), whole(mode, "mode")))

    def _read(self, number: float, fd: Any, length: Any, position: Any, encoding: str) -> None:
        promise = fs.read(whole(fd, "fd"), whole(length, "length"), _position(position), encoding)
        self._results.of(number, promise)

    def _write(self, number: float, fd: Any, text: str, kind: int, position: Any) -> None:
        self._results.of(number, fs.write(whole(fd, "fd"), data(text, kind), _position(position)))

    # --- files with a queue; ``number`` is the one of the promise

    def _file_new(self, file: float, fd: Any) -> None:
        fd = None if fd is None else whole(fd, "fd")
        # The queues of the standard streams are those that are written out at the end of a program.
        made = next((stream for stream in STANDARD if stream.fd == fd), None) if fd is not None else None
        self._files[file] = made = made or File(fd=fd)
        made.on("error", partial(self._file_failed, file))

    def _file_forget(self, file: float) -> None:
        del self._files[file]
        self._encodings.pop(file, None)
        self._unread.discard(file)

    def _file_failed(self, file: float, error: Exception) -> None:
        # A program that goes on printing for a reader who left is told once.
        was_said = isinstance(error, BrokenPipeError) and file in self._unread
        self._unread.discard(file)
        if isinstance(error, BrokenPipeError):
            self._unread.add(file)
        self._bridge.up("fileFailed", file, self._bridge.text(failure(error)), was_said)

    def _file_open(self, file: float, number: float, path: str, mode: str) -> None:
        self._results.of(number, self._files[file].open(path, mode))

    def _file_close(self, file: float, number: float) -> None:
        self._results.of(number, self._files[file].close())

    def _file_read(self, file: float, number: float, length: Any, position: Any, encoding: str) -> None:
        opened = self._files[file]
        if self._encodings.get(file, "raw") != encoding:
            self._encodings[file] = encoding
            opened.set_encoding(encoding)
        self._results.of(number, opened.read(whole(length, "length"), _position(position)))

    def _file_write(self, file: float, number: float, text: str, kind: int, position: Any) -> None:
        self._results.of(number, self._files[file].write(data(text, kind), _position(position)))

    def _file_print(self, file: float, number: float, text: str, kind: int) -> None:
        self._results.of(number, self._files[file].print(data(text, kind)))


def _position(value: Any) -> int | None:
    return None if value is None else whole(value, "position")
