"""Text files that are not UTF-8: told apart, named, and decoded where the experiment says how."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from harness.errors import DataError, Problem

UTF8 = "utf-8"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class EncodingGuess:
    """encoding: a name that ``data.encoding`` takes. sample: a line that shows it, decoded."""

    encoding: str
    sample: str


def as_utf8(source: str, content: bytes, encoding: str) -> bytes:
    """The content of a file in UTF-8, without a byte order mark.

    UTF-8 itself is not checked: its readers locate each row that is not.

    Raises:
        DataError: the content is not in this encoding.
    """
    if codecs.lookup(encoding).name == UTF8:
        if content.startswith(_UTF16):
            raise DataError(
                Problem(source, "is UTF-16, not UTF-8; set data.encoding: utf-16, or save as UTF-8")
            )
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


def not_utf8(error: UnicodeDecodeError) -> str:
    """What is wrong with a line, and what to do."""
    return (
        f"not UTF-8: byte 0x{error.object[error.start]:02x} at byte {error.start + 1} of the line; "
        "save the file as UTF-8, or name its encoding in data.encoding"
    )


def guess_encoding(content: bytes) -> EncodingGuess:
    """UTF-8 where that explains most of the lines beyond ASCII; else UTF-16 or Windows-1252.

    Every file can be read as a Western one-byte encoding, so it is only a guess: look at the
    sample.
    """
    if content.startswith(_UTF16):
        return EncodingGuess("utf-16", content[:400].decode("utf-16", "replace").split("\n")[0])
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
