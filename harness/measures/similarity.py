"""Similarity of meaning by an embedding model of the user's: likeness, not correctness."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import Field

from harness.measures.measure import Measure, Scorer, UnscoredError, Values, check_own_name
from harness.records import JsonValue
from harness.versions import version_of


class SimilarityMetric(Measure):
    """Cosine similarity of reply and right answer by an embedding model."""

    similarity: str = Field(
        description="Folder of an embedding model, relative to the experiment file: one of "
        "sentence-transformers (transformer and pooling) or of model2vec, with safetensors."
    )
    bounds: tuple[float | None, float | None] = Field(
        (-1.0, 1.0), alias="range", description="Least and greatest value of a cosine."
    )
    fingerprint: str = Field(
        "", description="Hash of the model's files, filled in when the experiment is read."
    )
    packages: dict[str, str] = Field(
        default_factory=dict, description="Versions of what computes it, filled in as well."
    )

    @property
    def own_name(self) -> str:
        """``similarity``; another is needed where several models are asked."""
        return "similarity"

    @property
    def is_located(self) -> bool:
        """Whether the model's files were hashed."""
        return bool(self.fingerprint)

    @property
    def kind_in_words(self) -> str:
        """The model and its hash."""
        return (
            f"cosine similarity of meaning by the embedding model {Path(self.similarity).name} "
            f"({self.fingerprint[:12]}), which is likeness, not correctness"
        )

    def located(self, folder: Path) -> Self:
        """With the model's fingerprint.

        Raises:
            ValueError: there is no such model.
        """
        from harness.measures.embedding import fingerprint_of

        if self.names is None:
            check_own_name(self.own_name)
        place = (folder / Path(self.similarity).expanduser()).resolve()
        found = fingerprint_of(place)
        if self.fingerprint and found != self.fingerprint:
            raise ValueError(
                f"{place} is not the model whose `fingerprint` stands here; remove `fingerprint` "
                "to use it as it is now"
            )
        packages = {name: version_of(name) for name in ("numpy", "tokenizers", "transformers")}
        return self.model_copy(
            update={
                "similarity": str(place),
                "fingerprint": found,
                "packages": packages,
                "names": self.metric_names,
            }
        )

    def identity(self) -> dict[str, JsonValue]:
        """The model's files and what computes it; not where it lies."""
        return {
            "similarity": self.fingerprint,
            "packages": dict(self.packages),
            "version": self.version,
            "names": list(self.metric_names),
            "range": list(self.bounds),
            "higher_is_better": self.higher_is_better,
        }

    def scorer(self) -> Scorer:
        """Compares the vectors of reply and target.

        Raises:
            ValueError: the model cannot be read.
        """
        from harness.measures.embedding import TooLongError, cosine, embedder

        embed = embedder(Path(self.similarity), self.fingerprint)

        def score(item: Mapping[str, JsonValue], reply: str, target: str) -> Values:
            try:
                return self.checked(cosine(embed(reply), embed(target)))
            except TooLongError as error:
                raise UnscoredError(f"{error} (in {Path(self.similarity).name})") from error

        return score


__all__ = ["SimilarityMetric"]
