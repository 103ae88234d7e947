#!/usr/bin/env python3
"""Records what Hugging Face `tokenizers` makes of a few texts, for tests/runtime/data/tokenizer.

Trains small byte-level BPE tokenizers with each pattern that ingot knows and writes them, the texts
and the expected ids to tests/runtime/data/tokenizer/cases.json. Needs `pip install tokenizers`
(recorded with 0.23.3); the tests themselves need only the recorded file.
"""

import json
import pathlib
import random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = CL100K.replace("{1,3}", "")

WORDS = (
    "the quick brown fox don't won't I'll we've they're it's THE DON'T 2024 12345 naïve Straße "
    "中文 日本語 한국어 😀 🎉 for while return int {} () => != ... -- hello world token tokenizer"
).split()

TEXTS = [
    "",
    "a",
    "Hello world",
    "hello hello world worlds tokenizer's tokenizers",
    "don't DON'T I'll I'LL we've they'Re it'ſ 's 'S ' s",
    "  leading, trailing  ",
    "a  b   c\td\t\te \n f\n\n\ng\r\nh \r\n\r\n  i\n",
    "1 12 123 1234 12345 ½ ² ٣٤٥٦ Ⅷ x9y10",
    "中文字 日本語テキスト 한국어 mixed中文mixed",
    "😀🎉👨\u200d👩\u200d👧 e\u0301 é ñ\u00a0x\u2003\u3000y\u0085z\u200b\u1680w",
    "if (x != 0) {\n    return \"a\\b\";\n}\n",
    "!!!...???\n\n-- => {}()<|endoftext|>after<|endoftext|><|endoftext",
    "aaaaaaaaaaaaaaaaaaaaaaaa abababababababab" * 3,
    "\x00\x01\x1c\x7f control",
]


def split(pattern):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])


def make(pre_tokenizer, vocabulary, ignore_merges):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    generator = random.Random(1)
    text = [" ".join(generator.choices(WORDS, k=40)) for _ in range(50)]
    tokenizer.train_from_iterator(text, trainers.BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.add_tokens(["<|end"])
    return tokenizer


def main():
    tokenizers = {
        "gpt2": make(pre_tokenizers.ByteLevel(add_prefix_space=False), 400, False),
        "cl100k": make(split(CL100K), 420, True),
        "qwen2": make(split(QWEN2), 380, False),
    }
    cases = []
    for name, tokenizer in tokenizers.items():
        ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
        cases.append({"name": name, "tokenizer": json.loads(tokenizer.to_str()), "ids": ids})
    folder = pathlib.Path(__file__).resolve().parents[1] / "runtime/data/tokenizer"
    result = {"texts": TEXTS, "cases": cases}
    (folder / "cases.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
