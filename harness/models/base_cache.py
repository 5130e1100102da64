"""Bases that stay in memory from one trial of a process to the next.

A trial is lent a copy that shares the kept base's weights and nothing else: modules, hooks,
settings and tokenizer are its own, so that whatever it does to them is gone with it. One that
trains the weights themselves gets weights of its own too. Before a base is lent again its memory is
proved to be what it was when it was loaded.
"""

from __future__ import annotations

import copy
import pickle
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from harness.models.fingerprint import memory_fingerprint
from harness.models.load import LoadedModel, load_arms_base
from harness.models.memory import available_mib, release_memory, reset_peak_memory
from harness.models.tree_pass import COPIED_FROM
from harness.records import ResolvedModel, Runtime
from harness.spec.settings import FullSettings, Settings, TrainedSettings, quantisation_of

# The plain base and the quantised one of a study with both.
MOST_BASES = 2
# Part of the free memory that may be kept beside what a trial itself needs.
MOST_OF_MEMORY = 0.125
_MIB = 2**20

_Key = tuple[ResolvedModel, str, str, str, bool]


@dataclass(slots=True)
class _KeptBase:
    """A base as it was loaded, which no trial is handed itself."""

    loaded: LoadedModel
    """The base."""
    fingerprint: str
    """Of its memory when it was loaded."""
    tokenizer: _KeptTokenizer
    """Its tokenizer."""
    packed: dict[tuple[int, ...], Any] = field(default_factory=dict)
    """Packed copies of its weights, as far as trials made them."""

    @property
    def weights_mib(self) -> float:
        """Memory of its weights, MiB."""
        return _mib(self.loaded.model.parameters())

    @property
    def packed_mib(self) -> float:
        """Memory of the packed copies, MiB."""
        return _mib(self.packed.values())

    @property
    def mib(self) -> float:
        """Memory of all of it, MiB."""
        return self.weights_mib + self.packed_mib


class _KeptTokenizer:
    """Lends a tokenizer as it was loaded.

    What is lent has settings of its own. Vocabulary and rules, which take a tenth of a second to
    copy, are those that were lent before, as long as they are what they were.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._loaded = tokenizer
        # A tokenizer that is written in Python has none.
        self._tables = getattr(tokenizer, "_tokenizer", None)
        self._lent = copy.deepcopy(self._tables)

    def lent(self) -> Any:
        """A tokenizer, to be changed at will."""
        if self._tables is None:
            return copy.deepcopy(self._loaded)
        if _rules(self._lent) != _rules(self._tables):
            self._lent = copy.deepcopy(self._tables)
        return copy.deepcopy(self._loaded, {id(self._tables): self._lent})


class BaseCache:
    """Lends the bases of trials, loading each once as long as there is memory to keep it.

    It goes to another process empty.

    Args:
        most: number of bases that it keeps at most; with 0 it lends what it loads, and forgets it.
    """

    def __init__(self, most: int = MOST_BASES) -> None:
        self._most = most
        # From the one longest unused to the newest.
        self._kept: dict[_Key, _KeptBase] = {}

    def __reduce__(self) -> tuple[type[BaseCache], tuple[int]]:
        return BaseCache, (self._most,)

    @property
    def mib(self) -> float:
        """Memory of all that is kept, MiB."""
        return sum(kept.mib for kept in self._kept.values())

    @contextmanager
    def lent(
        self, resolved: ResolvedModel, runtime: Runtime, settings: Settings
    ) -> Iterator[LoadedModel]:
        """The base as an arm of that setting uses it, to be changed at will until the end.

        Raises:
            UnknownReferenceError: as :func:`harness.models.load.load_base`.
        """
        key = _key(resolved, runtime, settings)
        # Nobody knows what a model's own code keeps beside its weights.
        if resolved.trust_remote_code or not self._most or _leaves_gpu(runtime, settings):
            if self._kept.pop(key, None) is not None:
                _give_back(runtime)
            self.make_room(runtime)
            loaded = load_arms_base(resolved, runtime, settings)
            yield replace(loaded, beside_mib=self.mib)
            return
        reloaded = self._forget_altered(key)
        self._make_room_for(key, runtime, settings)
        kept = self._kept.pop(key, None)
        if kept is None:
            loaded = load_arms_base(resolved, runtime, settings)
            tokenizer = _KeptTokenizer(loaded.tokenizer)
            kept = _KeptBase(loaded, memory_fingerprint(loaded.model), tokenizer)
        lent = kept.loaded
        beside = self.mib
        if isinstance(settings, TrainedSettings):
            # A trial's peak is that of its training, which uses no packed copy.
            beside += kept.packed_mib
        if not isinstance(settings, FullSettings):
            lent = replace(_copy(kept, share_weights=True), packed=kept.packed)
            self._kept[key] = kept
        elif kept.weights_mib <= _allowed_mib(runtime) - beside:
            lent = _copy(kept, share_weights=False)
            beside += kept.weights_mib
            self._kept[key] = kept
        # Else the only copy is trained, and the base is loaded anew for the next trial.
        del kept
        yield replace(lent, beside_mib=beside, reloaded=reloaded)

    def make_room(self, runtime: Runtime) -> None:
        """Drop what is too much beside a model that is to be loaded and not kept, oldest first."""
        if self._drop_excess(list(self._kept), runtime):
            _give_back(runtime)

    def clear(self, runtime: Runtime) -> None:
        """Drop all that is kept: another program needs the memory."""
        if self._kept:
            self._kept.clear()
            _give_back(runtime)

    def _forget_altered(self, key: _Key) -> str:
        """Drop the base if its memory is not what it was; says so if that is the case."""
        kept = self._kept.get(key)
        if kept is None or memory_fingerprint(kept.loaded.model) == kept.fingerprint:
            return ""
        del self._kept[key]
        return "the weights kept in memory were no longer those that were loaded"

    def _make_room_for(self, key: _Key, runtime: Runtime, settings: Settings) -> None:
        """Drop what is kept beside the trial's own base and is too much, the oldest first."""
        others = [other for other in self._kept if other != key]
        dropped = False
        while len(others) >= self._most:
            del self._kept[others.pop(0)]
            dropped = True
        dropped |= self._drop_excess(others, runtime)
        own = self._kept.get(key)
        if (
            own is not None
            and isinstance(settings, TrainedSettings)
            and own.packed_mib > _allowed_mib(runtime)
        ):
            own.packed.clear()
            dropped = True
        if dropped:
            _give_back(runtime)

    def _drop_excess(self, keys: list[_Key], runtime: Runtime) -> bool:
        """Drop the first of ``keys`` until what is left may be kept; whether any was dropped."""
        allowed = _allowed_mib(runtime)
        dropped = False
        while keys and sum(self._kept[one].mib for one in keys) > allowed:
            del self._kept[keys.pop(0)]
            dropped = True
        return dropped


