"""Byte-level BPE for dimple-mini: training, encoding, and the files of a Hugging Face style tokenizer.

The pieces are those of the Qwen2 tokenizer: NFC normalisation, a split into words, single digits and
punctuation, GPT-2's printable alphabet for the 256 bytes, then merges in order of rank.
"""
import functools
import json
import os
import re
import sys
import unicodedata
from collections import Counter

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
           "<|image_pad|>", "<|video_pad|>", "<|mask|>"]

# The chat behaviour of Qwen2.5-VL: a default system message unless the conversation brings one, and content that is
# either text or a list of parts, where each picture becomes one <|image_pad|> between its two markers.
CHAT_TEMPLATE = (
    "{%- if not messages or messages[0]['role'] != 'system' -%}"
    "{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}"
    "{%- endif -%}"
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{%- if message['content'] is string -%}"
    "{{ message['content'] }}"
    "{%- else -%}"
    "{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' or 'image' in part or 'image_url' in part -%}"
    "{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{%- elif 'text' in part -%}"
    "{{ part['text'] }}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- endif -%}"
    "{{ '<|im_end|>\\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}"
    "{{ '<|im_start|>assistant\\n' }}"
    "{%- endif -%}")


def byte_alphabet():
    """GPT-2's table from byte to printable character: printable Latin-1 stays, the others move to 256 and up."""
    keep = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    moved = [b for b in range(256) if b not in keep]
    return {b: chr(b) if b in keep else chr(256 + moved.index(b)) for b in range(256)}


@functools.lru_cache(None)
def word_pattern():
    """The Qwen2 split.  The standard library's `re` lacks \\p{L} and \\p{N}: the two classes are spelled out."""
    def ranges(kind):
        out, start = [], None
        for code in range(sys.maxunicode + 2):
            inside = code <= sys.maxunicode and unicodedata.category(chr(code))[0] == kind
            if inside and start is None:
                start = code
            if not inside and start is not None:
                out.append("%s-%s" % (re.escape(chr(start)), re.escape(chr(code - 1))))
                start = None
        return "".join(out)

    letter, digit = ranges("L"), ranges("N")
    return re.compile(r"'(?i:[sdmt]|re|ve|ll)|[^\r\n%s%s]?[%s]+|[%s]| ?[^\s%s%s]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
                      % (letter, digit, letter, digit, letter, digit))


def merge_pair(symbols, pair):
    """Replace every neighbouring occurrence of a pair by its concatenation."""
    out, i = [], 0
    while i < len(symbols):
        if i + 1 < len(symbols) and (symbols[i], symbols[i + 1]) == pair:
            out.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            out.append(symbols[i])
            i += 1
    return out


def train_merges(texts, count):
    """The `count` most useful merges of a corpus, most frequent pair first (ties: alphabetical order)."""
    alphabet, words = byte_alphabet(), Counter()
    for text in texts:
        words.update(word_pattern().findall(unicodedata.normalize("NFC", text)))
    split = [([alphabet[b] for b in w.encode()], n) for w, n in sorted(words.items())]
    merges = []
    while len(merges) < count:
        pairs = Counter()
        for symbols, n in split:
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += n
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        split = [(merge_pair(symbols, best), n) for symbols, n in split]
    return merges


class Tokenizer:
    """Text to ids and back.  Ids: 256 bytes, merges in rank order, special tokens last."""

    def __init__(self, merges):
        self.merges = [tuple(m) for m in merges]
        self.alphabet = byte_alphabet()
        names = [self.alphabet[b] for b in range(256)] + [a + b for a, b in self.merges]
        self.vocabulary = {name: i for i, name in enumerate(names)}
        if len(self.vocabulary) != len(names):
            raise ValueError("two merges produce the same token")
        self.special = {name: len(names) + i for i, name in enumerate(SPECIAL)}
        self.rank = {pair: i for i, pair in enumerate(self.merges)}
        self.names = names + SPECIAL
        self.special_pattern = re.compile("(%s)" % "|".join(re.escape(s) for s in SPECIAL))
        self.known = {}

    def __len__(self):
        return len(self.names)

    def encode_word(self, word):
        if word not in self.known:
            symbols = [self.alphabet[b] for b in word.encode()]
            while len(symbols) > 1:
                pair = min(zip(symbols, symbols[1:]), key=lambda p: self.rank.get(p, len(self.rank)))
                if pair not in self.rank:
                    break
                symbols = merge_pair(symbols, pair)
            self.known[word] = [self.vocabulary[s] for s in symbols]
        return self.known[word]

    def encode(self, text):
        ids = []
        for part in self.special_pattern.split(text):
            if part in self.special:
                ids.append(self.special[part])
            else:
                for word in word_pattern().findall(unicodedata.normalize("NFC", part)):
                    ids += self.encode_word(word)
        return ids

    def decode(self, ids):
        """Text of ids; special tokens are left out."""
        back = {c: b for b, c in self.alphabet.items()}
        data = bytes(back[c] for i in ids if i < len(self.vocabulary) for c in self.names[i])
        return data.decode("utf-8", "replace")

    def save(self, folder):
        """vocab.json, merges.txt, tokenizer_config.json and special_tokens_map.json."""
        def dump(name, content):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                json.dump(content, f, ensure_ascii=False, indent=None if name == "vocab.json" else 2)
                f.write("\n")

        dump("vocab.json", self.vocabulary)
        with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as f:
            f.write("#version: 0.2\n" + "".join("%s %s\n" % m for m in self.merges))
        roles = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
                 "mask_token": "<|mask|>", "additional_special_tokens": SPECIAL}
        added = {str(i): dict(content=s, lstrip=False, normalized=False, rstrip=False, single_word=False, special=True)
                 for s, i in self.special.items()}
        dump("tokenizer_config.json", dict(
            roles, add_bos_token=False, add_prefix_space=False, added_tokens_decoder=added, chat_template=CHAT_TEMPLATE,
            clean_up_tokenization_spaces=False, errors="replace", model_max_length=1024, split_special_tokens=False,
            tokenizer_class="Qwen2Tokenizer", unk_token=None))
        dump("special_tokens_map.json", roles)

    @staticmethod
    def load(folder):
        with open(os.path.join(folder, "merges.txt"), encoding="utf-8") as f:
            return Tokenizer([tuple(line.rstrip("\n").split(" ")) for line in f.readlines()[1:]])


def chat_prompt(question, image_tokens=0, system="You are a helpful assistant."):
    """The prompt of one question (after an optional picture), as the chat template writes it, with the image
    token repeated once per merged patch."""
    picture = "<|vision_start|>" + "<|image_pad|>" * image_tokens + "<|vision_end|>" if image_tokens else ""
    return ("<|im_start|>system\n%s<|im_end|>\n<|im_start|>user\n%s%s<|im_end|>\n<|im_start|>assistant\n"
            % (system, picture, question))
