"""Address lines and their parts, as the published labels have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.packaged import data_sets as packaged_data
from harness.packaged import fetch as packaged
from harness.packaged.addresses import parse_addresses
from harness.packaged.catalogue import ASSETS


def line(**words: str) -> str:
    """One address of the published form; a keyword is a label and its words."""
    return " ".join(
        f"<{label}>{word}</{label}>" for label, several in words.items() for word in several.split()
    )


def collection(*lines: str) -> bytes:
    inner = "\n".join(f"<AddressString>{one}</AddressString>" for one in lines)
    return f"<AddressCollection>\n{inner}\n</AddressCollection>".encode()


WHOLE = line(
    AddressNumber="12", StreetNamePreDirectional="N.", StreetName="St. José",
    StreetNamePostType="Ave.,", OccupancyType="Apt", OccupancyIdentifier="4,",
    PlaceName="New York,", StateName="NY", ZipCode="10001",
)  # fmt: skip


def test_words_of_a_part_are_joined_and_end_without_a_comma() -> None:
    (row,) = parse_addresses(collection(WHOLE))
    assert row.line == 1
    assert row.values == {
        "text": "12 N. St. José Ave., Apt 4, New York, NY 10001",
        "number": "12",
        "street": "N. St. José Ave.",
        "unit": "Apt 4",
        "city": "New York",
        "state": "NY",
        "zip": "10001",
    }


def test_an_absent_part_is_empty() -> None:
    (row,) = parse_addresses(collection(line(AddressNumber="7", StreetName="Broadway")))
    assert row.values == {
        "text": "7 Broadway", "number": "7", "street": "Broadway",
        "unit": "", "city": "", "state": "", "zip": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    "left_out",
    [
        line(Recipient="Mr. Kent", AddressNumber="1", StreetName="Main"),
        line(USPSBoxType="PO Box", USPSBoxID="3"),
        # A part in two places: the state's name is labelled as a street's, too.
        line(StreetName="Main", PlaceName="Reno", StreetNamePostType="NV", StateName="NV"),
        "",
    ],
)
def test_lines_that_are_not_all_address_are_left_out(left_out: str) -> None:
    read = parse_addresses(collection(left_out, WHOLE, WHOLE))
    assert [row.line for row in read] == [2]  # and the repeat of the second


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<AddressCollection><AddressString>", "not well-formed XML"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "a document type"),
    ],
)
def test_what_is_no_such_file_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(HarnessError, match=f"packaged:us-addresses: .*{said}"):
        parse_addresses(content)


def test_the_data_set_is_read_from_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "labeled.xml"
    path.write_bytes(collection(WHOLE))
    monkeypatch.setattr(packaged_data, "fetch", lambda *_, **__: path)
    (row,) = packaged_data.packaged_rows("us-addresses")
    assert row.values["city"] == "New York"
    assert ASSETS["us-addresses"].distribution.licence == "mit"


@pytest.mark.real_data
def test_the_published_lines() -> None:
    if not packaged.is_cached("us-addresses"):
        pytest.skip(f"no us-addresses in the cache {packaged.cache_folder()}; this fetches none")
    rows = packaged_data.packaged_rows("us-addresses")
    assert len(rows) == len({row.values["text"] for row in rows}) == 1147
    parts = ("number", "street", "unit", "city", "state", "zip")
    held = {part: sum(bool(row.values[part]) for row in rows) for part in parts}
    assert held == {
        "number": 1121, "street": 1136, "unit": 365, "city": 774, "state": 693, "zip": 719,
    }  # fmt: skip
    assert all(row.values[part] in row.values["text"] for row in rows for part in parts)
