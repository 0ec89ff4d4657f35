"""dimple-mini in PyTorch: the Dimple architecture, small enough for one CPU core.

Parameter names and shapes are those of a Hugging Face Dimple checkpoint.  All rows of a batch share one picture
size, hence one prompt layout, one set of positions and one set of windows.  Comments give shapes: B rows,
S text positions, N = rows x cols patches per picture, M = N/4 merged tokens.
"""
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

MEAN = [0.48145466, 0.4578275, 0.40821073]
STD = [0.26862954, 0.26130258, 0.27577711]
PATCH, MERGE, FRAMES = 14, 2, 2


def mini_config(vocabulary):
    """config.json of dimple-mini; `vocabulary` is the number of tokens, the nine special ones last."""
    ids = {name + "_token_id": vocabulary - 9 + i for i, name in enumerate(
        ["pad", "bos", "eos", "vision_start", "vision_end", "vision", "image", "video", "mask"])}
    vision = dict(model_type="dimple", depth=4, hidden_size=128, hidden_act="silu", intermediate_size=320, num_heads=4,
                  in_channels=3, patch_size=PATCH, spatial_merge_size=MERGE, temporal_patch_size=FRAMES,
                  window_size=112, tokens_per_second=2, out_hidden_size=256, fullatt_block_indexes=[1, 3])
    return dict(architectures=["DimpleModel"], model_type="dimple", vocab_size=vocabulary, hidden_size=256,
                intermediate_size=448, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
                hidden_act="silu", max_position_embeddings=1024, rms_norm_eps=1e-6, rope_theta=100.0,
                rope_scaling=None, mrope_section=[8, 12, 12], tie_word_embeddings=False, attention_dropout=0.0,
                initializer_range=0.02, use_cache=False, use_sliding_window=False, full_attn_mask=True,
                torch_dtype="float32", vision_config=vision, **ids)


# ------------------------------------------------------------------------------------------------ preprocessing
def _pixel_table():
    """Normalised value of each byte per channel, float32 [3 x 256]: x/255 in double, then mean and std in float."""
    x = (np.arange(256) * (1 / 255)).astype(np.float32)
    return (x[None] - np.array(MEAN, np.float32)[:, None]) / np.array(STD, np.float32)[:, None]


PIXELS = _pixel_table()


