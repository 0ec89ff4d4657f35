"""Writes the golden files of TokenizerGoldenTest beside this script with the Hugging Face `tokenizers` package (0.23).

    python3 make_goldens.py [--cases 220] [--out DIRECTORY]

A small byte-level vocabulary is trained on generated text; the same vocabulary then encodes random strings under each
pre-tokenizer, and once more with flags on its added tokens.  Files: vocabulary.txt (type and spelling of each token), merges.txt,
and RULE.txt with one case per line: ids, a tab, the text with backslash escapes.
"""
import argparse
import json
import os
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BAILING = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
RULES = {
    "qwen2": (normalizers.NFC(), pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])),
    "bailingmoe": (None, pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(BAILING), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])),
    "gpt-2": (None, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)),
}
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|image_pad|>", "<|im|>", "<|im_start|>x", "<|mask|>"]
USER_DEFINED = ["<tool_call>", "</tool_call>", "naïve token"]
# As in GoldenTokenizer.flagged.
FLAGS = {"lstrip": ["<|mask|>", "<tool_call>", "<|im|>"], "rstrip": ["<|mask|>", "</tool_call>", "<|im_end|>"],
         "single_word": ["<|im|>", "naïve token", "<tool_call>"], "normalized": ["naïve token", "<|im_start|>", "<tool_call>"]}

WORDS = ("the of and a red circle is left blue square don't It'S we'LL THEY'RE I'd 'S 't x'ſ it's int return self.value "
         "for(i=0;i<n;++i){ }; => != \"json\": [1, 2] 3.14159 2026-11-23 0x1F #include <stdio.h> \\n // --- ... !!! ?? "
         "größer Straße naïve café cafe\u0301 A\u030a \u212b \u1e9b\u0323 Ελληνικά Привет мир שלום עולם مرحبا नमस्ते हिन्दी "
         "ไทย 中文分词测试 日本語のテスト 한국어 \u1112\u1161\u11ab Việt Tiếng ½ ² ³ Ⅷ ٣٤٥ १२३ 一二三 😀 👍🏽 👨‍👩‍👧‍👦 🇩🇪 ❤️ ∑ ≤ ½ € £ — … « » "
         "\u200b \u200d \ufeff \u00a0 \u2028 \u3000 \u0085 \u180e \x1c \x1f \x00 \x7f \ufffd \U0001d7d8 \U00020000 \U000e0041").split(" ")
SPACES = [" ", " ", " ", "  ", "   ", "\n", "\n\n", " \n", "\n  ", "\t", "\r\n", " \t ", "\u00a0", "\u3000", "\u2003 ", "", "", "\u0085", "\u2029"]
RANGES = [(0x20, 0x7e), (0x20, 0x7e), (0, 0x1f), (0xa0, 0x17f), (0x300, 0x36f), (0x370, 0x3ff), (0x400, 0x45f), (0x5d0, 0x5ea),
          (0x620, 0x669), (0x900, 0x97f), (0xe00, 0xe5b), (0x1100, 0x1112), (0x1161, 0x1175), (0x11a8, 0x11c2), (0x1e00, 0x1eff),
          (0x1f00, 0x1f15), (0x2000, 0x206f), (0x2070, 0x209c), (0x2150, 0x218b), (0x2200, 0x22ff), (0x3000, 0x30ff),
          (0x4e00, 0x4fff), (0xac00, 0xad00), (0xf900, 0xfa6d), (0xfb00, 0xfb06), (0xff01, 0xff5e), (0x1f300, 0x1f64f),
          (0x1d400, 0x1d7ff), (0x2f800, 0x2fa1d)]


def sample(rng):
    """One random string: words, separators, single characters of many scripts and added tokens."""
    out = []
    for _ in range(rng.choice([1, 2, 3, 5, 8, 13])):
        kind = rng.random()
        if kind < 0.55:
            out.append(rng.choice(WORDS))
        elif kind < 0.8:
            low, high = rng.choice(RANGES)
            out.append("".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 5))))
        elif kind < 0.9:
            out.append(rng.choice(CONTROL + USER_DEFINED))
        else:
            out.append(rng.choice("abc'é1 \n😀") * rng.randint(2, 40))
        out.append(rng.choice(SPACES))
    return "".join(out)


def flagged_sample(rng):
    """One random string with many added tokens between white space, letters, digits, signs and marks."""
    parts = CONTROL + USER_DEFINED + 2 * SPACES + ["nai\u0308ve token", "a", "b ", "é", "e\u0301", "_", "1", "\u0301", "\u200d", "-", "中", "<", "|>", "\U0001d7d8"]
    return "".join(rng.choice(parts) for _ in range(rng.choice([2, 4, 8, 12])))


def escape(text):
    return "".join(c if " " <= c <= "~" and c != "\\" else "\\u%04x" % unit
                   for c in text for unit in ([ord(c)] if ord(c) < 0x10000 else
                                              [0xd800 + (ord(c) - 0x10000 >> 10), 0xdc00 + (ord(c) & 0x3ff)]))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--cases", type=int, default=220)
    arguments.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)))
    options = arguments.parse_args()
    rng = random.Random(20261123)

    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = RULES["qwen2"][1]
    trained.train_from_iterator([sample(rng) for _ in range(4000)], trainers.BpeTrainer(
        vocab_size=256 + 500, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    model = json.loads(trained.to_str())["model"]
    merges = [tuple(m) for m in model["merges"]]
    names = sorted(model["vocab"], key=model["vocab"].get)

    with open(os.path.join(options.out, "vocabulary.txt"), "w", encoding="utf-8") as f:
        f.write("".join("1 %s\n" % n for n in names) + "".join("3 %s\n" % n for n in CONTROL)
                + "".join("4 %s\n" % n for n in USER_DEFINED))
    with open(os.path.join(options.out, "merges.txt"), "w", encoding="utf-8") as f:
        f.write("".join("%s %s\n" % m for m in merges))

    for rule in ["qwen2", "bailingmoe", "gpt-2", "flags-qwen2", "flags-gpt-2"]:
        normalizer, splitter = RULES[rule.replace("flags-", "")]
        flags = FLAGS if rule.startswith("flags-") else {}
        tokenizer = Tokenizer(models.BPE(vocab=model["vocab"], merges=merges))
        if normalizer:
            tokenizer.normalizer = normalizer
        tokenizer.pre_tokenizer = splitter
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_tokens([AddedToken(n, special=n in CONTROL, **{flag: n in flags.get(flag, []) for flag in FLAGS})
                              for n in CONTROL + USER_DEFINED])
        texts = ["", " ", "\n"] + [sample(rng) if not flags or rng.random() < 0.3 else flagged_sample(rng) for _ in range(options.cases)]
        with open(os.path.join(options.out, rule + ".txt"), "w", encoding="ascii") as f:
            for text in texts:
                f.write("%s\t%s\n" % (" ".join(map(str, tokenizer.encode(text).ids)), escape(text)))


main()
