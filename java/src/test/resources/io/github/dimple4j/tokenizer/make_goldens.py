"""Writes the golden files of TokenizerGoldenTest beside this script with the Hugging Face `tokenizers` package (0.23) and with
`sentencepiece` (0.2).

    python3 make_goldens.py [--cases 220] [--out DIRECTORY]

A small byte-level vocabulary is trained on generated text; the same vocabulary then encodes random strings under each
pre-tokenizer, and once more with flags on its added tokens.  Files: vocabulary.txt (type and spelling of each token), merges.txt,
and RULE.txt with one case per line: ids, a tab, the text with backslash escapes.

Vocabularies in SentencePiece's spelling, vocabulary-NAME.txt (type, score and escaped spelling of each token): "gemma4" and
"gemma4-newlines" are merged by rank over whole lines with bytes to fall back on and runs of newlines among the added tokens, as Gemma's
tokenizer.json has it (gemma4/tokenizer.json); in the former these are normal tokens by their type, as llama.cpp's converter has it; "llama" is sentencepiece's own byte-pair encoding, "llama-prefix" with a blank in front.
"""
import argparse
import io
import json
import os
import random

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BAILING = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
SEED_CODER = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"
RULES = {
    "qwen2": (normalizers.NFC(), pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])),
    "bailingmoe": (None, pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(BAILING), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])),
    "seed-coder": (None, pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SEED_CODER), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])),
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


SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<|turn>", "<turn|>", "<|image|>", "<|image>", "<image|>", "<|channel>",
           "<channel|>", "<|tool_call>", "<tool_call|>"]
SHOWN = SPECIAL[-4:] # of which llama.cpp's converter makes user-defined tokens
WHOLE = ["<table>", "<|\"|>", "▁▁", "naïve token"]
BYTES = ["<0x%02X>" % b for b in range(256)]
NEWLINES = ["\n" * n for n in range(1, 9)]


def write_vocabulary(options, name, rows):
    with open(os.path.join(options.out, "vocabulary-%s.txt" % name), "w", encoding="ascii") as f:
        f.write("".join("%d %r %s\n" % (kind, score, escape(text)) for kind, score, text in rows))


def write_cases(options, name, texts, encode):
    with open(os.path.join(options.out, name + ".txt"), "w", encoding="ascii") as f:
        for text in texts:
            f.write("%s\t%s\n" % (" ".join(map(str, encode(text))), escape(text)))


def piece_sample(rng):
    """One random string with what is special in SentencePiece's spelling."""
    parts = SPECIAL + WHOLE + NEWLINES + ["\n" * 40, "▁", "▁a", "<0x41>", "\U0001f9ff", "\u1234", "\0", "  ", " ", "the", "a ", "b\n"]
    return "".join(rng.choice(parts) for _ in range(rng.choice([1, 3, 6, 12])))


def gemma(options, rng):
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.pre_tokenizer = pre_tokenizers.Split(Regex("\n+"), "isolated")
    trained.train_from_iterator([sample(rng) for _ in range(3000)], trainers.BpeTrainer(
        vocab_size=900, limit_alphabet=250, show_progress=False))
    model = json.loads(trained.to_str())["model"]
    pieces = [p for p in sorted(model["vocab"], key=model["vocab"].get) if "\n" not in p]
    names = SPECIAL + NEWLINES + [w for w in WHOLE if w not in pieces] + BYTES + pieces
    vocabulary = {name: at for at, name in enumerate(names)}
    merges = [("\n" * a, "\n" * (n - a)) for n in range(2, 9) for a in [(n + 1) // 2]] + [tuple(m) for m in model["merges"] if "\n" not in m[0]]
    with open(os.path.join(options.out, "merges-gemma4.txt"), "w", encoding="ascii") as f:
        f.write("".join("%s\n" % escape("%s %s" % m) for m in merges))
    texts = ["", " ", "\n", "▁"] + [rng.choice([sample, piece_sample])(rng) for _ in range(options.cases)]
    for name, added in ("gemma4", WHOLE), ("gemma4-newlines", WHOLE + NEWLINES):
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
        tokenizer.normalizer = normalizers.Replace(" ", "▁")
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
        tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
        tokenizer.add_tokens([AddedToken(n, special=n in SPECIAL, normalized=False) for n in SPECIAL + WHOLE + NEWLINES])
        write_vocabulary(options, name, [(2 if n == "<unk>" else 4 if n in added or n in SHOWN and name == "gemma4" else 3 if n in SPECIAL else 6 if n in BYTES else 1, -1000.0, n)
                                         for n in names])
        write_cases(options, name, texts, lambda text: tokenizer.encode(text).ids)
    os.makedirs(os.path.join(options.out, "gemma4"), exist_ok=True)
    tokenizer.save(os.path.join(options.out, "gemma4", "tokenizer.json"), pretty=False)


def llama(options, rng):
    texts = ["", " ", "a"] + [sample(rng) if rng.random() < 0.5 else "".join(rng.choice(WORDS) + rng.choice(SPACES) for _ in range(8))
                              for _ in range(options.cases)]
    texts = [t.replace("\0", "") for t in texts if not any(n in t for n in SPECIAL + WHOLE)]
    sentences = [" ".join(rng.choice([w for w in WORDS if max(w) < "\u0250"]) for _ in range(rng.randint(3, 20))) for _ in range(3000)]
    for prefix in False, True:
        written = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(sentences),
            model_writer=written, model_type="bpe", vocab_size=600, byte_fallback=True, normalization_rule_name="identity",
            add_dummy_prefix=prefix, remove_extra_whitespaces=False, character_coverage=0.98, pad_id=0, eos_id=1, bos_id=2, unk_id=3,
            pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>", unk_piece="<unk>", control_symbols=["<mask>"], minloglevel=2)
        model = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
        name = "llama-prefix" if prefix else "llama"
        write_vocabulary(options, name, [(2 if model.is_unknown(i) else 3 if model.is_control(i) else 6 if model.is_byte(i) else 1,
                                          model.get_score(i), model.id_to_piece(i)) for i in range(model.vocab_size())])
        write_cases(options, name, texts, model.encode)


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

    for rule in ["qwen2", "bailingmoe", "gpt-2", "flags-qwen2", "flags-gpt-2", "seed-coder"]:
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
    gemma(options, random.Random(20261128))
    llama(options, random.Random(20261129))


main()