def patches(images):
    """uint8 pictures [B x H x W x 3], sides multiples of 28 -> float32 [B x N x 588].

    Patches come in 2x2 merge blocks row by row, the four of a block row by row; inside a patch: channel, row, column.
    The second frame of a still picture repeats the first, so it is left out here (see PatchEmbed)."""
    b, h, w, _ = images.shape
    x = images.reshape(b, h // 28, MERGE, PATCH, w // 28, MERGE, PATCH, 3).transpose(7, 0, 1, 4, 2, 5, 3, 6)
    out = np.empty((b, h * w // PATCH ** 2, 3, PATCH * PATCH), np.float32)
    for channel in range(3):
        out[:, :, channel] = PIXELS[channel][x[channel].reshape(b, -1, PATCH * PATCH)]
    return torch.from_numpy(out.reshape(b, -1, 3 * PATCH * PATCH))


def window_order(rows, cols, window=4):
    """Order of merged tokens [rows x cols] window by window, and the window lengths.  Windows of 4x4 merged tokens
    (112 pixels) go row by row; those at the right and bottom edge are smaller."""
    order, lengths = [], []
    for top in range(0, rows, window):
        for left in range(0, cols, window):
            cells = [y * cols + x for y in range(top, min(top + window, rows)) for x in range(left, min(left + window, cols))]
            order += cells
            lengths.append(len(cells))
    return order, lengths


def patch_angles(rows, cols, head_size):
    """2-D rotary angles of the patches of a picture of rows x cols merged tokens, in patch order:
    [N x head_size/2], first half driven by the patch's row, second half by its column."""
    freq = 1.0 / 10000.0 ** (np.arange(0, head_size // 2, 2, dtype=np.float32) / (head_size // 2))
    y, x = np.meshgrid(np.arange(rows * MERGE), np.arange(cols * MERGE), indexing="ij")
    yx = np.stack([y, x], -1).reshape(rows, MERGE, cols, MERGE, 2).transpose(0, 2, 1, 3, 4).reshape(-1, 2)
    return np.concatenate([yx[:, :1] * freq, yx[:, 1:] * freq], 1).astype(np.float32)


def text_positions(length, image_start=0, rows=0, cols=0):
    """mRoPE coordinates (time, row, column) of a sequence with one picture of rows x cols merged tokens at index
    image_start: [3 x length].  After the picture, text goes on at image_start + max(rows, cols)."""
    out = np.empty((3, length), np.float32)
    count = rows * cols
    out[:, :image_start] = np.arange(image_start)
    grid = np.stack([np.zeros(count), np.arange(count) // max(cols, 1), np.arange(count) % max(cols, 1)])
    out[:, image_start:image_start + count] = image_start + grid
    out[:, image_start + count:] = image_start + max(rows, cols) + np.arange(length - image_start - count)
    return out


# ------------------------------------------------------------------------------------------------ building blocks
class NormFunction(torch.autograd.Function):
    """y = x / sqrt(mean(x^2) + eps) * weight with a hand-written gradient: fewer passes over memory than autograd's."""

    @staticmethod
    def forward(ctx, x, weight, eps):
        inverse = torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
        unit, weight = x * inverse, weight.to(x.dtype)
        ctx.save_for_backward(unit, inverse, weight)
        return unit * weight

    @staticmethod
    def backward(ctx, grad):
        unit, inverse, weight = ctx.saved_tensors
        product = grad * unit
        mean = torch.matmul(product, weight[:, None]) * (1 / unit.shape[-1])
        to_x = (grad * weight).addcmul_(unit, mean, value=-1).mul_(inverse)
        return to_x, product.flatten(0, -2).sum(0).float(), None


class RMSNorm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x):
        return NormFunction.apply(x, self.weight, self.eps)


class GateFunction(torch.autograd.Function):
    """silu(gate) * up.  With s = sigmoid(gate) and h = gate * s the derivative of silu is s + h - s*h."""

    @staticmethod
    def forward(ctx, gate, up):
        s = torch.sigmoid(gate)
        h = gate * s
        ctx.save_for_backward(s, h, up)
        return h * up

    @staticmethod
    def backward(ctx, grad):
        s, h, up = ctx.saved_tensors
        return (grad * up).mul_((1 - h).mul_(s).add_(h)), grad * h


class SwiGLU(nn.Module):
    def __init__(self, size, inner, bias):
        super().__init__()
        self.gate_proj = nn.Linear(size, inner, bias=bias)
        self.up_proj = nn.Linear(size, inner, bias=bias)
        self.down_proj = nn.Linear(inner, size, bias=bias)

    def forward(self, x):
        return self.down_proj(GateFunction.apply(self.gate_proj(x), self.up_proj(x)))


def rotate(x, cos, sin):
    """Rotary embedding of x [B x S x heads x D]; element i pairs with i + D/2.  cos, sin [S x 1 x D]: the tables of
    the D/2 angles twice, with the sine of the first half negated."""
    a, b = x.chunk(2, -1)
    return x * cos.to(x.dtype) + torch.cat([b, a], -1) * sin.to(x.dtype)


def rotary_tables(angle):
    """Angles [.. x D/2] -> cos, sin [.. x 1 x D] as `rotate` wants them."""
    angle = torch.as_tensor(angle)[..., None, :]
    return torch.cat([angle.cos(), angle.cos()], -1), torch.cat([-angle.sin(), angle.sin()], -1)


def attend(q, k, v, blocked=None):
    """Attention of q [B x S x H x D] over k, v [B x T x G x D]; query head h reads key head h / (H/G).
    blocked: bool, broadcastable to [B x 1 x 1 x S x T], true where a query may not look.  Returns [B x S x H*D]."""
    b, s, heads, size = q.shape
    groups = k.shape[2]
    q = q.reshape(b, s, groups, heads // groups, size).permute(0, 2, 3, 1, 4)      # [B x G x H/G x S x D]
    k = k.permute(0, 2, 3, 1)[:, :, None]                                          # [B x G x 1 x D x T]
    v = v.permute(0, 2, 1, 3)[:, :, None]                                          # [B x G x 1 x T x D]
    score = torch.matmul(q * (1 / math.sqrt(size)), k)
    if blocked is not None:
        score = score.masked_fill(blocked, -30000.0)
    out = torch.matmul(score.softmax(-1), v)
    return out.permute(0, 3, 1, 2, 4).reshape(b, s, heads * size)


# ------------------------------------------------------------------------------------------------ vision tower
def frequency_kernels(size):
    """First kernels of the patch embedding, [size x 3 x 14 x 14]: the lowest frequencies of the cosine transform, half of
    them of brightness and a quarter of each of two colour differences.  Random kernels see little but the mean
    colour of a patch, and the tower then needs very long to discover shapes; frequencies above zero are amplified for
    the same reason."""
    t = (np.arange(PATCH) + 0.5) * np.pi / PATCH
    waves = np.cos(np.arange(PATCH)[:, None] * t) * np.where(np.arange(PATCH) > 0, math.sqrt(2), 1.0)[:, None]
    order = sorted(((u, v) for u in range(PATCH) for v in range(PATCH)), key=lambda f: (f[0] ** 2 + f[1] ** 2, f))
    out = []
    for color, count in (((1, 1, 1), size // 2), ((1, -1, 0), size // 4), ((1, 1, -2), size // 4)):
        color = np.array(color) / np.linalg.norm(color)
        for u, v in order[:count]:
            gain = (3.0 if u + v else 1.0) / PATCH ** 2
            out.append(gain * color[:, None, None] * waves[u][None, :, None] * waves[v][None, None, :])
    return torch.from_numpy(np.stack(out).astype(np.float32))


class PatchEmbed(nn.Module):
    """Dot product of each patch with the kernels.  The frames of a still picture are equal, so that the kernels'
    sum over time gives the same result with half the work."""

    def __init__(self, size):
        super().__init__()
        self.proj = nn.Conv3d(3, size, (FRAMES, PATCH, PATCH), bias=False)

    def forward(self, x):
        return F.linear(x, self.proj.weight.sum(2).flatten(1))


class VisionAttention(nn.Module):
    def __init__(self, size, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(size, 3 * size)
        self.proj = nn.Linear(size, size)

    def forward(self, x, cos, sin, lengths):
        """x [B x N x size]; lengths: sizes of the groups of patches that see each other."""
        b, n, size = x.shape
        qkv = self.qkv(x).reshape(b, n, 3, self.heads, size // self.heads)
        q, k, v = rotate(qkv[:, :, 0], cos, sin), rotate(qkv[:, :, 1], cos, sin), qkv[:, :, 2]
        parts = zip(q.split(lengths, 1), k.split(lengths, 1), v.split(lengths, 1))
        return self.proj(torch.cat([attend(*part) for part in parts], 1))


class VisionBlock(nn.Module):
    def __init__(self, size, heads, inner):
        super().__init__()
        self.norm1, self.norm2 = RMSNorm(size, 1e-6), RMSNorm(size, 1e-6)
        self.attn = VisionAttention(size, heads)
        self.mlp = SwiGLU(size, inner, bias=True)

    def forward(self, x, cos, sin, lengths):
        x = x + self.attn(self.norm1(x), cos, sin, lengths)
        return x + self.mlp(self.norm2(x))


class Merger(nn.Module):
    def __init__(self, size, out):
        super().__init__()
        self.ln_q = RMSNorm(size, 1e-6)
        self.mlp = nn.Sequential(nn.Linear(size * 4, size * 4), nn.GELU(), nn.Linear(size * 4, out))

    def forward(self, x):
        return self.mlp(self.ln_q(x).reshape(x.shape[0], -1, 4 * x.shape[2]))


class VisionTower(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        size = cfg["hidden_size"]
        self.head_size, self.full = size // cfg["num_heads"], cfg["fullatt_block_indexes"]
        self.patch_embed = PatchEmbed(size)
        self.blocks = nn.ModuleList(VisionBlock(size, cfg["num_heads"], cfg["intermediate_size"])
                                    for _ in range(cfg["depth"]))
        self.merger = Merger(size, cfg["out_hidden_size"])

    def forward(self, x, rows, cols):
        """Patches [B x N x 588] of pictures of rows x cols merged tokens -> features [B x M x out]."""
        order, lengths = window_order(rows, cols)
        index = (torch.tensor(order)[:, None] * 4 + torch.arange(4)).reshape(-1)
        cos, sin = rotary_tables(torch.from_numpy(patch_angles(rows, cols, self.head_size))[index])
        x = self.patch_embed(x)[:, index]
        for i, block in enumerate(self.blocks):
            x = block(x, cos, sin, [len(index)] if i in self.full else [4 * n for n in lengths])
        return self.merger(x)[:, torch.tensor(order).argsort()]


# ------------------------------------------------------------------------------------------------ text tower
class TextAttention(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        size, self.heads, self.groups = cfg["hidden_size"], cfg["num_attention_heads"], cfg["num_key_value_heads"]
        self.q_proj = nn.Linear(size, size)
        self.k_proj = nn.Linear(size, size // self.heads * self.groups)
        self.v_proj = nn.Linear(size, size // self.heads * self.groups)
        self.o_proj = nn.Linear(size, size, bias=False)

    def forward(self, x, cos, sin, blocked):
        b, s, size = x.shape
        q = rotate(self.q_proj(x).reshape(b, s, self.heads, -1), cos, sin)
        k = rotate(self.k_proj(x).reshape(b, s, self.groups, -1), cos, sin)
        return self.o_proj(attend(q, k, self.v_proj(x).reshape(b, s, self.groups, -1), blocked))


class TextBlock(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.input_layernorm = RMSNorm(cfg["hidden_size"], cfg["rms_norm_eps"])
        self.self_attn = TextAttention(cfg)
        self.post_attention_layernorm = RMSNorm(cfg["hidden_size"], cfg["rms_norm_eps"])
        self.mlp = SwiGLU(cfg["hidden_size"], cfg["intermediate_size"], bias=False)

    def forward(self, x, cos, sin, blocked):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, blocked)
        return x + self.mlp(self.post_attention_layernorm(x))


class TextBody(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.embed_tokens = nn.Embedding(cfg["vocab_size"], cfg["hidden_size"])
        self.layers = nn.ModuleList(TextBlock(cfg) for _ in range(cfg["num_hidden_layers"]))
        self.norm = RMSNorm(cfg["hidden_size"], cfg["rms_norm_eps"])


class ImageProjector(nn.Module):
    def __init__(self, size_in, size):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(size_in, size), nn.Linear(size, size)

    def forward(self, x):
        return self.linear_2(F.silu(self.linear_1(x)))


class Dimple(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.visual = VisionTower(cfg["vision_config"])
        self.img_projector = ImageProjector(cfg["vision_config"]["out_hidden_size"], cfg["hidden_size"])
        self.model = TextBody(cfg)
        self.lm_head = nn.Linear(cfg["hidden_size"], cfg["vocab_size"], bias=False)
        size = cfg["hidden_size"] // cfg["num_attention_heads"]
        freq = 1.0 / cfg["rope_theta"] ** (np.arange(0, size, 2, dtype=np.float32) / size)
        self.frequencies = torch.from_numpy(freq.astype(np.float32))
        self.axis = torch.from_numpy(np.repeat([0, 1, 2], cfg["mrope_section"]))
        self.initialise()

    def initialise(self):
        """Normal weights with variance 1/inputs, zero biases; outputs that enter the residual stream start smaller."""
        depth = {"visual": self.cfg["vision_config"]["depth"], "model": self.cfg["num_hidden_layers"]}
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)
            elif p.dim() > 1:
                scale = 1 / math.sqrt(p[0].numel())
                if name.endswith(("attn.proj.weight", "o_proj.weight", "down_proj.weight")):
                    scale /= math.sqrt(2 * depth[name.split(".")[0]])
                nn.init.normal_(p, 0, 0.5 if "embed_tokens" in name else scale)
        kernels = self.visual.patch_embed.proj.weight
        kernels.data[:] = frequency_kernels(len(kernels))[:, :, None] / FRAMES

    def look(self, pixels, grid):
        """Patches [B x N x 588] of pictures of grid = (rows, cols) merged tokens -> embeddings [B x M x size]."""
        return self.img_projector(self.visual(pixels, *grid))

    def hidden(self, ids, image=None, grid=(0, 0), causal=False, valid=None):
        """Final normalised states [B x S x size] of token ids [B x S].  image [B x M x size]: what `look` made of the one
        picture per row.  valid: bool [B x S], false for filling on the right that nobody may see."""
        x = self.model.embed_tokens(ids)
        if torch.is_autocast_cpu_enabled():
            x = x.to(torch.get_autocast_cpu_dtype())  # training keeps all activations in bfloat16
        start = 0
        if image is not None:
            # The prompt begins alike in every row, so that the picture has the same place in all of them.
            start = int((ids[0] == self.cfg["image_token_id"]).nonzero()[0])
            x = torch.cat([x[:, :start], image.to(x.dtype), x[:, start + image.shape[1]:]], 1)
        length = ids.shape[1]
        position = torch.from_numpy(text_positions(length, start, *grid))
        cos, sin = rotary_tables(position[self.axis].T * self.frequencies)
        blocked = torch.ones(length, length, dtype=torch.bool).triu(1) if causal else None
        if valid is not None and not bool(valid.all()):
            unseen = ~valid[:, None, None, None, :]
            blocked = unseen if blocked is None else unseen | blocked
        for layer in self.model.layers:
            x = layer(x, cos, sin, blocked)
        return self.model.norm(x)
