"""Load a base model and its tokenizer, plain or quantised."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

from harness.errors import UnknownReferenceError
from harness.models.vocabulary import Vocabulary, guard_embedding, set_padding
from harness.records import ResolvedModel, Runtime
from harness.spec.kinds import kind_info
from harness.spec.settings import Settings, quantisation_of

Quantisation = Literal["none", "nf4", "fp4", "int8"]
# Bytes that torch aligns what it allocates to.
ALIGNMENT = 64


@dataclass(slots=True)
class LoadedModel:
    """A model in memory."""

    model: Any
    """The model of transformers, or its wrapper with an adapter."""
    tokenizer: Any
    """Its tokenizer, with a padding token."""
    form: str
    """What form it has, as recorded with each score."""
    total_parameters: int
    """Number of parameters of the base."""
    not_adapted: str = ""
    """Layers that an adapter leaves as they are, in words; empty where there is none."""
    packed: dict[tuple[int, ...], Any] | None = None
    """Packed copies of its weights that are kept for later uses; None where no copy outlives its
    use (:func:`harness.models.packed_weights.packed_weights`)."""
    beside_mib: float = 0.0
    """Memory of the bases and copies that are kept for other trials meanwhile, MiB."""
    reloaded: str = ""
    """Why it was loaded anew although it was kept; empty where it was not."""

    @property
    def packed_mib(self) -> float:
        """Memory of the packed copies that outlive their use, MiB."""
        copies = (self.packed or {}).values()
        taken: int = sum(copy.numel() * copy.element_size() for copy in copies)
        return taken / 2**20


def load_tokenizer(resolved: ResolvedModel) -> Any:
    """The model's tokenizer, with a padding token.

    Raises:
        UnknownReferenceError: the model comes without a tokenizer.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(resolved.path, **_source(resolved))
    except (OSError, ValueError) as error:
        raise UnknownReferenceError(
            f"{resolved.reference}: no usable tokenizer: {error}"
        ) from error
    set_padding(tokenizer)
    return tokenizer


def load_config(resolved: ResolvedModel) -> Any:
    """The model's configuration, without its weights.

    Raises:
        UnknownReferenceError: it has none that can be used.
    """
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(resolved.path, **_source(resolved))
    except (OSError, ValueError, KeyError) as error:
        raise UnknownReferenceError(
            f"{resolved.reference}: no usable configuration (config.json): {error}"
        ) from error


def form_of(settings: Settings, runtime: Runtime) -> str:
    """The form in which an arm's candidate is scored, as recorded with each score."""
    kind = kind_info(settings.kind)
    if kind.commanded:
        # Whether it leaves an adapter or a checkpoint is seen where it is loaded.
        return "commanded"
    if not kind.trains:
        return "base"
    quantised = quantisation_of(settings)
    bits = quantised[0] if quantised else runtime.dtype
    return f"adapter-on-{bits}" if kind.adapts else "full"


def load_base(
    resolved: ResolvedModel,
    runtime: Runtime,
    quantisation: Quantisation = "none",
    *,
    double_quantisation: bool = True,
    tokenizer_of: ResolvedModel | None = None,
) -> LoadedModel:
    """Load the untouched base in the run's dtype, or quantised by bitsandbytes.

    ``nf4`` (normal float) and ``fp4`` (plain float) keep the linear layers but the vocabulary
    projection in 4 bits and compute in the run's dtype (Dettmers et al. 2023).
    ``double_quantisation`` quantises the scales of the blocks too. ``int8`` keeps them in 8 bits
    (Dettmers et al. 2022). A folder may also say itself how its weights are quantised.

    Only safetensors are read: a pickle can run code.

    Args:
        tokenizer_of: the model whose tokenizer it has, where its own folder holds none.

    Raises:
        UnknownReferenceError: the folder is not a causal language model in safetensors, lacks
            some of its weights, or has a tokenizer of another vocabulary.
    """
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    quiet_libraries()
    dtype = getattr(torch, runtime.dtype)
    extra: dict[str, Any] = {}
    if quantisation != "none":
        import harness.models.peft_library  # noqa: F401

        extra["device_map"] = {"": runtime.device}
    if quantisation == "int8":
        extra["quantization_config"] = BitsAndBytesConfig(load_in_8bit=True)
    elif quantisation != "none":
        extra["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type=quantisation,
            bnb_4bit_use_double_quant=double_quantisation,
            bnb_4bit_compute_dtype=dtype,
        )
    loaded: Any
    try:
        loaded = AutoModelForCausalLM.from_pretrained(
            resolved.path,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            **_source(resolved),
            **extra,
        )
    except (OSError, ValueError, KeyError, RuntimeError, AssertionError, ImportError) as error:
        if "out of memory" in str(error).lower():
            raise
        raise UnknownReferenceError(
            f"{resolved.reference}: not a causal language model in safetensors that can be "
            f"loaded: {error}"
        ) from error
    model, loading = loaded
    if loading["missing_keys"]:
        # transformers makes up what is missing, at random.
        raise UnknownReferenceError(
            f"{resolved.reference}: its files lack weights of {type(model).__name__}, such as "
            f"{min(loading['missing_keys'])}; it is not whole, or was saved as another kind of "
            "model than one that writes text"
        )
    if quantisation != "none" or getattr(model, "is_quantized", False):
        _keep_differentiable(model)
    else:
        model.to(torch.device(runtime.device))
    _align(model)
    _project_contiguously(model)
    model.eval()
    model.requires_grad_(False)
    try:
        problem = _problem_of_writing(model)
    except RuntimeError as error:
        if quantisation == "none" or "out of memory" in str(error).lower():
            raise
        raise UnknownReferenceError(
            f"{resolved.reference}: {type(model).__name__} cannot compute with weights in four "
            f"bits ({error}); use kind: lora in place of qlora"
        ) from error
    if problem:
        raise UnknownReferenceError(f"{resolved.reference}: {type(model).__name__} {problem}")
    tokenizer = load_tokenizer(tokenizer_of or resolved)
    rows = model.get_input_embeddings().weight.shape[0]
    set_padding(tokenizer, rows)
    if lacking := Vocabulary.of(tokenizer).problem(rows):
        raise UnknownReferenceError(f"{resolved.reference}: {lacking}")
    guard_embedding(model, tokenizer)
    # Generation settings of the model's author (sampling, penalties) must not leak into scoring.
    model.generation_config = type(model.generation_config)(
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=model.generation_config.eos_token_id or tokenizer.eos_token_id,
        bos_token_id=model.generation_config.bos_token_id,
    )
    form = "base" if quantisation == "none" else f"base-{quantisation}"
    return LoadedModel(model, tokenizer, form, _true_parameter_count(model))


