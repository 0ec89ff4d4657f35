#!/usr/bin/env python3
"""Writes random tokenizers of checkpoints, and what the transformers library makes of them.

    python3 tests/peers/random_tokenizers.py FOLDER [COUNT [SEED]]      # needs transformers (5.12.1) and tokenizers
    mvn -q -pl gguf-tools -am test -Dtest=TokenizerReaderTest -Dsurefire.failIfNoSpecifiedTests=false -Ddimple.tokenizers=FOLDER

FOLDER/NNNN holds tokenizer.json (or vocab.json and merges.txt), tokenizer_config.json and others at random, and expected.json: special tokens, ids of random texts, a conversation with and
without tools. Classes of the library that make tokenizers anew (Qwen2Tokenizer and GemmaTokenizer of version 5) are used where they change nothing.
"""
import copy
import json
import os
import random
import sys

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, logging

SPLITS = {
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "ling": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    "gpt2": None,
}
WORDS = "the quick brown fox jumps over lazy dogs and goes home where it sleeps all day Größe naïve Привет мир 漢字 仮名 한국어 مرحبا ไทย ελληνικά".split()
ODD = ["'s", "'LL", "\n", "\n\n", "\r\n", " ", "  ", "\t", "123", "٣", "é", "e\u0301", "ﬁ", "👍🏽", "\u00a0", "\u2028", "!?", "...", "²", "\u200d", "İ", "ß", "\u2581", "<0x0A>", "x"]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|mask|>", "<s>", "</s>", "<pad>", "<think>", "<tool_call>", "The", " x ", "Ünï", "e\u0301"]
NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
TEMPLATE = ("{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}{% if tools %}T{{ tools | length }}{% endif %}{{ pad_token }}|{{ mask_token }}|"
            "{{ unk_token }}|{{ sep_token }}|{{ cls_token }}")
TALK = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}, {"role": "user", "content": "q"}]
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}}


def trained(kind):
    """A tokenizer.json with a small vocabulary."""
    r = random.Random(5)
    corpus = [" ".join(r.choice(WORDS) for _ in range(12)) for _ in range(400)]
    if kind == "gemma":
        t = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
        t.normalizer, t.pre_tokenizer = normalizers.Replace(" ", "\u2581"), pre_tokenizers.Split(" ", "merged_with_previous")
        first = ["<unk>", "<eos>", "<bos>"] + ["<0x%02X>" % i for i in range(256)]
        t.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=400, special_tokens=first, show_progress=False))
        t.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    else:
        t = Tokenizer(models.BPE())
        split = [pre_tokenizers.Split(Regex(SPLITS[kind]), "isolated")] if SPLITS[kind] else []
        t.pre_tokenizer = pre_tokenizers.Sequence(split + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not split)])
        t.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=330, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
        t.decoder = decoders.ByteLevel()
    j = json.loads(t.to_str())
    j["added_tokens"] = [a for a in j["added_tokens"] if not a["content"].startswith("<0x")]
    return j


def flags(r, special):
    return {"single_word": r.random() < .15, "lstrip": r.random() < .2, "rstrip": r.random() < .2, "normalized": r.random() < (.15 if special else .4), "special": special}


def texts(r, added, count):
    out = []
    for _ in range(count):
        parts = [r.choice(r.choice((WORDS, added or ODD, ODD))) + r.choice(("", "", " ", "  ", "\n")) for _ in range(r.randint(1, 12))]
        out.append("".join(parts))
    return out


