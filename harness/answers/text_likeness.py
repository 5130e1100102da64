"""How much two texts have in common."""

from __future__ import annotations

from functools import cache
from typing import Any

from harness.answers.characters import trimmed
from harness.answers.words import words


class Stems:
    """Words of any script, for ROUGE; those of Latin letters by their English stem (Porter).

    The stems are those of ``rouge_score`` itself, whose own tokenizer knows Latin letters only.
    """

    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self._stem = cache(PorterStemmer().stem)

    def tokenize(self, text: str) -> list[str]:
        """Words of the text; short ones as they are, as ``rouge_score`` leaves them."""
        return [
            self._stem(word) if len(word) > 3 and word.isascii() else word for word in words(text)
        ]


class TextLikeness:
    """Compares texts by characters (chrF), by words (ROUGE-L), and as wholes."""

    def __init__(self) -> None:
        import sacrebleu
        from rouge_score.rouge_scorer import RougeScorer

        self._chrf: Any = sacrebleu.CHRF()
        self._rouge: Any = RougeScorer(["rougeL"], tokenizer=Stems())

    def compare(self, target: str, reply: str) -> dict[str, float]:
        """``exact_match``, ``chrf`` and ``rouge_l``, each from 0 to 1.

        Unicode normal form and white space do not count, nor what is zero-width at the ends. A
        text without any word, of signs or emoji, has ROUGE-L 1 with itself and 0 with all else.
        """
        target, reply = trimmed(target), trimmed(reply)
        same = target.split() == reply.split()
        rouge = 1.0 if same else self._rouge.score(target, reply)["rougeL"].fmeasure
        return {
            "exact_match": float(same),
            "chrf": 1.0 if same else self._chrf.sentence_score(reply, [target]).score / 100,
            "rouge_l": float(rouge),
        }
