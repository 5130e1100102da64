"""Weights that another program fine-tuned: an adapter of peft, or a whole checkpoint.

They lie in a folder of the user's. What is known of their base stands there too, and is held
against the experiment's model before anything is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import Problem, UnknownReferenceError
from harness.models.adapters import each_adapter
from harness.models.base_cache import BaseCache
from harness.models.load import LoadedModel, load_base, load_tokenizer
from harness.models.resolve import folder_fingerprint
from harness.models.safe_folder import check_folder, torn_file
from harness.models.vocabulary import read_json
from harness.records import ResolvedModel, Runtime
from harness.spec import BroughtArm, Experiment
from harness.spec.settings import BaseForm, OutsideSettings
from harness.spec.starts import start_of

ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
TOKENIZER = "tokenizer_config.json"
TEMPLATE = "chat_template.jinja"
# Numbers of a configuration in which two models of one architecture and size agree.
SHAPE = (
    "model_type",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
)


def folder_here(reference: str) -> Path | None:
    """The folder of an adapter or checkpoint; None for what is to be fetched from a hub.

    Raises:
        UnknownReferenceError: there is no such folder, and it is no name on a hub.
    """
    path = Path(reference).expanduser()
    if path.is_dir():
        return path.resolve()
    if not _is_on_a_hub(reference):
        raise UnknownReferenceError(f"{reference}: no such folder")
    return None


def folder_of(reference: str) -> Path:
    """The folder of an adapter or checkpoint: on this machine, or fetched from a hub.

    Raises:
        UnknownReferenceError: there is no such folder, and a hub does not serve it.
    """
    if (here := folder_here(reference)) is not None:
        return here
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        patterns = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt"]
        return Path(snapshot_download(reference, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise UnknownReferenceError(
            f"{reference}: not a folder, and a hub does not serve it ({type(error).__name__})"
        ) from error


def problems_of_brought(
    experiment: Experiment, base: ResolvedModel | None, folders: Mapping[str, Sequence[Path]]
) -> list[Problem]:
    """What is wrong with the folders of arms that were trained elsewhere.

    Args:
        base: the experiment's model; None where it is not on this machine.
        folders: arm -> those of its folders that are on this machine.
    """
    problems = []
    for name, arm in experiment.arms.items():
        reference = experiment.model.reference
        if start := start_of(experiment.arms, name):
            place = Path(start.folder)
            if wrong := problem_of_weights(place, base, reference, "plain", start.same_base):
                problems.append(Problem(f"arms.{name}.start", f"{place}: {wrong}"))
        if not isinstance(arm, BroughtArm):
            continue
        for folder in folders.get(name, ()):
            if wrong := problem_of_weights(folder, base, reference, arm.base, arm.same_base):
                problems.append(Problem(f"arms.{name}.path", f"{folder}: {wrong}"))
    return problems


def is_adapter(folder: Path) -> bool:
    """Whether the folder holds an adapter; else it is taken for a whole checkpoint."""
    return (folder / ADAPTER).is_file()


def keys_not_known(folder: Path) -> list[str]:
    """What an adapter's configuration sets that the installed peft does not know, and passes over.

    What is null, false, empty or 0 there is taken for not set.
    """
    from harness.models.peft_library import peft

    config = read_json(folder / ADAPTER) if is_adapter(folder) else {}
    known = peft.LoraConfig.__dataclass_fields__
    return sorted(key for key, value in config.items() if value and key not in known)


def trained_numbers(folder: Path) -> int:
    """Number of weights in an adapter; 0 for a whole checkpoint, of which all may be trained."""
    from safetensors import safe_open

    if not is_adapter(folder):
        return 0
    with safe_open(folder / ADAPTER_WEIGHTS, framework="pt") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118


def fingerprint_of(folder: Path) -> str:
    """SHA-256 over weights, configuration and tokenizer."""
    return folder_fingerprint(folder)


def tokenizer_of(folder: Path, base: ResolvedModel) -> Any:
    """The tokenizer of such weights: a checkpoint's own, else the base's.

    Either has the chat template of the folder, where it brings one.

    Raises:
        UnknownReferenceError: there is no usable one.
    """
    own = not is_adapter(folder) and (folder / TOKENIZER).is_file()
    tokenizer = load_tokenizer(itself(folder) if own else base)
    if template := own_template(folder):
        tokenizer.chat_template = template
    return tokenizer


def own_template(folder: Path) -> str:
    """The chat template that the folder brings; empty where it brings none, or several."""
    if (folder / TEMPLATE).is_file():
        return (folder / TEMPLATE).read_text(encoding="utf-8")
    config = read_json(folder / TOKENIZER)
    template = config.get("chat_template") if isinstance(config, dict) else None
    return template if isinstance(template, str) else ""


@contextmanager
def brought_model(
    base: ResolvedModel, runtime: Runtime, settings: OutsideSettings, folder: Path, bases: BaseCache
) -> Iterator[LoadedModel]:
    """The weights of ``folder`` in memory: on their base, or by themselves.

    Args:
        bases: lends the base that an adapter is put on.

    Raises:
        UnknownReferenceError: the folder holds no such weights for this base.
    """
    tokenizer = tokenizer_of(folder, base)
    if is_adapter(folder):
        with bases.lent(base, runtime, settings) as lent:
            for adapted in each_adapter(lent, [folder]):
                check_applied(adapted.model, folder)
                yield replace(adapted, tokenizer=tokenizer)
        return
    check_folder(str(folder), folder, trusted=False)
    bases.make_room(runtime)
    own = itself(folder) if (folder / TOKENIZER).is_file() else base
    loaded = load_base(itself(folder), runtime, tokenizer_of=own)
    loaded.tokenizer.chat_template = tokenizer.chat_template
    yield replace(loaded, form="full", beside_mib=bases.mib)


def check_applied(model: Any, folder: Path) -> None:
    """See that every weight of the adapter found its layer.

    peft only warns of those that did not, and the base would be judged in the adapter's name.

    Raises:
        UnknownReferenceError: some did not, or the adapter changes nothing.
    """
    from peft.utils.save_and_load import get_peft_model_state_dict, load_peft_weights

    brought = load_peft_weights(str(folder), device="cpu")
    # Left to itself, peft asks a hub whether the base has other embeddings.
    beside = any(".base_layer." in name for name in brought)
    placed = get_peft_model_state_dict(model, save_embedding_layers=beside)
    strange, missing = sorted(set(brought) - set(placed)), sorted(set(placed) - set(brought))
    if strange or not brought:
        what = f"such as {strange[0]}" if strange else "as it holds none"
        raise UnknownReferenceError(
            f"{folder}: {len(strange)} of its {len(brought)} weights have no place in this base, "
            f"{what}"
        )
    if missing:
        raise UnknownReferenceError(
            f"{folder}: it lacks {len(missing)} of the {len(placed)} weights that its {ADAPTER} "
            f"asks for, such as {missing[0]}; it is not whole, or was saved with another "
            "configuration"
        )
    if broken := sorted(name for name, one in brought.items() if not one.isfinite().all()):
        raise UnknownReferenceError(
            f"{folder}: {len(broken)} of its {len(brought)} weights hold what is no number (NaN or "
            f"infinity), such as {broken[0]}: its training diverged"
        )
    if not any(bool(weight.any()) for name, weight in brought.items() if "lora_A" not in name):
        raise UnknownReferenceError(f"{folder}: the adapter changes nothing; it was not trained")


def problem_of_weights(
    folder: Path, base: ResolvedModel | None, name: str, form: BaseForm, same_base: bool
) -> str:
    """Why a folder holds no weights that were fine-tuned from the base; empty where it does.

    Args:
        base: the experiment's model; None where it is not on this machine.
        name: its reference in the experiment.
        form: in which the base of an adapter is to be loaded.
        same_base: the base that an adapter names is taken for the experiment's model.
    """
    if is_adapter(folder):
        return _adapter_problem(folder, base, name, same_base)
    if form != "plain":
        return "base: nf4 is for adapters, and this is a whole checkpoint; leave it out"
    try:
        check_folder(str(folder), folder, trusted=False)
    except UnknownReferenceError as error:
        return str(error)
    return "" if base is None else _shape_problem(folder, base, name)


def _shape_problem(folder: Path, base: ResolvedModel, name: str) -> str:
    """Why a checkpoint cannot have been trained from the base, or not be compared with it."""
    mine, theirs = (read_json(Path(place) / "config.json") for place in (folder, base.path))
    for key in SHAPE:
        if mine.get(key) != theirs.get(key):
            return (
                f"its {key} is {mine.get(key)}, and that of the experiment's model ({name}) is "
                f"{theirs.get(key)}: it was trained from another base; name that one as the model"
            )
    if folder.resolve() == Path(base.path).resolve() or fingerprint_of(folder) == base.fingerprint:
        return f"it is the experiment's model itself ({name}), and nothing was trained"
    rows, base_rows = (config.get("vocab_size") or 0 for config in (mine, theirs))
    # One that was given more tokens assigns each of the base's a probability; one with fewer does
    # not, so that how far it moved from the base has no value.
    if rows < base_rows:
        return (
            f"its vocab_size is {rows}, less than the {base_rows} of the experiment's model "
            f"({name}), so that the two cannot be compared token by token; save it with all of the "
            "base's rows"
        )
    return ""


def _adapter_problem(folder: Path, base: ResolvedModel | None, name: str, same_base: bool) -> str:
    config = read_json(folder / ADAPTER)
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        found = config.get("peft_type") if isinstance(config, dict) else "not readable"
        return f"its {ADAPTER} is {found}; LoRA, DoRA and rsLoRA of peft (peft_type: LORA) are read"
    if wrong := _unusable(folder, config):
        return wrong
    theirs = str(config.get("base_model_name_or_path") or "")
    if same_base or _is_same(theirs, base, name):
        return ""
    return (
        f"it was trained on {theirs or 'a base that it does not name'}, and the experiment's model "
        f"is {name}; name its base as the model, or say same_base: true if both are one"
    )


def _unusable(folder: Path, config: Mapping[str, Any]) -> str | None:
    """Why an adapter of that configuration cannot be used, whatever its base; None where it can."""
    if not (folder / ADAPTER_WEIGHTS).is_file():
        return (
            f"there is no {ADAPTER_WEIGHTS}; other formats can run code when read and are refused: "
            "save the adapter again with save_pretrained"
        )
    if config.get("lora_alpha") == 0:
        return f"the lora_alpha of its {ADAPTER} is 0, so that it changes nothing"
    if config.get("auto_mapping") and not config.get("base_model_name_or_path"):
        return f"its {ADAPTER} does not say which base it is for"
    return torn_file(folder)


def _is_same(theirs: str, base: ResolvedModel | None, name: str) -> bool:
    """Whether the base that an adapter names is the experiment's model.

    It is where both are names on a hub and the same, but for who publishes it, or where the
    folders hold the same. What a folder is called says nothing.
    """
    if not theirs:
        return False
    path = Path(theirs).expanduser()
    if path.is_dir():
        if base is None:
            return True  # told once the model is here, as the rest of it is
        here = Path(base.path)
        return path.resolve() == here.resolve() or fingerprint_of(path) == fingerprint_of(here)
    if Path(name).expanduser().is_dir():
        return False
    same_model = Path(theirs).name.lower() == Path(name).name.lower()
    published = _is_on_a_hub(theirs) and ("/" not in name or _is_on_a_hub(name))
    return theirs == name or (published and same_model)


def _is_on_a_hub(reference: str) -> bool:
    """Whether it is written as hubs name things: by owner and name."""
    return not reference.startswith((".", "/", "~")) and reference.count("/") == 1


def itself(folder: Path) -> ResolvedModel:
    """A folder as the model that it holds."""
    return ResolvedModel(reference=str(folder), path=str(folder), fingerprint="")
