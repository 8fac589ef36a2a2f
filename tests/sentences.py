"""A small random sentence-transformers model, for the tests of what reads one."""

from pathlib import Path

import torch

WORDS = ["card", "refund", "pin", "transfer", "fee", "limit", "cash", "please"]


def write_model(root: Path) -> Path:
    """A folder with two layers, 16 numbers, and the mean of the words."""
    # Here: it takes seconds, which each worker would spend that collects these tests.
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

    folder, saved = root / "bert", root / "sentences"
    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    BertModel(config).save_pretrained(folder)
    words = Transformer(str(folder))
    SentenceTransformer(modules=[words, Pooling(16, "mean")]).save(str(saved))
    return saved
