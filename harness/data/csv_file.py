"""Rows of a CSV file, whatever its separator; every row that cannot be read is located."""

from __future__ import annotations

import csv
import io
import itertools
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from harness.data.encoding import not_utf8
from harness.data.rows import Row, Rows, check_header, rows_of
from harness.errors import DataError, Problem
from harness.wording import listed

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
# Rows that are looked at to find the separator.
_SAMPLE = 200
# The first line by which spreadsheets tell each other the separator.
_SEPARATOR_LINE = re.compile(
    r'"?sep=(?P<separator>[^\r\n"]|\\t)"?[,;\t ]*(?:\r\n|\r|\n)', re.IGNORECASE
)


def csv_rows(source: str, content: bytes) -> Rows:
    """Rows of a file in UTF-8 with a header; a line ``sep=;`` before it names the separator.

    Rows without any value are passed over, and so are columns without a name and any value, as
    spreadsheets leave them; an unnamed column with values is called by its place.

    Raises:
        DataError: the header is damaged, names a column twice or is no header of most rows, the
            separator that is named divides nothing, or there is no row.
    """
    text, undecodable = _decode_lines(content)
    named = _SEPARATOR_LINE.match(text)
    with _long_fields():
        if named is None:
            return _read(source, text, undecodable, separator_of(text))
        separator = named["separator"].replace("\\t", "\t")
        if separator not in text[named.end() :]:
            what = f"says that {_marks(separator)} separate the fields, and the rows hold none"
            raise DataError(Problem(f"{source}:1", f"{what}: mend or remove this line"))
        # An empty line in its place keeps the numbers of the others.
        return _read(source, "\n" + text[named.end() :], undecodable, separator)


def separator_of(text: str) -> str:
    """The separator (comma, semicolon, tab or bar) that fits most rows to the header.

    The comma where none divides the header, and on a tie.
    """

    def fitness(separator: str) -> tuple[float, int]:
        counts = _field_counts(text, separator)
        width = next(counts, (0, 0))
        if width[0] < 2:
            return 0.0, 0
        # Empty fields at the end may be left out, or stand there without a name.
        same = Counter(count[0] == width[0] or count[1] == width[1] for count in counts)
        return same[True] / max(1, same.total()), width[1]

    fits = {separator: fitness(separator) for separator in SEPARATORS}
    # A comma within texts of a file with semicolons divides some rows, but not all alike.
    return max(SEPARATORS, key=lambda separator: (fits[separator][0], separator == ","))


def _field_counts(text: str, separator: str) -> Iterator[tuple[int, int]]:
    """Numbers of fields of each row, with and without the empty ones at its end."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for fields in itertools.islice(reader, _SAMPLE):
            filled = [place for place, field in enumerate(fields, 1) if field.strip()]
            if filled:
                yield len(fields), filled[-1]
    except csv.Error:
        # What is wrong is said where the rows are read.
        return


def _read(source: str, text: str, undecodable: dict[int, str], separator: str) -> Rows:
    lines: list[tuple[int, list[str]]] = []
    problems: list[Problem] = []
    header: list[str] | None = None
    misfits: list[int] = []
    # newline="" keeps line breaks within quotes as they are; strict finds unclosed quotes.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    while True:
        first = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            problems.append(Problem(f"{source}:{first}", _csv_problem(error)))
            # What the quote ran over may have held rows of its own.
            problems.extend(
                Problem(f"{source}:{line}", f"lost to the quote that is open since line {first}")
                for line in range(first + 1, reader.line_num + 1)
            )
            continue
        spanned = range(first, reader.line_num + 1)
        bad = [(line, undecodable[line]) for line in spanned if line in undecodable]
        if bad:
            problems.extend(Problem(f"{source}:{line}", what) for line, what in bad)
        elif not any(map(str.strip, fields)):
            continue
        elif header is None:
            header = [name.strip() for name in fields]
            check_header(f"{source}:{first}", list(filter(None, header)))
        elif (fitted := _fitted(fields, header)) is None:
            misfits.append(len(fields))
            what = (
                f"{len(fields)} fields where the header has {len(header)}; "
                f"put quotes around fields that hold {_marks(separator)}"
            )
            problems.append(Problem(f"{source}:{first}", what))
        else:
            lines.append((first, fitted))
        if header is None:
            raise DataError(problems)
    if header is not None and len(set(misfits)) == 1 and len(misfits) > len(lines):
        what = (
            f"{len(misfits)} rows have {misfits[0]} fields, and what stands first, as the header, "
            f"has {len(header)} ({', '.join(header):.60}): begin the file with a name for each "
            f"column, and put quotes around fields that hold {_marks(separator)}"
        )
        raise DataError(Problem(source, what))
    kept, notes = _names(header or [], [fields for _, fields in lines])
    rows = [
        Row(line, {name: fields[place] for place, name in kept.items()}) for line, fields in lines
    ]
    return rows_of(source, rows, problems, tuple(kept.values()), notes)


def _fitted(fields: list[str], header: list[str]) -> list[str] | None:
    """A row with as many fields as the header; None where more is amiss than empty last ones."""
    width = len(header)
    missing, more = header[len(fields) :], fields[width:]
    if any(missing) or any(map(str.strip, more)):
        return None
    return [*fields[:width], *([""] * len(missing))]


def _names(header: list[str], rows: list[list[str]]) -> tuple[dict[int, str], list[str]]:
    """Place -> name of the columns that are kept, and what is said about the others."""
    unnamed = [place for place, name in enumerate(header) if not name]
    filled = [place for place in unnamed if any(fields[place].strip() for fields in rows)]
    kept: dict[int, str] = {}
    for place, name in enumerate(header):
        if name:
            kept[place] = name
        elif place in filled:
            kept[place] = f"column {place + 1}"
            while kept[place] in header:
                kept[place] += "_"
    named = ", ".join(f"`{kept[place]}`" for place in filled)
    notes = [f"a column without a name is called {named}"] if filled else []
    twice = [
        name
        for place, name in kept.items()
        if any(fields[place].strip() == name for fields in rows)
    ]
    if twice:
        named = listed(f"`{name:.40}`" for name in twice[:3])
        notes.append(
            f"{named} is the name of a column and stands in it, too: where the first line is a "
            "row, put a line with a name for each column before it"
        )
    return kept, notes


def _marks(separator: str) -> str:
    return SEPARATORS.get(separator, f"the sign {separator!r}")


def _decode_lines(content: bytes) -> tuple[str, dict[int, str]]:
    """The text, and line number -> what is wrong for lines that are not UTF-8."""
    try:
        return content.decode("utf-8"), {}
    except UnicodeDecodeError:
        lines, undecodable = [], {}
        for number, raw in enumerate(content.splitlines(keepends=True), start=1):
            try:
                lines.append(raw.decode("utf-8"))
            except UnicodeDecodeError as error:
                undecodable[number] = not_utf8(error)
                lines.append(raw.decode("utf-8", errors="replace"))
        return "".join(lines), undecodable


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let the csv module take fields above its 128 KiB; documents may be longer."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _csv_problem(error: csv.Error) -> str:
    if "unexpected end of data" in str(error):
        return "a quote that opens in this row is never closed; close it or double it"
    return f"not valid CSV: {error}; put quotes around the field and double those within it"
