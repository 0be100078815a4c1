"""A BERT of two layers with random weights, built here: real training steps in a fraction of a second."""

from __future__ import annotations

from pathlib import Path

_THINGS = ("cup", "mug", "plate", "lamp", "chair", "table", "phone", "cable")
_COLOURS, _SIZES = ("red", "blue", "green"), ("big", "small", "old", "light")
_WORDS = (*_THINGS, *_COLOURS, *_SIZES, "the", "new")


def tiny_model(directory: Path, *, normalised: bool = True) -> Path:
    """A sentence-transformers model of 16 dimensions in a directory.

    Args:
        directory: to be written.
        normalised: whether its vectors have unit length.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_WORDS, *"0123456789"]
    tokenizer = Tokenizer(WordPiece({word: place for place, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(), BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=32,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **{f"{name}_token": token for name, token in special.items()},
    )
    plain = directory.with_name(f"{directory.name}.plain")
    with torch.random.fork_rng():
        torch.manual_seed(7)
        BertModel(
            BertConfig(
                vocab_size=len(vocabulary),
                hidden_size=16,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=32,
                max_position_embeddings=32,
            )
        ).save_pretrained(plain)
    fast.save_pretrained(plain)
    transformer = Transformer(str(plain), max_seq_length=32)
    modules = [transformer, Pooling(16, "mean"), *([Normalize()] if normalised else [])]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(directory), create_model_card=False)
    return directory


def phrases(count: int) -> list[str]:
    """Distinct phrases of words that the model knows."""
    return [f"the {_SIZES[n % 4]} {_COLOURS[n // 4 % 3]} {_THINGS[n // 12 % 8]} {n // 96}" for n in range(count)]
