"""Resolve a model reference: packaged alias, folder, GGUF file, or hub id, in that order."""

from __future__ import annotations

import json
from pathlib import Path

from harness.errors import UnknownReferenceError, UnwritableError, is_refused, refusal
from harness.models.convert import convert_gguf
from harness.models.safe_folder import check_folder
from harness.packaged.catalogue import ASSETS
from harness.packaged.fetch import Progress, cache_folder, fetch, is_cached, writing_cache
from harness.records import ResolvedModel, content_hash, file_sha256, write_whole
from harness.spec import ModelSpec

IDENTITY_SUFFIXES = {".safetensors", ".json", ".jinja", ".model", ".txt"}
# Looked at, and fetched from a hub, only where the experiment says that it may run.
CODE_SUFFIX = ".py"


def packaged_models() -> tuple[str, ...]:
    """Aliases of the models that need no hub."""
    return tuple(name for name, asset in ASSETS.items() if asset.filename.endswith(".gguf"))


def resolve_model(spec: ModelSpec, progress: Progress | None = None) -> ResolvedModel:
    """Find the model's files and fingerprint them; fetch or convert once where needed.

    Raises:
        UnknownReferenceError: nothing by that name, or weights in a format that can run code.
    """
    reference = spec.reference
    if reference in packaged_models():
        folder = _from_gguf(fetch(reference, progress=progress), ASSETS[reference].sha256)
    elif Path(reference).is_file() and reference.endswith(".gguf"):
        path = Path(reference).resolve()
        folder = _from_gguf(path, file_sha256(path))
    elif Path(reference).is_dir():
        folder = Path(reference).resolve()
    elif _is_path(reference):
        raise UnknownReferenceError(f"model {reference!r}: no such folder or file")
    else:
        return _from_hub(spec)
    check_folder(reference, folder, trusted=spec.trust_remote_code)
    return ResolvedModel(
        reference=reference,
        path=str(folder),
        fingerprint=folder_fingerprint(folder, code=spec.trust_remote_code),
        trust_remote_code=spec.trust_remote_code,
    )


def model_here(spec: ModelSpec) -> ResolvedModel | None:
    """The model, without its fingerprint, where nothing has to be fetched or converted for it.

    Raises:
        UnknownReferenceError: as :func:`resolve_model`, for what is on this machine.
    """
    reference = spec.reference
    if reference in packaged_models():
        if not is_cached(reference):
            return None
        folder = _converted(fetch(reference), ASSETS[reference].sha256)
    elif Path(reference).is_file() and reference.endswith(".gguf"):
        folder = _converted(Path(reference).resolve(), file_sha256(Path(reference)))
    elif Path(reference).is_dir():
        folder = Path(reference).resolve()
    elif _is_path(reference):
        raise UnknownReferenceError(f"model {reference!r}: no such folder or file")
    else:
        from huggingface_hub import try_to_load_from_cache

        config = try_to_load_from_cache(reference, "config.json", revision=spec.revision or None)
        folder = Path(config).parent if isinstance(config, str) else Path()
    if not (folder / "config.json").is_file():
        return None
    check_folder(reference, folder, trusted=spec.trust_remote_code)
    return ResolvedModel(reference, str(folder), "", trust_remote_code=spec.trust_remote_code)


def _is_path(reference: str) -> bool:
    return reference.startswith((".", "/", "~")) or reference.count("/") > 1


def folder_files(folder: Path, *, code: bool = False) -> list[Path]:
    """Its files of weights, configuration and tokenizer, by name; with ``code``, of that too."""
    return sorted(
        path for path in folder.iterdir() if path.is_file() and path.suffix in _suffixes(code)
    )


def folder_hash(folder: Path) -> str:
    """SHA-256 over the same files as :func:`folder_fingerprint`, each read anew."""
    return content_hash([[path.name, file_sha256(path)] for path in folder_files(folder)])


def folder_fingerprint(folder: Path, *, code: bool = False) -> str:
    """SHA-256 over weights, configuration and tokenizer files; with ``code``, over that too.

    Hashing weights is slow, so each file's hash is kept in the cache under its path, size and
    time of change.
    """
    files = folder_files(folder, code=code)
    memory = cache_folder() / "fingerprints" / f"{content_hash(str(folder), 24)}.json"
    known: dict[str, str] = json.loads(memory.read_text()) if memory.exists() else {}
    hashes: dict[str, str] = {}
    for path in files:
        status = path.stat()
        seal = f"{path.name}:{status.st_size}:{status.st_mtime_ns}"
        hashes[seal] = known.get(seal) or file_sha256(path)
    if hashes != known:
        with writing_cache():
            write_whole(memory, json.dumps(hashes))
    return content_hash([[seal.split(":")[0], digest] for seal, digest in hashes.items()])


def _from_gguf(path: Path, sha256: str) -> Path:
    with writing_cache():
        return convert_gguf(path, _converted(path, sha256))


def _converted(path: Path, sha256: str) -> Path:
    """Where a GGUF file lies once it is converted."""
    return cache_folder() / "models" / f"{path.stem[:100]}-{sha256[:16]}"


def _from_hub(spec: ModelSpec) -> ResolvedModel:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = [f"*{suffix}" for suffix in sorted(_suffixes(spec.trust_remote_code))]
    try:
        path = snapshot_download(
            spec.reference, revision=spec.revision or None, allow_patterns=patterns
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        if isinstance(error, OSError) and error.filename is not None and is_refused(error):
            place = "the cache of models from a hub"
            raise UnwritableError(refusal(place, error, "set HF_HOME to another folder")) from error
        raise UnknownReferenceError(
            f"model {spec.reference!r}: not a packaged model ({', '.join(packaged_models())}), "
            f"not a local folder, and a hub does not serve it ({type(error).__name__})"
        ) from error
    folder = Path(path)
    check_folder(spec.reference, folder, trusted=spec.trust_remote_code)
    return ResolvedModel(
        reference=spec.reference,
        path=str(folder),
        fingerprint=folder_fingerprint(folder, code=spec.trust_remote_code),
        revision=folder.name,
        trust_remote_code=spec.trust_remote_code,
    )


def _suffixes(code: bool) -> set[str]:
    return IDENTITY_SUFFIXES | {CODE_SUFFIX} if code else IDENTITY_SUFFIXES