def _key(resolved: ResolvedModel, runtime: Runtime, settings: Settings) -> _Key:
    form = quantisation_of(settings) or ("none", False)
    return (resolved, runtime.device, runtime.dtype, *form)


def _leaves_gpu(runtime: Runtime, settings: Settings) -> bool:
    """Whether a trial moves its model off the GPU, for one of the processes that train.

    A kept base would stay there, beside that process's own.
    """
    trained = isinstance(settings, TrainedSettings) and settings.processes > 1
    return trained and runtime.device.startswith("cuda")


def _give_back(runtime: Runtime) -> None:
    """Give back what was dropped, which is no part of the next trial's peak."""
    release_memory(runtime.device)
    reset_peak_memory(runtime.device)


def _allowed_mib(runtime: Runtime) -> float:
    """Memory that may be kept beside what a trial needs, MiB."""
    return available_mib(runtime.device) * runtime.memory_share * MOST_OF_MEMORY


def _mib(tensors: Iterable[Any]) -> float:
    return float(sum(tensor.numel() * tensor.element_size() for tensor in tensors)) / _MIB


def _copy(kept: _KeptBase, *, share_weights: bool) -> LoadedModel:
    """The same model and tokenizer, of which nothing but weights is shared, if those are."""
    original = kept.loaded.model
    memo: dict[int, Any] = {}
    if share_weights:
        for parameter in original.parameters():
            memo[id(parameter)] = _sharing(parameter)
            state = getattr(parameter, "quant_state", None)
            if state is not None:
                memo[id(state)] = state
    model = copy.deepcopy(original, memo)
    # A reference of another kind would be followed where the copy is copied in its turn.
    vars(model)[COPIED_FROM] = weakref.ref(original)
    return replace(kept.loaded, model=model, tokenizer=kept.tokenizer.lent())


def _rules(tables: Any) -> list[Any]:
    """The size of a tokenizer's vocabulary, what was added to it, and its rules."""
    rules = (tables.normalizer, tables.pre_tokenizer, tables.post_processor, tables.decoder)
    added = sorted(tables.get_added_tokens_decoder().items())
    return [tables.get_vocab_size(), repr(added), *map(pickle.dumps, rules)]


def _sharing(parameter: Any) -> Any:
    """A parameter over the same memory, whose gradient and flags are its own."""
    import torch

    if type(parameter) is not torch.nn.Parameter:
        # In four bits: it has no gradient, and is never trained.
        return parameter
    own = torch.nn.Parameter(parameter.data, requires_grad=parameter.requires_grad)
    vars(own).update(vars(parameter))
    return own
