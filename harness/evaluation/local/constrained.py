"""Greedy decoding that can only write a valid answer.

At every step the tokens that no valid answer could go on with are ruled out, and the most likely
of the others is taken. Of a closed list of answers the tokens form a trie; an open JSON Schema is
followed by the parser of llguidance (github.com/guidance-ai/llguidance). A reply is valid
whenever it ends within its room, which a closed list always does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import copy
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import LogitsProcessor

from harness.answers.grammar import json_grammar
from harness.errors import TrialError
from harness.prompting import PromptRenderer

_Node = dict[int, "_Node"]


class Walk(Protocol):
    """One reply in the making."""

    taken: list[int]
    """Token ids written so far."""
    rest: tuple[int, ...] | None
    """Token ids that must follow, once nothing is left to choose; None while there is a choice."""

    def allow(self, mask: NDArray[np.bool_]) -> None:
        """Set true in ``mask``, shape (vocabulary,), what may come next."""

    def take(self, token: int) -> None:
        """Write one of the allowed tokens."""

    def allows(self, token: int) -> bool:
        """Whether a token may come next."""

    def only(self) -> int | None:
        """The token that must come next, where no other may; None too where that is not known."""

    def copy(self) -> Walk:
        """The same reply, which goes on by itself."""


class Constraint(Protocol):
    """What replies may be."""

    longest: int | None
    """Tokens of the longest reply; None where there is no longest one."""

    def walk(self) -> Walk:
        """A new reply, with nothing written yet."""


class OneOf:
    """A closed list of answers.

    Each is written as training would show it, and may end in any of the ways in which a reply
    ends, so that of two answers the one that begins the other can be chosen too.

    Args:
        paths: token ids of each answer with an end; none may be the beginning of another.
    """

    def __init__(self, paths: Sequence[Sequence[int]]) -> None:
        self.longest: int | None = max(map(len, paths))
        self._root: _Node = {}
        for path in paths:
            node = self._root
            for token in path:
                node = node.setdefault(token, {})

    def walk(self) -> Walk:
        """A new reply, with nothing written yet."""
        return _TrieWalk(self._root)


class _TrieWalk:
    def __init__(self, node: _Node, taken: Sequence[int] = ()) -> None:
        self._node = node
        self.taken = list(taken)
        self.rest = _only_way(node)

    def allow(self, mask: NDArray[np.bool_]) -> None:
        mask[list(self._node)] = True

    def take(self, token: int) -> None:
        self._node = self._node[token]
        self.taken.append(token)
        self.rest = _only_way(self._node)

    def allows(self, token: int) -> bool:
        return token in self._node

    def only(self) -> int | None:
        return next(iter(self._node)) if len(self._node) == 1 else None

    def copy(self) -> Walk:
        return _TrieWalk(self._node, self.taken)


def _only_way(node: _Node) -> tuple[int, ...] | None:
    """Tokens from ``node`` to its only leaf; None where it has several."""
    path: list[int] = []
    while node:
        if len(node) > 1:
            return None
        ((token, node),) = node.items()
        path.append(token)
    return tuple(path)


class Followed:
    """Every text of a grammar, as llguidance reads it.

    Raises:
        TrialError: the tokenizer is not one that can be followed byte by byte.
    """

    def __init__(self, tokenizer: Any, grammar: str) -> None:
        from llguidance import LLMatcher, LLTokenizer

        self.longest: int | None = None
        try:
            followed = LLTokenizer(_described(tokenizer), eos_token=tokenizer.eos_token_id)
        except ValueError as error:
            raise _unfollowed(str(error)) from error
        self._start = LLMatcher(followed, grammar, log_level=0)
        _check(self._start)

    def walk(self) -> Walk:
        """A new reply, with nothing written yet."""
        return _GrammarWalk(self._start.deep_copy())


class JsonSchema(Followed):
    """Every value of a JSON Schema, written as :mod:`harness.answers.grammar` says."""

    def __init__(self, tokenizer: Any, schema: dict[str, Any], lead: str = "") -> None:
        super().__init__(tokenizer, json_grammar(schema, lead))


def _described(tokenizer: Any) -> str:
    """The tokenizer as JSON, as it cuts a text that goes on with another."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise _unfollowed("it is not a fast one (tokenizer.json)")
    backend = copy(backend)
    backend.no_padding()
    backend.no_truncation()
    described = json.loads(backend.to_str())
    first = described["pre_tokenizer"] or {}
    for part in first.get("pretokenizers", [first]):
        # A space before every text would be taken for one within the reply.
        if part.get("type") == "ByteLevel":
            part["add_prefix_space"] = False
    return json.dumps(described)


