"""What a command prints: collected, and handed to the engine line by line while it runs.

Shared by the local and the remote commands of the Command stand-in; starts no process, knows no transport.
"""

from __future__ import annotations

import codecs
import signal as signals
import threading
from collections.abc import Callable

LONGEST_LINE = 64 * 1024  # bytes; the official plugin's log reader stops at a longer line, and the command with it
STREAMS = {
    "stdout": {"stdout"},
    "stderr": {"stderr"},
    "stdoutAndStderr": {"stdout", "stderr"},
    "none": set[str](),
}


class CommandError(Exception):
    """A command could not be run, or failed; the text is what the user is shown."""


class Output:
    """Both streams of one command. `feed` may be called by two threads at once."""

    def __init__(self, logging: str | None, line: Callable[[str], None]) -> None:
        """`logging`: stdout, stderr, stdoutAndStderr (also None), none; an unknown word logs nothing.

        `line` is called with each complete line of the logged streams.
        """
        self._logged = STREAMS.get(logging or "stdoutAndStderr", set())
        self._line = line
        self._parts: list[tuple[str, bytes]] = []
        self._rest = b""
        self._lock = threading.Lock()
        self.stuck = False

    def feed(self, stream: str, data: bytes) -> None:
        """Take a piece of `stream` ("stdout" or "stderr")."""
        with self._lock:
            self._parts.append((stream, data))
            if stream not in self._logged or self.stuck:
                return
            *lines, self._rest = (self._rest + data).split(b"\n")
            for text in lines:
                if not self._shown(text):
                    return
            if len(self._rest) >= LONGEST_LINE:
                self._shown(self._rest)

    def close(self) -> None:
        """Both streams have ended: hand out the last line, if it has no newline."""
        with self._lock:
            if self._rest and not self.stuck:
                self._shown(self._rest)
            self._rest = b""

    def text(self, stream: str) -> str:
        """All of one stream without one final newline. Raises CommandError when it is not UTF-8."""
        data = b"".join(piece for name, piece in self._parts if name == stream)
        try:
            return codecs.decode(data, "utf-8").removesuffix("\n")
        except UnicodeDecodeError as error:
            text = "grpc: error while marshaling: string field contains invalid UTF-8"
            raise CommandError(text) from error

    def mixed(self) -> str:
        """Both streams in the order of arrival, for error texts."""
        return b"".join(piece for _name, piece in self._parts).decode(errors="replace")

    def _shown(self, text: bytes) -> bool:
        if len(text) >= LONGEST_LINE:
            self.stuck = True
            self._line(
                f"a line of more than {LONGEST_LINE} bytes: the official plugin waits here for ever, so "
                'does this one; set logging to "none" or fold the line'
            )
            return False
        self._line(text.removesuffix(b"\r").decode(errors="replace"))
        return True


def go_quote(text: str) -> str:
    """The text in double quotes as the official plugin's language quotes it in messages."""
    short = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v",
             "\\": r"\\", '"': r"\""}  # fmt: skip
    out = []
    for char in text:
        code = ord(char)
        if char in short:
            out.append(short[char])
        elif char.isprintable():
            out.append(char)
        else:
            out.append(f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return '"' + "".join(out) + '"'


def ended_text(returncode: int) -> str:
    """How a local process ended, in the official words; empty for success."""
    if returncode < 0:
        name = signals.strsignal(-returncode)
        return f"signal: {(name or str(-returncode)).lower()}"
    return f"exit status {returncode}" if returncode else ""
