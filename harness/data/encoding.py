"""Text files that are not UTF-8: told apart, named, and decoded where the experiment says how."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from harness.errors import DataError, Problem

UTF8 = "utf-8"
# The marks of UTF-32 first: one of them begins as one of UTF-16 does.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
# Control characters that texts do without, and their share from which on a file is none.
_CONTROLS, _MANY = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1a\x1b")), 0.02


@dataclass(frozen=True, slots=True)
class EncodingGuess:
    """An encoding that a file seems to have."""

    encoding: str
    """A name that ``data.encoding`` takes."""
    sample: str
    """A line that shows it, decoded."""


def as_utf8(source: str, content: bytes, encoding: str) -> bytes:
    """The content of a file in UTF-8, without a byte order mark.

    UTF-8 itself is not checked: its readers locate each row that is not.

    Raises:
        DataError: the content is not in this encoding.
    """
    if codecs.lookup(encoding).name == UTF8:
        wide = _wide(content)
        if wide == "":
            what = "is no text, or in no encoding that can be told; save it as UTF-8"
            raise DataError(Problem(source, what))
        if wide is not None:
            name = wide[:6].upper()
            what = f"is {name}, not UTF-8; set data.encoding: {wide}, or save as UTF-8"
            raise DataError(Problem(source, what))
        return content.removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode(encoding).removeprefix("\ufeff").encode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            Problem(
                f"{source}:{line}",
                f"byte 0x{content[error.start]:02x} is not {encoding} (data.encoding); name "
                "another encoding, or save the file as UTF-8 and leave data.encoding out",
            )
        ) from error


def _wide(content: bytes) -> str | None:
    """The encoding of two or four bytes a letter; empty for what is no text, None for others."""
    for mark, name in _MARKS.items():
        if content.startswith(mark):
            return name
    zeros, controls = content.count(0), len(content) - len(content.translate(None, _CONTROLS))
    if controls <= _MANY * len(content):
        return None
    # Of most letters the one byte is 0.
    for name, high in (("utf-16-le", content[1::2]), ("utf-16-be", content[::2])):
        if high.count(0) > 0.9 * zeros > 0.9 * len(content) / 4:
            return name
    return ""


def not_utf8(error: UnicodeDecodeError) -> str:
    """What is wrong with a line, and what to do."""
    return (
        f"not UTF-8: byte 0x{error.object[error.start]:02x} at byte {error.start + 1} of the line; "
        "save the file as UTF-8, or name its encoding in data.encoding"
    )


def guess_encoding(content: bytes) -> EncodingGuess:
    """UTF-8 where that explains most of the lines beyond ASCII; else UTF-16, -32 or Windows-1252.

    Every file can be read as a Western one-byte encoding, so it is only a guess: look at the
    sample.
    """
    wide = _wide(content)
    if wide == "":
        return EncodingGuess(UTF8, "")
    if wide is not None:
        return EncodingGuess(wide, content[:400].decode(wide, "replace").split("\n")[0])
    wrong, right = list[bytes](), 0
    for line in content.split(b"\n"):
        try:
            right += not line.decode(UTF8).isascii()
        except UnicodeDecodeError:
            wrong.append(line)
    if len(wrong) <= right:
        return EncodingGuess(UTF8, "")
    try:
        content.decode("windows-1252")
    except UnicodeDecodeError:
        return EncodingGuess("latin-1", wrong[0].decode("latin-1").strip())
    return EncodingGuess("windows-1252", wrong[0].decode("windows-1252").strip())