def checkpoint(r, bases):
    """Files by their names."""
    kind = r.choice(list(bases))
    j = copy.deepcopy(bases[kind])
    vocab, listed = j["model"]["vocab"], j["added_tokens"]
    if r.random() < .3:  # pieces of the vocabulary that only a name makes special ones
        for content in ("<|x|>", "<|y|>"):
            vocab[content] = len(vocab)
    free = len(vocab)
    for content in r.sample(SPECIAL, r.randint(2, len(SPECIAL))):
        listed.append({"id": free, "content": content, **flags(r, r.random() < .7)})
        free += 1
    single = kind != "qwen2" or r.random() < .8
    if single:
        j["normalizer"] = j["normalizer"] if kind == "gemma" else r.choice([None, {"type": "NFC"}, {"type": "Sequence", "normalizers": [{"type": "NFC"}]}])
        sequence, beginning = {"Sequence": {"id": "A", "type_id": 0}}, r.choice(listed)
        template = {"type": "TemplateProcessing", "single": r.choice([[], [{"SpecialToken": {"id": beginning["content"], "type_id": 0}}]]) + [sequence],
                    "pair": [sequence, {"Sequence": {"id": "B", "type_id": 1}}],
                    "special_tokens": {beginning["content"]: {"id": beginning["content"], "ids": [beginning["id"]], "tokens": [beginning["content"]]}}}
        level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
        j["post_processor"] = r.choice([None, level, template, {"type": "Sequence", "processors": [level, template]}])
    named = sorted({a["content"] for a in listed} | {"<|x|>", "<nope>"})
    special = lambda: r.choice(named) if r.random() < .6 else {"__type": "AddedToken", "content": r.choice(sorted(a["content"] for a in listed)), **flags(r, True)}
    config = {"tokenizer_class": r.choice(["PreTrainedTokenizerFast", "TokenizersBackend", "DreamTokenizer"]) if single else "Qwen2Tokenizer"}
    names = {name: special() for name in NAMES if r.random() < .5}
    config.update(names if single else {name: r.choice(sorted(a["content"] for a in listed if a["special"]) or ["<s>"]) for name in ("eos_token", "pad_token", "unk_token")})
    if single and j["post_processor"] and j["post_processor"]["type"] != "ByteLevel" and r.random() < .8:
        config["bos_token"] = beginning["content"]
    for key in ("add_bos_token", "add_eos_token"):
        if r.random() < .4:
            config[key] = r.choice([True, False, None]) if key == "add_bos_token" else False
    if r.random() < .3:
        config["additional_special_tokens"] = [special() for _ in range(r.randint(0, 3))]
    elif r.random() < .2:
        config["extra_special_tokens"] = {"image_token": r.choice(named)}
    if r.random() < .5 or not single and r.random() < .5:
        config["added_tokens_decoder"] = {str(a["id"]): {k: v for k, v in a.items() if k != "id"} for a in listed}
    files = {"config.json": json.dumps({"model_type": "Dream", "vocab_size": free + 20})}
    if single:
        files["tokenizer.json"] = json.dumps(j, ensure_ascii=False)
        if r.random() < .4:
            files["special_tokens_map.json"] = json.dumps({name: r.choice(named) for name in NAMES if name != "bos_token" and r.random() < .5})
    else:
        for a in config.get("added_tokens_decoder", {}).values():  # flags of tokens with a name are forgotten by the class
            a.update(single_word=False, lstrip=False, rstrip=False, normalized=False)
        files["vocab.json"] = json.dumps(vocab, ensure_ascii=False)
        files["merges.txt"] = "#version: 0.2\n" + "\n".join(m if isinstance(m, str) else " ".join(m) for m in j["model"]["merges"]) + "\n"
        files["added_tokens.json"] = json.dumps({a["content"]: a["id"] for a in listed})
    place = r.random()
    if place < .3:
        config["chat_template"] = TEMPLATE
    elif place < .7:
        config["chat_template"] = [{"name": name, "template": name + TEMPLATE} for name in ("default", "tool_use", "rag") if name == "default" or r.random() < .6]
    if r.random() < .4:
        files["chat_template.jinja"] = "file" + TEMPLATE
        if r.random() < .5:
            files["additional_chat_templates/tool_use.jinja"] = "tools" + TEMPLATE
    files["tokenizer_config.json"] = json.dumps(config, ensure_ascii=False)
    return files, named


def expected(folder, questions):
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    result = {name + "_id": getattr(tokenizer, name + "_token_id") for name in ("bos", "eos", "pad", "mask")}
    result.update(texts=questions, ids=[tokenizer(text)["input_ids"] for text in questions])
    if tokenizer.chat_template:
        result["chat"] = tokenizer.apply_chat_template(TALK, tokenize=False)
        result["chat_with_tools"] = tokenizer.apply_chat_template(TALK, tools=[TOOL], tokenize=False)
    return result


def main():
    logging.set_verbosity(50)
    target, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100
    r = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    bases = {kind: trained(kind) for kind in (*SPLITS, "gemma")}
    for i in range(count):
        folder = os.path.join(target, "%04d" % i)
        files, named = checkpoint(r, bases)
        for name, text in files.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        with open(os.path.join(folder, "expected.json"), "w", encoding="utf-8") as file:
            json.dump(expected(folder, texts(r, named, 20)), file, ensure_ascii=False)


if __name__ == "__main__":
    main()