def load_arms_base(resolved: ResolvedModel, runtime: Runtime, settings: Settings) -> LoadedModel:
    """The base as an arm of that setting uses it: quantised, where it says so.

    Raises:
        UnknownReferenceError: as :func:`load_base`.
    """
    if (quantised := quantisation_of(settings)) is None:
        return load_base(resolved, runtime)
    bits, double = quantised
    return load_base(resolved, runtime, bits, double_quantisation=double)


def _keep_differentiable(model: Any) -> None:
    """Stop bitsandbytes from repacking 4-bit weights for inference on the CPU.

    On CPUs with AVX-512 BF16, the first forward pass in evaluation mode repacks the weights for
    good into a layout whose kernel has no gradient: a canary or a validation loss before or
    during training would silently cut the gradient through every quantised layer.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def _align(model: Any) -> None:
    """Let every weight begin where the processor's vectors do, as a copy of it does.

    Out of a file they begin anywhere, and a sum over them is then rounded in another order than
    over a copy.
    """
    for parameter in model.parameters():
        if parameter.device.type == "cpu" and parameter.data_ptr() % ALIGNMENT:
            parameter.data = parameter.data.clone()


def _problem_of_writing(model: Any) -> str:
    """Why the model cannot write one token after the other; empty where it can."""
    import torch

    plain = (torch.float32, torch.bfloat16, torch.float16)
    for name, weight in model.named_parameters():
        # Attention may pass over NaN, so that what is computed does not show it.
        if weight.dtype in plain and not all(map(torch.isfinite, torch.aminmax(weight))):
            return (
                f"has weights that hold what is no number (NaN or infinity), such as {name}: its "
                "training diverged, or its file is damaged; name other weights"
            )
    size = model.get_input_embeddings().weight.shape[0]
    row = [(size // 4 + place) % size for place in range(8)]
    rows = torch.tensor([[*row, 0], [*row, size // 2]], device=model.device)
    with torch.inference_mode():
        logits = model(input_ids=rows, use_cache=False).logits.float()
    if logits.isnan().any():
        return (
            f"computes NaN in {str(model.dtype).removeprefix('torch.')}, which holds no numbers as "
            "large as it needs; try another model.dtype"
        )
    # Whether a token changes what is predicted before it, as in models that fill gaps.
    moved = (logits[0] - logits[1]).square().mean(dim=-1).sqrt()
    # It moves its own place; those before it by rounding at most.
    if moved[:-1].max() > moved[-1] * torch.finfo(model.dtype).eps ** 0.5:
        return (
            "sees the whole text at once, so that it cannot write one token after the other; name "
            "a causal language model"
        )
    return ""


def _project_contiguously(model: Any) -> None:
    """Hand the vocabulary projection contiguous hidden states.

    Logits wanted for the last positions only make a strided slice, for which a batched product is
    taken that copies the whole projection matrix once per row: seconds and gigabytes a batch.
    """
    head = model.get_output_embeddings()
    if head is not None:
        head.register_forward_pre_hook(lambda module, inputs: (inputs[0].contiguous(),))


def quiet_libraries() -> None:
    """Silence notices that say nothing to the user of a study."""
    import datasets
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    warnings.filterwarnings("ignore", module=r"(peft|bitsandbytes|transformers|lm_eval)\b.*")


def _source(resolved: ResolvedModel) -> dict[str, Any]:
    source: dict[str, Any] = {"trust_remote_code": resolved.trust_remote_code}
    if resolved.revision:
        source["revision"] = resolved.revision
    return source


def _true_parameter_count(model: Any) -> int:
    # bitsandbytes packs two 4-bit weights into one byte and keeps the shape in quant_state.
    total = 0
    for parameter in model.parameters():
        state = getattr(parameter, "quant_state", None)
        total += state.shape.numel() if state is not None else parameter.numel()
    return total