def _unfollowed(why: str) -> TrialError:
    return TrialError(
        "error",
        f"answering: constrained cannot follow this model's tokenizer: {why}; use answering: "
        "generate",
    )


class _GrammarWalk:
    def __init__(self, matcher: Any, taken: Sequence[int] = ()) -> None:
        self._matcher = matcher
        self.taken = list(taken)
        self.rest: tuple[int, ...] | None = () if matcher.is_stopped() else None

    def allow(self, mask: NDArray[np.bool_]) -> None:
        bias = np.frombuffer(self._matcher.compute_logit_bias(), dtype=np.uint8)
        _check(self._matcher)
        size = min(len(mask), len(bias))
        mask[:size] |= bias[:size] > 0

    def take(self, token: int) -> None:
        self._matcher.consume_token(token)
        _check(self._matcher)
        self.taken.append(token)
        if self._matcher.is_stopped():
            self.rest = ()

    def allows(self, token: int) -> bool:
        return bool(self._matcher.validate_tokens([token]))

    def only(self) -> int | None:
        # Where bytes are forced, the mask is of the first of the tokens that they are written in.
        forced = self._matcher.compute_ff_tokens()
        return int(forced[0]) if forced else None

    def copy(self) -> Walk:
        return _GrammarWalk(self._matcher.deep_copy(), self.taken)


def _check(matcher: Any) -> None:
    if matcher.is_error():
        message = matcher.get_error().splitlines()[0]
        raise TrialError("error", f"answering: constrained cannot follow the schema: {message}")


def constraint_of(
    renderer: PromptRenderer,
    tokenizer: Any,
    answers: Sequence[str] | None,
    schema: dict[str, Any] | None,
) -> Constraint:
    """What replies to the renderer's prompts may be.

    Args:
        answers: the closed list of valid answers, where the task has one.
        schema: schema of a JSON answer; used where there is no such list.

    Raises:
        ValueError: neither is given: a free text has no form to keep to.
    """
    if answers:
        eos = tokenizer.eos_token_id
        end = () if eos is None else (eos,)
        paths = [
            renderer.encode_answer(answer, stop) for answer in answers for stop in renderer.stops
        ]
        return OneOf([path if path[-1:] == end else path + end for path in paths])
    if schema is None:
        raise ValueError("constrained answers need a list of answers or a schema")
    if renderer.tools.notation is not None:
        # What ends a text may follow in any case.
        must_end = "" if renderer.end == tokenizer.eos_token else renderer.end
        return Followed(tokenizer, renderer.tools.grammar(schema, renderer.lead, must_end))
    return JsonSchema(tokenizer, schema, renderer.lead)


class ConstrainedBatch(LogitsProcessor):
    """The replies to one batch of prompts, kept to a constraint while they are generated.

    A reply that has nothing left to choose is ended at once, and what it must still say is added
    by :meth:`replies`: the model need not be asked.

    Args:
        width: tokens of the prompts, padded; what stands after them was generated.
    """

    def __init__(self, constraint: Constraint, rows: int, width: int) -> None:
        self._walks = [constraint.walk() for _ in range(rows)]
        self._width = width

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores, shape (rows, vocabulary), with what is not allowed at minus infinity."""
        self._follow(input_ids)
        allowed = np.zeros(scores.shape, dtype=np.bool_)
        for mask, walk in zip(allowed, self._walks, strict=True):
            if walk.rest is None:
                walk.allow(mask)
            else:
                # It has ended: whatever fills its row is dropped.
                mask[:] = True
        refused = torch.from_numpy(~allowed).to(scores.device)
        return scores.masked_fill(refused, -torch.inf)

    def ends(self, input_ids: torch.Tensor, scores: torch.Tensor, **more: Any) -> torch.Tensor:
        """Which rows have nothing left to choose, shape (rows,): a stopping criterion."""
        self._follow(input_ids)
        done = [walk.rest is not None for walk in self._walks]
        return torch.tensor(done, dtype=torch.bool, device=input_ids.device)

    def replies(self, generated: torch.Tensor) -> list[list[int]]:
        """The whole replies, from what was generated."""
        self._follow(generated)
        return [[*walk.taken, *(walk.rest or ())] for walk in self._walks]

    def _follow(self, ids: torch.Tensor) -> None:
        for walk, written in zip(self._walks, ids[:, self._width :].tolist(), strict=True):
            for token in written[len(walk.taken) :]:
                if walk.rest is not None:
                    break
                walk.take(token)
