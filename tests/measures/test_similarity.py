"""Similarity of meaning by embedding models in a folder, written here as their libraries do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from harness.engine.ray.inputs import gather, input_paths, with_paths
from harness.measures import SimilarityMetric, UnscoredError
from harness.measures.embedding import cosine, embedder, fingerprint_of
from harness.records import ResolvedModel, Runtime, TrialSpec

WORDS = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "cat", "dog", "car"]
VECTORS = np.array([[9, 9], [0, 0], [0, 0], [0, 0], [1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)


def tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    made = Tokenizer(WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))  # noqa: S106
    made.pre_tokenizer = Whitespace()
    made.save(str(folder / "tokenizer.json"))


def static_model(folder: Path, **tensors: Any) -> Path:
    """A folder as model2vec leaves it."""
    folder.mkdir()
    tokenizer(folder)
    (folder / "config.json").write_text('{"model_type": "model2vec", "normalize": true}')
    save_file({"embeddings": VECTORS, **tensors}, folder / "model.safetensors")
    return folder


def sentence_model(folder: Path, pooling: dict[str, bool] | None = None, longest: int = 16) -> Path:
    """A folder as sentence-transformers leaves it, of a BERT of a few weights."""
    import torch
    from transformers import BertConfig, BertModel

    folder.mkdir()
    tokenizer(folder)
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]", "pad_token": "[PAD]"}'
    )
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=1,
                        num_attention_heads=2, intermediate_size=8,
                        max_position_embeddings=16)  # fmt: skip
    BertModel(config).save_pretrained(folder)
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": longest}))
    parts = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    listed = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (path, kind) in enumerate(parts)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling").mkdir()
    rules = pooling or {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(rules))
    return folder


def value(folder: Path, reply: str, target: str) -> float:
    metric = SimilarityMetric(similarity=folder.name).located(folder.parent)
    return metric.scorer()({}, reply, target)["similarity"]


def test_static_embeddings(tmp_path: Path) -> None:
    folder = static_model(tmp_path / "static")
    assert value(folder, "cat", "cat") == pytest.approx(1)
    assert value(folder, "cat", "dog") == pytest.approx(0.8)
    assert value(folder, "cat", "car") == pytest.approx(0)
    # Of several words the mean; what is not known is left out, and nothing has no meaning.
    assert value(folder, "cat car zebra", "cat") == pytest.approx(0.5 / np.sqrt(0.5))
    assert value(folder, "zebra", "cat") == 0
    assert value(folder, "", "cat") == 0


def test_static_embeddings_with_weights_and_a_mapping(tmp_path: Path) -> None:
    mapping = np.array([0, 1, 2, 3, 4, 4, 6], dtype=np.int32)
    weights = np.array([1, 1, 1, 1, 3, 1, 1], dtype=np.float32)
    folder = static_model(tmp_path / "static", mapping=mapping, weights=weights)
    assert value(folder, "dog", "cat") == pytest.approx(1)
    assert value(folder, "cat car", "cat") == pytest.approx(3 / np.sqrt(10))


def test_a_sentence_transformer(tmp_path: Path) -> None:
    import torch
    from transformers import BertModel

    folder = sentence_model(tmp_path / "sentence")
    model = BertModel.from_pretrained(folder).eval()

    def states(*words: str) -> Any:
        ids = torch.tensor([[WORDS.index(word) for word in words]])
        with torch.inference_mode():
            return model(input_ids=ids).last_hidden_state[0].double().numpy()

    cat, dog = states("cat", "car"), states("dog")
    expected = cosine(cat.mean(axis=0), dog.mean(axis=0))
    assert value(folder, "cat car", "dog") == pytest.approx(expected)
    assert value(folder, "cat car", "cat car") == pytest.approx(1)
    cls = sentence_model(tmp_path / "cls", {"pooling_mode_cls_token": True})
    assert value(cls, "cat car", "dog") == pytest.approx(cosine(cat[0], dog[0]))
    most = sentence_model(tmp_path / "max", {"pooling_mode_max_tokens": True})
    assert value(most, "cat car", "dog") == pytest.approx(cosine(cat.max(axis=0), dog[0]))


def test_a_text_that_is_too_long_is_not_cut(tmp_path: Path) -> None:
    folder = sentence_model(tmp_path / "sentence", longest=3)
    with pytest.raises(UnscoredError, match="a text of 4 tokens is longer than the 3 it reads"):
        value(folder, "cat " * 4, "cat")


def test_it_is_named_as_what_it_is(tmp_path: Path) -> None:
    folder = static_model(tmp_path / "small-english")
    metric = SimilarityMetric(similarity="small-english").located(tmp_path)
    (info,) = metric.infos
    assert (info.name, info.lowest, info.highest) == ("similarity", -1, 1)
    assert "by the embedding model small-english" in info.meaning
    assert "likeness, not correctness" in info.meaning
    (info,) = metric.model_copy(update={"meaning": "how right it is"}).infos
    assert "likeness, not correctness" in info.meaning
    kept = SimilarityMetric.model_validate(metric.model_dump(mode="json", by_alias=True))
    assert kept == metric
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    other = SimilarityMetric(similarity="elsewhere").located(tmp_path)
    assert other.identity() == metric.identity()


def test_another_model_is_another_metric_and_never_taken_for_it(tmp_path: Path) -> None:
    folder = static_model(tmp_path / "static")
    metric = SimilarityMetric(similarity="static").located(tmp_path)
    save_file({"embeddings": VECTORS * 2}, folder / "model.safetensors")
    assert fingerprint_of(folder) != metric.fingerprint
    with pytest.raises(ValueError, match="is not the embedding model that the study was planned"):
        metric.scorer()
    with pytest.raises(ValueError, match="remove `fingerprint`"):
        metric.located(tmp_path)


def test_what_is_not_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such folder"):
        SimilarityMetric(similarity="gone").located(tmp_path)
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(ValueError, match="no weights in safetensors"):
        SimilarityMetric(similarity="pickled").located(tmp_path)
    strange = sentence_model(tmp_path / "strange", {"pooling_mode_weightedmean_tokens": True})
    with pytest.raises(ValueError, match="pools in a way that is not read here"):
        embedder(strange, fingerprint_of(strange))
    dense = sentence_model(tmp_path / "dense")
    listed = json.loads((dense / "modules.json").read_text())
    listed.append({"path": "3_Dense", "type": "sentence_transformers.models.Dense"})
    (dense / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(ValueError, match="has parts that are not read here: Dense"):
        embedder(dense, fingerprint_of(dense))


def test_it_travels_to_other_machines(tmp_path: Path) -> None:
    folder = sentence_model(tmp_path / "sentence")
    metric = SimilarityMetric(similarity="sentence").located(tmp_path)
    plain = metric.model_dump(mode="json", by_alias=True)
    spec = TrialSpec(
        trial_id="t", experiment_id="e", arm="a", kind="prompt", phase="search", number=0, seed=0,
        params={}, model=ResolvedModel("m", "", ""), task={"metrics": ["chrf", plain]},
        train_path="", scores=(), runtime=Runtime("cpu", "float32", 1),
    )  # fmt: skip
    assert input_paths(spec) == {str(folder): "folder"}
    names = {file.name for file in gather(str(folder), "folder").files}
    assert {"model.safetensors", "modules.json", "1_Pooling/config.json"} <= names
    there = tmp_path / "there"
    folder.rename(there)
    moved = with_paths(spec, {str(folder): str(there)}).task["metrics"][1]
    assert SimilarityMetric.model_validate(moved).scorer()({}, "cat", "cat")["similarity"] == (
        pytest.approx(1)
    )
