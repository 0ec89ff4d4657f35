"""The models that `traces` and `counts` run, made once in a folder by the launcher of the tree that is called *before*. Random weights come
from the standard library's generator, so that nothing else is needed."""
import array
import math
import os
import random
import struct
import subprocess
import sys

VOCABULARY, WIDTH, LAYERS, HEADS, KEY_HEADS, CONTEXT = 512, 256, 4, 4, 2, 1024
FEED_FORWARD, EXPERTS, EXPERTS_USED, EXPERT_WIDTH = 512, 16, 4, 128
MASK = VOCABULARY - 1
ALIGNMENT = 32


def string(text):
    return struct.pack("<Q", len(text)) + text.encode()


def value(x):
    """A metadata value with its type: bool, uint32, float32 or string."""
    if isinstance(x, bool):
        return struct.pack("<I?", 7, x)
    if isinstance(x, int):
        return struct.pack("<II", 4, x)
    if isinstance(x, float):
        return struct.pack("<If", 6, x)
    return struct.pack("<I", 8) + string(x)


def keys(architecture):
    own = {"context_length": CONTEXT, "embedding_length": WIDTH, "block_count": LAYERS, "feed_forward_length": FEED_FORWARD,
           "vocab_size": VOCABULARY, "attention.head_count": HEADS, "attention.head_count_kv": KEY_HEADS,
           "attention.layer_norm_rms_epsilon": 1e-6, "attention.causal": False, "rope.freq_base": 1e4}
    if architecture == "llada-moe":
        own.update({"expert_count": EXPERTS, "expert_used_count": EXPERTS_USED, "expert_feed_forward_length": EXPERT_WIDTH})
    return {"general.architecture": architecture, **{architecture + "." + name: x for name, x in own.items()},
            "diffusion.shift_logits": architecture == "dream", "tokenizer.ggml.mask_token_id": MASK}


def tensors(architecture):
    """Names and shapes, columns first as in the file."""
    kv = WIDTH // HEADS * KEY_HEADS
    yield "token_embd.weight", (WIDTH, VOCABULARY)
    for layer in range(LAYERS):
        block = "blk.%d." % layer
        for name in ("attn_norm", "ffn_norm"):
            yield block + name + ".weight", (WIDTH,)
        for name, rows in (("attn_q", WIDTH), ("attn_k", kv), ("attn_v", kv)):
            yield block + name + ".weight", (WIDTH, rows)
            if architecture == "dream":
                yield block + name + ".bias", (rows,)
        yield block + "attn_output.weight", (WIDTH, WIDTH)
        if architecture == "dream":
            yield block + "ffn_gate.weight", (WIDTH, FEED_FORWARD)
            yield block + "ffn_up.weight", (WIDTH, FEED_FORWARD)
            yield block + "ffn_down.weight", (FEED_FORWARD, WIDTH)
        else:
            for name in ("attn_q_norm", "attn_k_norm"):
                yield block + name + ".weight", (WIDTH // HEADS,)
            yield block + "ffn_gate_inp.weight", (WIDTH, EXPERTS)
            yield block + "ffn_gate_exps.weight", (WIDTH, EXPERT_WIDTH, EXPERTS)
            yield block + "ffn_up_exps.weight", (WIDTH, EXPERT_WIDTH, EXPERTS)
            yield block + "ffn_down_exps.weight", (EXPERT_WIDTH, WIDTH, EXPERTS)
    yield "output_norm.weight", (WIDTH,)
    yield "output.weight", (WIDTH, VOCABULARY)


def weights(source, name, shape):
    """Float32 bytes. Norms lie around 1; a matrix keeps the size of its input; the logits spread, to have favourites."""
    count = math.prod(shape)
    steps = array.array("h", source.randbytes(2 * count))
    if name.endswith("norm.weight"):
        centre, reach = 1.0, 0.1
    elif len(shape) == 1:
        centre, reach = 0.0, 0.1
    else:
        gain = {"token_embd.weight": math.sqrt(shape[0]), "output.weight": 4.0}.get(name, 1.0)
        centre, reach = 0.0, gain * math.sqrt(3 / shape[0])
    return array.array("f", [centre + reach / 32768 * x for x in steps]).tobytes()


def write_random(path, architecture):
    """An F32 file of the architecture, without a tokenizer. Written for little-endian machines, as the engine is."""
    source, metadata, list_of_tensors = random.Random(architecture), keys(architecture), list(tensors(architecture))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(list_of_tensors), len(metadata))
    head += b"".join(string(name) + value(x) for name, x in metadata.items())
    at = 0
    for name, shape in list_of_tensors:
        head += string(name) + struct.pack("<I%dQIQ" % len(shape), len(shape), *shape, 0, at)
        at += -(-4 * math.prod(shape) // ALIGNMENT) * ALIGNMENT
    with open(path, "wb") as f:
        f.write(head + b"\0" * (-len(head) % ALIGNMENT))
        for name, shape in list_of_tensors:
            data = weights(source, name, shape)
            f.write(data + b"\0" * (-len(data) % ALIGNMENT))


def launcher(tree):
    """The `dimple` command of a checkout, or the command itself."""
    path = os.path.join(tree, "dimple") if os.path.isdir(tree) else tree
    if not os.access(path, os.X_OK):
        sys.exit("%s is neither a checkout nor a dimple command" % tree)
    return os.path.abspath(path)


class Models:
    """Files in a folder, each made when it is first asked for and kept."""

    def __init__(self, folder, before):
        self.folder, self.dimple = os.path.abspath(folder), launcher(before)
        os.makedirs(self.folder, exist_ok=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def made(self, name, write):
        """`write` is given a name beside the file's, which becomes the file's own when it is whole."""
        if not os.path.exists(self.path(name)):
            write(self.path("unfinished-" + name))
            os.rename(self.path("unfinished-" + name), self.path(name))
        return self.path(name)

    def command(self, *arguments):
        subprocess.run([self.dimple, *arguments], check=True, stdout=subprocess.DEVNULL)

    def random(self, architecture):
        return self.made(architecture + "-f32.gguf", lambda out: write_random(out, architecture))

    def quantized(self, architecture, kind):
        whole = self.random(architecture)
        return self.made("%s-%s.gguf" % (architecture, kind), lambda out: self.command("gguf", "quantize", "--force", whole, out, kind))

    def synthetic(self, kind):
        """dimple-mini's shape, with tokenizer and vision tower."""
        return self.made("synthetic-%s.gguf" % kind,
                         lambda out: self.command("gguf", "synth", "--force", "--preset", "dimple-mini", "--type", kind, "-o", out))


ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def mini():
    return os.path.join(ROOT, "models", "mini", "dimple-mini-f16.gguf")


def goldens():
    return os.path.join(ROOT, "tests", "goldens")


def scene(number):
    return os.path.join(ROOT, "docs", "images", "scene-%02d.png" % number)


def token_ids(count):
    """Ordinary tokens, the same ones every time."""
    source = random.Random(count)
    return [source.randrange(VOCABULARY - 16) for _ in range(count)]
