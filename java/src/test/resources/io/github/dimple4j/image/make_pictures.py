#!/usr/bin/env python3
"""Writes small pictures of every kind into pictures/, and what is expected of each into pictures.txt.

Needs Pillow with WebP, cjpeg of libjpeg-turbo, cwebp of libwebp and tiffcp of libtiff (Debian: libjpeg-turbo-progs webp libtiff-tools;
Pillow 12.3, libjpeg-turbo 2.1.5, libwebp 1.2.4 and libtiff 4.5 made what is committed). Lines of pictures.txt:

  FILE equal WIDTH HEIGHT HASH [HASH]  the RGB that Pillow gives (convert("RGB") after exif_transpose): the first 16 digits of its SHA-256;
                                       where there is alpha, also that of the picture blended on BACKGROUND
  FILE near WIDTH HEIGHT RGB           the same where single levels differ: the RGB itself, deflated and in base64
  FILE refused | unsupported           one error that says that the file is damaged, or that its kind is not read

Where Pillow is not asked: 16-bit grey is its high byte (Pillow cuts it off at 255), WBMP is unknown to it, and it reads some files that
are cut off within what it happens not to need.
"""
import base64, hashlib, io, os, struct, subprocess, sys, zlib

import numpy as np
from PIL import Image, ImageOps

BACKGROUND = (32, 64, 160)
HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "pictures")
LINES = []


def scene(width=35, height=27, seed=1):
    """Smooth colours, hard edges and a little noise: [height x width x 3], 8 bits."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    rgb = np.stack([x / width * 255, y / height * 255, (x + y) / (width + height) * 255], 2)
    rgb[(x - width * 0.35) ** 2 + (y - height * 0.5) ** 2 < (height * 0.3) ** 2] = (230, 30, 60)
    rgb[int(height * 0.6):int(height * 0.9), int(width * 0.6):int(width * 0.9)] = (10, 60, 240)
    noise = np.random.default_rng(seed).integers(-6, 7, (height, width, 1))
    return np.clip(rgb + noise, 0, 255).astype(np.uint8)


RGB = scene()
SMALL = scene(19, 13)
PICTURE = Image.fromarray(RGB)
LITTLE = Image.fromarray(SMALL)


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def pillow(content):
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return ImageOps.exif_transpose(image).convert("RGB")


def digest(pixels):
    return hashlib.sha256(pixels.tobytes()).hexdigest()[:16]


def blended(content):
    """The picture on BACKGROUND, or nothing if no pixel is transparent."""
    with Image.open(io.BytesIO(content)) as image:
        if not image.has_transparency_data or image.mode == "RGBX":
            return ""
        rgba = ImageOps.exif_transpose(image).convert("RGBA")
    return " " + digest(np.asarray(Image.alpha_composite(Image.new("RGBA", rgba.size, BACKGROUND), rgba).convert("RGB")))


def add(name, content, expected, rgb=None, blend=True, on_background=None):
    """Writes a picture; rgb, and on_background blended, is what it should be where Pillow is not asked; blend=False where Pillow is not asked for
    transparency."""
    with open(os.path.join(FOLDER, name), "wb") as out:
        out.write(content)
    if expected in ("refused", "unsupported"):
        LINES.append(f"{name} {expected}")
        return
    pixels = np.asarray(pillow(content)) if rgb is None else rgb
    if expected == "equal":
        pixel_data = digest(pixels) + (blended(content) if blend and rgb is None else "")
        pixel_data += "" if on_background is None else " " + digest(on_background)
    else:
        pixel_data = base64.b64encode(zlib.compress(pixels.tobytes(), 9)).decode()
    LINES.append(f"{name} {expected} {pixels.shape[1]} {pixels.shape[0]} {pixel_data}")


# ---- JPEG ----

def cjpeg(*options, grey=False, rgb=RGB):
    pnm = (b"P5" if grey else b"P6") + b" %d %d 255\n" % (rgb.shape[1], rgb.shape[0])
    return subprocess.run(["cjpeg", *options], input=pnm + (rgb[:, :, 0] if grey else rgb).tobytes(), capture_output=True, check=True).stdout


def segments(jpeg):
    """(marker, whole segment) up to the scan; the rest comes last under marker 0xDA."""
    at, found = 2, []
    while jpeg[at + 1] != 0xDA:
        length = struct.unpack(">H", jpeg[at + 2:at + 4])[0]
        found.append((jpeg[at + 1], jpeg[at:at + 2 + length]))
        at += 2 + length
    return found + [(0xDA, jpeg[at:])]


def join(parts):
    return b"\xff\xd8" + b"".join(content for _, content in parts)


def without(jpeg, *markers):
    return join([part for part in segments(jpeg) if part[0] not in markers])


def adobe(transform):
    return b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform])


def insert(jpeg, segment):
    return jpeg[:2] + segment + jpeg[2:]


def with_ids(jpeg, ids):
    """Other component identifiers, in the frame and in the scans (one scan of all)."""
    out = bytearray(jpeg)
    for marker in (b"\xff\xc0", b"\xff\xda"):
        at = jpeg.index(marker)
        step, start = (3, at + 10) if marker == b"\xff\xc0" else (2, at + 5)
        for i, value in enumerate(ids):
            out[start + step * i] = value
    return bytes(out)


def exif(value, order="<"):
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, value, 0, 0)


def app1(value, order="<"):
    content = b"Exif\0\0" + exif(value, order)
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content


def jpegs():
    plain = cjpeg("-quality", "85", "-sample", "1x1")
    add("jpeg-444.jpg", plain, "equal")
    for sample in ("2x1", "2x2", "1x2", "4x1", "4x2", "1x4", "2x1,1x2", "1x1,2x2,1x1", "3x1", "2x2,2x1,2x1", "2x2,1x2,1x2"):
        add(f"jpeg-sampled-{sample.replace(',', '-')}.jpg", cjpeg("-sample", sample), "equal")
    for width, height in ((1, 1), (2, 3), (16, 16), (17, 8), (5, 33), (64, 1)):
        add(f"jpeg-420-{width}x{height}.jpg", cjpeg("-sample", "2x2", rgb=scene(width, height)), "equal")
    add("jpeg-grey.jpg", cjpeg("-grayscale", grey=True), "equal")
    add("jpeg-grey-progressive.jpg", cjpeg("-grayscale", "-progressive", grey=True), "equal")
    add("jpeg-grey-sampled.jpg", with_grey_sampling(cjpeg("-grayscale", grey=True)), "equal")
    add("jpeg-progressive-420.jpg", cjpeg("-progressive", "-sample", "2x2"), "equal")
    add("jpeg-progressive-444.jpg", cjpeg("-progressive", "-sample", "1x1", "-quality", "95"), "equal")
    add("jpeg-restart-1.jpg", cjpeg("-restart", "1B", "-sample", "2x2"), "equal")
    add("jpeg-restart-row.jpg", cjpeg("-restart", "1", "-progressive"), "equal")
    add("jpeg-quality-5.jpg", cjpeg("-quality", "5"), "equal")
    add("jpeg-quality-100.jpg", cjpeg("-quality", "100", "-sample", "1x1"), "equal")
    add("jpeg-optimized.jpg", cjpeg("-optimize"), "equal")
    scans = os.path.join(FOLDER, "scans")
    with open(scans, "w") as out:
        out.write("0;\n1;\n2;\n")
    add("jpeg-scan-per-component.jpg", cjpeg("-scans", scans), "equal")
    os.remove(scans)
    add("jpeg-rgb.jpg", cjpeg("-rgb"), "equal")
    bare = without(plain, 0xE0)
    add("jpeg-no-jfif.jpg", bare, "equal")
    add("jpeg-no-jfif-420.jpg", without(cjpeg("-sample", "2x2"), 0xE0), "equal")
    for transform in (0, 1, 2):
        add(f"jpeg-adobe-{transform}.jpg", insert(bare, adobe(transform)), "equal")
    add("jpeg-jfif-and-adobe-0.jpg", insert(plain, adobe(0)), "equal")
    add("jpeg-ids-rgb.jpg", with_ids(bare, b"RGB"), "equal")
    add("jpeg-ids-012.jpg", with_ids(bare, bytes([0, 1, 2])), "equal")
    add("jpeg-ids-rgb-jfif.jpg", with_ids(plain, b"RGB"), "equal")
    add("jpeg-ids-ycca.jpg", with_ids(bare, b"YCc"), "equal")
    add("jpeg-comment-and-fill.jpg", insert(plain, b"\xff\xfe\x00\x06abcd\xff\xff\xff"), "equal")
    add("jpeg-bytes-behind.jpg", plain + b"tail of a camera", "equal")
    icc = profile()
    add("jpeg-icc.jpg", saved(PICTURE, "JPEG", icc_profile=icc), "equal")
    add("jpeg-icc-grey.jpg", saved(PICTURE.convert("L"), "JPEG", icc_profile=icc), "equal")
    add("jpeg-16-bit-tables.jpg", cjpeg("-quality", "1"), "equal")
    for value in range(1, 9):
        add(f"jpeg-exif-{value}{'le' if value % 2 else 'be'}.jpg", insert(plain, app1(value, "<>"[1 - value % 2])), "equal")
    add("jpeg-exif-behind-jfif.jpg", join(segments(plain)[:1] + [(0xE1, app1(6))] + segments(plain)[1:]), "equal")
    mpo = io.BytesIO()
    PICTURE.save(mpo, "MPO", save_all=True, append_images=[LITTLE])
    add("jpeg-mpo.jpg", mpo.getvalue(), "equal")
    # Four components. Pillow writes CMYK as Adobe does: inverted, with transform 0.
    cmyk = np.dstack([255 - RGB, (RGB[:, :, 1] // 3)])
    for name, sampling in (("", 0), ("-420", 2)):
        inverted = saved(Image.fromarray(cmyk, "CMYK"), "JPEG", quality=90, subsampling=sampling)
        add(f"jpeg-cmyk-adobe{name}.jpg", inverted, "equal")
        add(f"jpeg-cmyk-plain{name}.jpg", without(inverted, 0xEE), "equal")
        add(f"jpeg-ycck{name}.jpg", inverted.replace(adobe(0), adobe(2)), "equal")
    add("jpeg-cmyk-adobe-1.jpg", inverted.replace(adobe(0), adobe(1)), "equal")
    add("jpeg-cmyk-progressive.jpg", saved(Image.fromarray(cmyk, "CMYK"), "JPEG", progressive=True), "equal")
    add("jpeg-cmyk-icc.jpg", saved(Image.fromarray(cmyk, "CMYK"), "JPEG", icc_profile=icc), "equal")
    add("jpeg-arithmetic.jpg", cjpeg("-arithmetic"), "unsupported")
    add("jpeg-arithmetic-progressive.jpg", cjpeg("-arithmetic", "-progressive"), "unsupported")
    add("jpeg-12-bit.jpg", plain.replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc1\x00\x11\x0c"), "unsupported")
    add("jpeg-lossless.jpg", plain.replace(b"\xff\xc0", b"\xff\xc3"), "unsupported")
    # Damaged.
    for name, jpeg in (("baseline", plain), ("progressive", cjpeg("-progressive")), ("restart", cjpeg("-restart", "1B")),
                       ("cmyk", inverted)):
        scan = jpeg.index(b"\xff\xda")
        for place, cut in (("early", scan + 30), ("half", (scan + len(jpeg)) // 2), ("end", len(jpeg) - 12), ("eoi", len(jpeg) - 2)):
            add(f"jpeg-cut-{name}-{place}.jpg", jpeg[:cut], "refused")
    for name, cut in (("2", 2), ("20", 20), ("tables", 100), ("frame", plain.index(b"\xff\xc0") + 8)):
        add(f"jpeg-cut-header-{name}.jpg", plain[:cut], "refused")
    half = (plain.index(b"\xff\xda") + len(plain)) // 2
    add("jpeg-cut-and-ended.jpg", plain[:half] + b"\xff\xd9", "refused")
    add("jpeg-zeros.jpg", plain[:half] + bytes(len(plain) - half - 2) + b"\xff\xd9", "refused")
    add("jpeg-lost-restart.jpg", lost_restart(cjpeg("-restart", "1B")), "refused")
    bomb = bytearray(plain)
    bomb[plain.index(b"\xff\xc0") + 5:plain.index(b"\xff\xc0") + 9] = b"\xff\xff\xff\xff"
    add("jpeg-bomb.jpg", bytes(bomb), "refused")
    bomb[plain.index(b"\xff\xc0") + 5:plain.index(b"\xff\xc0") + 9] = struct.pack(">HH", 9000, 9000)
    add("jpeg-bomb-within-limit.jpg", bytes(bomb), "refused")


def with_grey_sampling(jpeg):
    """Sampling factors of 2 x 2 mean nothing where there is one component."""
    at = jpeg.index(b"\xff\xc0")
    return jpeg[:at + 11] + b"\x22" + jpeg[at + 12:]


def lost_restart(jpeg):
    """One interval is missing, with its marker."""
    first, second = jpeg.index(b"\xff\xd1"), jpeg.index(b"\xff\xd2")
    return jpeg[:first] + jpeg[second:]


def profile():
    from PIL import ImageCms
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()[:600]
    return made[:24] + bytes(12) + made[36:]  # without the date


# ---- PNG ----

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, samples, interlaced=False, before=(), after=(), data=None):
    """samples: [height x width x channels] of depth bits; rows are filtered by the five filters in turn."""
    def packed(rows):
        if depth == 16:
            return rows.astype(">u2").reshape(rows.shape[0], -1).view(np.uint8).reshape(rows.shape[0], -1)
        if depth == 8:
            return rows.reshape(rows.shape[0], -1).astype(np.uint8)
        bits = ((rows.reshape(rows.shape[0], -1)[:, :, None] >> np.arange(depth - 1, -1, -1)) & 1).reshape(rows.shape[0], -1)
        return np.packbits(bits.astype(np.uint8), axis=1)

    def filtered(rows):
        step = max(1, samples.shape[2] * depth // 8)
        raw = packed(rows).astype(int)
        out = b""
        above = np.zeros(raw.shape[1], int)
        for y, row in enumerate(raw):
            left = np.concatenate([np.zeros(step, int), row])[:len(row)]
            corner = np.concatenate([np.zeros(step, int), above])[:len(row)]
            kind = y % 5
            p = left + above - corner
            pa, pb, pc = abs(p - left), abs(p - above), abs(p - corner)
            paeth = np.where((pa <= pb) & (pa <= pc), left, np.where(pb <= pc, above, corner))
            guess = [0, left, above, (left + above) // 2, paeth][kind]
            out += bytes([kind]) + ((row - guess) % 256).astype(np.uint8).tobytes()
            above = row
        return out

    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)] if interlaced else [(0, 0, 1, 1)]
    raw = b""
    for y, x, dy, dx in passes:
        part = samples[y::dy, x::dx]
        if part.size:
            raw += filtered(part)
    idat = zlib.compress(raw, 9) if data is None else data(raw)
    half = len(idat) // 2
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))) \
        + b"".join(before) + chunk(b"IDAT", idat[:half]) + chunk(b"IDAT", idat[half:]) + b"".join(after) + chunk(b"IEND", b"")


def pngs():
    height, width = SMALL.shape[:2]
    grey = SMALL[:, :, :1].astype(int)
    alpha = ((SMALL[:, :, 2:].astype(int) * 3) % 256)
    wide = SMALL.astype(int) * 257 - (SMALL % 128)
    palette = np.random.default_rng(3).integers(0, 256, (256, 3)).astype(np.uint8)

    def both(name, *arguments, expected="equal", rgb=None, **options):
        for interlaced in (False, True):
            add(f"png-{name}{'-interlaced' if interlaced else ''}.png", png(width, height, *arguments, interlaced=interlaced, **options),
                expected, rgb)

    for depth in (1, 2, 4, 8):
        both(f"grey-{depth}", depth, 0, grey >> (8 - depth))
        both(f"palette-{depth}", depth, 3, grey >> (8 - depth), before=[chunk(b"PLTE", palette[:1 << depth].tobytes())])
        used = grey >> (8 - depth)
        both(f"palette-{depth}-behind", depth, 3, used, before=[chunk(b"PLTE", palette[:int(used.max())].tobytes())], expected="refused")
        if used.max() + 1 < 1 << depth:
            both(f"palette-{depth}-few", depth, 3, used, before=[chunk(b"PLTE", palette[:int(used.max()) + 1].tobytes())])
    both("grey-16", 16, 0, wide[:, :, :1], expected="equal", rgb=np.repeat((wide[:, :, :1] >> 8).astype(np.uint8), 3, 2))
    both("rgb-8", 8, 2, SMALL.astype(int))
    both("rgb-16", 16, 2, wide)
    both("grey-alpha-8", 8, 4, np.dstack([grey, alpha]))
    both("grey-alpha-16", 16, 4, np.dstack([wide[:, :, :1], alpha * 257]))
    both("rgba-8", 8, 6, np.dstack([SMALL, alpha]))
    both("rgba-16", 16, 6, np.dstack([wide, alpha * 257]))
    for depth in (1, 2, 4):  # Pillow compares the number of what is transparent with levels from 0 to 255, other than the format's document has it
        levels = (grey >> (8 - depth)) * 255 // ((1 << depth) - 1)
        for value in (1, (1 << depth) - 1)[:depth]:
            see_through = np.where(levels == value * 255 // ((1 << depth) - 1), np.array(BACKGROUND), levels).astype(np.uint8)
            for interlaced in (False, True)[:value]:
                content = png(width, height, depth, 0, grey >> (8 - depth), interlaced=interlaced, before=[chunk(b"tRNS", bytes([0, value]))])
                name = f"png-grey-{depth}-trns{f'-{value}' if value > 1 else ''}{'-interlaced' if interlaced else ''}.png"
                add(name, content, "equal", np.repeat(levels.astype(np.uint8), 3, 2), on_background=see_through)
    add("png-grey-8-trns.png", png(width, height, 8, 0, grey, before=[chunk(b"tRNS", b"\0\1")]), "equal")
    add("png-grey-16-trns.png", png(width, height, 16, 0, wide[:, :, :1], before=[chunk(b"tRNS", struct.pack(">H", int(wide[2, 2, 0])))]),
        "equal", np.repeat((wide[:, :, :1] >> 8).astype(np.uint8), 3, 2))
    add("png-rgb-8-trns.png", png(width, height, 8, 2, SMALL.astype(int), before=[chunk(b"tRNS", struct.pack(">HHH", *map(int, SMALL[3, 3])))]),
        "equal")
    add("png-rgb-16-trns.png", png(width, height, 16, 2, wide, before=[chunk(b"tRNS", struct.pack(">HHH", *map(int, wide[3, 3])))]), "equal",
        blend=False)  # Pillow compares high bytes
    add("png-palette-trns.png", png(width, height, 8, 3, grey, before=[chunk(b"PLTE", palette.tobytes()), chunk(b"tRNS", bytes(range(0, 250, 5)))]),
        "equal")
    add("png-palette-short.png", png(width, height, 8, 3, grey // 8, before=[chunk(b"PLTE", palette[:32].tobytes())]), "equal")
    add("png-gamma.png", png(width, height, 8, 2, SMALL.astype(int), before=[chunk(b"gAMA", struct.pack(">I", 100000))]), "equal")
    add("png-grey-gamma.png", png(width, height, 8, 0, grey, before=[chunk(b"gAMA", struct.pack(">I", 45455))]), "equal")
    add("png-srgb.png", png(width, height, 8, 2, SMALL.astype(int), before=[chunk(b"sRGB", b"\0")]), "equal")
    icc = chunk(b"iCCP", b"name\0\0" + zlib.compress(profile()))
    add("png-icc.png", png(width, height, 8, 2, SMALL.astype(int), before=[icc]), "equal")
    add("png-background.png", png(width, height, 8, 6, np.dstack([SMALL, alpha]), before=[chunk(b"bKGD", struct.pack(">HHH", 9, 8, 7))]), "equal")
    add("png-significant-bits.png", png(width, height, 8, 2, SMALL.astype(int), before=[chunk(b"sBIT", b"\5\6\5")]), "equal")
    add("png-text.png", png(width, height, 8, 2, SMALL.astype(int), before=[chunk(b"tEXt", b"Comment\0abc")],
        after=[chunk(b"tIME", struct.pack(">HBBBBB", 2020, 1, 1, 0, 0, 0))]), "equal")
    for value in range(1, 9):
        eXIf = chunk(b"eXIf", exif(value, "<>"[value % 2]))
        add(f"png-exif-{value}.png", png(width, height, 8, 2, SMALL.astype(int), **{"before" if value % 3 else "after": [eXIf]}), "equal")
    raw_profile = b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n      32\n" + (b"Exif\0\0" + exif(6)).hex().encode() + b"\n")
    add("png-exif-as-text.png", png(width, height, 8, 2, SMALL.astype(int), before=[chunk(b"zTXt", raw_profile)]), "equal")
    apng = io.BytesIO()
    LITTLE.save(apng, "PNG", save_all=True, append_images=[ImageOps.invert(LITTLE)], duration=100)
    add("png-animated.png", apng.getvalue(), "equal")
    apng = io.BytesIO()
    LITTLE.save(apng, "PNG", save_all=True, append_images=[ImageOps.invert(LITTLE)], default_image=True, duration=100)
    add("png-animated-default.png", apng.getvalue(), "equal")
    for w, h in ((1, 1), (2, 1), (1, 9), (3, 3)):
        add(f"png-interlaced-{w}x{h}.png", png(w, h, 8, 2, scene(w, h).astype(int), interlaced=True), "equal")
        add(f"png-bits-{w}x{h}.png", png(w, h, 1, 0, scene(w, h)[:, :, :1].astype(int) >> 7), "equal")
    # Damaged.
    good = png(width, height, 8, 2, SMALL.astype(int))
    for name, cut in (("signature", 6), ("header", 20), ("before-data", 33), ("data", 120), ("half", len(good) // 2), ("checksum", len(good) - 13),
                      ("last-data", len(good) - 20)):
        add(f"png-cut-{name}.png", good[:cut], "refused")
    add("png-cut-end.png", good[:-12], "refused")
    add("png-cut-interlaced.png", png(width, height, 8, 2, SMALL.astype(int), interlaced=True, data=lambda raw: zlib.compress(raw[:-100])), "refused")
    add("png-short-data.png", png(width, height, 8, 2, SMALL.astype(int), data=lambda raw: zlib.compress(raw[:-100])), "refused")
    add("png-bad-deflate.png", png(width, height, 8, 2, SMALL.astype(int), data=lambda raw: zlib.compress(raw)[:200] + bytes(200)), "refused")
    add("png-bad-adler.png", png(width, height, 8, 2, SMALL.astype(int), data=lambda raw: zlib.compress(raw)[:-4] + bytes(4)), "refused")
    for name, at in (("header", 20), ("data", 60)):
        bad = bytearray(good)
        bad[at] ^= 1
        add(f"png-bad-crc-{name}.png", bytes(bad), "refused")
    add("png-bad-filter.png", png(width, height, 8, 2, SMALL.astype(int), data=lambda raw: zlib.compress(b"\x07" + raw[1:])), "refused")
    add("png-palette-missing.png", png(width, height, 8, 3, grey), "refused")
    add("png-bad-depth.png", png(width, height, 3, 0, grey, data=lambda raw: zlib.compress(raw)), "refused")
    add("png-unknown-critical.png", png(width, height, 8, 2, SMALL.astype(int), before=[chunk(b"ABCD", b"1")]), "refused")
    add("png-zero-wide.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 5, 8, 2, 0, 0, 0)) + chunk(b"IEND", b""), "refused")
    add("png-bomb.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 100000, 100000, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""), "refused")
    add("png-bomb-within-limit.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 10000, 10000, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""), "refused")


# ---- GIF ----

def lzw(indices, bits):
    """Codes of one width and a clear code often enough that it never grows: valid, if not small."""
    clear, width = 1 << bits, bits + 1
    codes = []
    for i, index in enumerate(indices):
        if i % ((1 << bits) - 2) == 0:
            codes.append(clear)
        codes.append(int(index))
    codes.append(clear + 1)
    value = sum(code << (width * i) for i, code in enumerate(codes))
    raw = value.to_bytes((len(codes) * width + 7) // 8, "little")
    return bytes([bits]) + b"".join(bytes([len(raw[i:i + 255])]) + raw[i:i + 255] for i in range(0, len(raw), 255)) + b"\0"


def gif(frames, size=(19, 13), palette=None, background=0, trailer=b";"):
    """frames: (left, top, indices [height x width], local palette or None, transparent index or None, interlaced)."""
    def table(colours):
        return colours.astype(np.uint8).tobytes()

    bits = 0 if palette is None else (len(palette) - 1).bit_length() - 1
    out = b"GIF89a" + struct.pack("<HHBBB", *size, (0x80 if palette is not None else 0) | 0x70 | bits, background, 0)
    if palette is not None:
        out += table(palette)
    for left, top, indices, local, transparent, interlaced in frames:
        if transparent is not None:
            out += b"\x21\xf9\x04" + bytes([1, 5, 0, transparent]) + b"\0"
        height, width = indices.shape
        flags = (0x80 | ((len(local) - 1).bit_length() - 1) if local is not None else 0) | (0x40 if interlaced else 0)
        out += b"," + struct.pack("<HHHHB", left, top, width, height, flags) + (table(local) if local is not None else b"")
        rows = [*range(0, height, 8), *range(4, height, 8), *range(2, height, 4), *range(1, height, 2)] if interlaced else range(height)
        count = len(local if local is not None else palette) if local is not None or palette is not None else 256
        out += lzw(indices[list(rows)].reshape(-1), max(2, (count - 1).bit_length()))
    return out + trailer


def gifs():
    palette = np.random.default_rng(4).integers(0, 256, (64, 3))
    local = np.random.default_rng(5).integers(0, 256, (32, 3))
    indices = (SMALL[:, :, 0] // 4).astype(int)
    part = indices[2:9, 3:14]
    add("gif-plain.gif", gif([(0, 0, indices, None, None, False)], palette=palette), "equal")
    add("gif-interlaced.gif", gif([(0, 0, indices, None, None, True)], palette=palette), "equal")
    add("gif-local-palette.gif", gif([(0, 0, indices // 2, local, None, False)], palette=palette), "equal")
    add("gif-local-palette-only.gif", gif([(0, 0, indices // 2, local, None, False)]), "equal")
    add("gif-transparent.gif", gif([(0, 0, indices, None, int(indices[4, 4]), False)], palette=palette), "equal")
    for background in (0, 5):
        for transparent in (None, 9):
            add(f"gif-offset-{background}-{'opaque' if transparent is None else 'transparent'}.gif",
                gif([(4, 3, part, None, transparent, False)], palette=palette, background=background), "equal")
    add("gif-offset-local.gif", gif([(4, 3, part // 2, local, None, False)], palette=palette, background=5), "equal")
    add("gif-frames.gif", gif([(0, 0, indices, None, None, False), (4, 3, part, None, 9, False)], palette=palette), "equal")
    add("gif-beyond-screen.gif", gif([(0, 0, indices, None, None, False)], size=(10, 8), palette=palette), "equal")
    add("gif-beyond-screen-offset.gif", gif([(6, 5, indices, None, None, False)], size=(10, 8), palette=palette), "equal")
    add("gif-lzw.gif", saved(Image.fromarray(scene(80, 60)).quantize(256), "GIF"), "equal")
    add("gif-lzw-interlaced.gif", saved(Image.fromarray(scene(80, 60)).quantize(16), "GIF", interlace=1), "equal")
    add("gif-grey.gif", saved(LITTLE.convert("L"), "GIF"), "equal")
    add("gif-one-bit.gif", saved(LITTLE.convert("1"), "GIF"), "equal")
    add("gif-87a.gif", b"GIF87a" + gif([(0, 0, indices, None, None, False)], palette=palette)[6:], "equal")
    add("gif-comment.gif", gif([(0, 0, indices, None, None, False)], palette=palette).replace(b",\0\0\0\0", b"\x21\xfe\x03abc\0,\0\0\0\0", 1), "equal")
    add("gif-1x1.gif", gif([(0, 0, indices[:1, :1], None, None, False)], size=(1, 1), palette=palette), "equal")
    add("gif-no-trailer.gif", gif([(0, 0, indices, None, None, False)], palette=palette, trailer=b""), "equal")
    good = saved(Image.fromarray(scene(80, 60)).quantize(64), "GIF")
    for name, cut in (("header", 8), ("palette", 100), ("image", good.index(b",\0\0\0\0") + 5), ("early", len(good) // 2), ("late", len(good) - 40)):
        add(f"gif-cut-{name}.gif", good[:cut], "refused")
    at = good.index(b",\0\0\0\0")
    add("gif-short-data.gif", gif([(0, 0, indices[:5], None, None, False)], palette=palette).replace(struct.pack("<HHHH", 0, 0, 19, 5),
        struct.pack("<HHHH", 0, 0, 19, 13)), "refused")
    bomb = bytearray(good)
    bomb[6:10] = b"\xff\xff\xff\xff"
    bomb[at + 5:at + 9] = b"\xff\xff\xff\xff"
    add("gif-bomb.gif", bytes(bomb), "refused")
    bomb[6:10] = bomb[at + 5:at + 9] = struct.pack("<HH", 9900, 9900)
    add("gif-bomb-within-limit.gif", bytes(bomb), "refused")
    whole = gif([(0, 0, indices, None, None, False)], palette=palette)  # of whose 64 colours the first half stays
    add("gif-behind.gif", whole[:10] + bytes([whole[10] - 1]) + whole[11:13 + 96] + whole[13 + 192:], "refused")
    add("gif-no-image.gif", gif([], palette=palette), "refused")


# ---- BMP ----

def bmp(width, height, bits, rows, palette=b"", compression=0, masks=b"", header=40, colours=0):
    offset = 14 + header + len(masks if header == 40 else b"") + len(palette)
    info = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, len(rows), 2835, 2835, colours, 0)
    info += (masks + bytes(header))[:header - 40] if header > 40 else masks
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + info + palette + rows


def bmp_rows(samples, bits, top_down=False):
    """samples: [height x width] integers of the given bits."""
    rows = samples if top_down else samples[::-1]
    out = b""
    for row in rows:
        if bits < 8:
            digits = ((row[:, None] >> np.arange(bits - 1, -1, -1)) & 1).reshape(-1).astype(np.uint8)
            data = np.packbits(digits).tobytes()
        else:
            data = b"".join(int(v).to_bytes(bits // 8, "little") for v in row)
        out += data + bytes(-len(data) % 4)
    return out


def bmps():
    height, width = SMALL.shape[:2]
    s = SMALL.astype(int)
    colours = np.random.default_rng(6).integers(0, 256, (256, 4)).astype(np.uint8)
    colours[:, 3] = 0
    true = s[:, :, 0] << 16 | s[:, :, 1] << 8 | s[:, :, 2]
    for bits in (1, 4, 8):
        rows = bmp_rows(s[:, :, 0] >> (8 - bits), bits)
        add(f"bmp-{bits}.bmp", bmp(width, height, bits, rows, colours[:1 << bits].tobytes()), "equal")
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, 1)
    add("bmp-8-grey.bmp", bmp(width, height, 8, bmp_rows(s[:, :, 0], 8), grey.tobytes()), "equal")
    add("bmp-8-few-colours.bmp", bmp(width, height, 8, bmp_rows(s[:, :, 0] >> 4, 8), colours[:16].tobytes(), colours=16), "equal")
    add("bmp-16-555.bmp", bmp(width, height, 16, bmp_rows(s[:, :, 0] >> 3 << 10 | s[:, :, 1] >> 3 << 5 | s[:, :, 2] >> 3, 16)), "equal")
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    add("bmp-16-565.bmp", bmp(width, height, 16, bmp_rows(s[:, :, 0] >> 3 << 11 | s[:, :, 1] >> 2 << 5 | s[:, :, 2] >> 3, 16), masks=masks,
        compression=3), "equal")
    add("bmp-24.bmp", bmp(width, height, 24, bmp_rows(true, 24)), "equal")
    add("bmp-24-top-down.bmp", bmp(width, -height, 24, bmp_rows(true, 24, True)), "equal")
    add("bmp-32.bmp", bmp(width, height, 32, bmp_rows(true | 0x55 << 24, 32)), "equal")
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    add("bmp-32-masks.bmp", bmp(width, height, 32, bmp_rows(true, 32), compression=3, masks=masks[:12]), "equal")
    add("bmp-32-alpha.bmp", bmp(width, height, 32, bmp_rows(true | s[:, :, 1] << 24, 32), compression=3, masks=masks, header=56), "equal")
    add("bmp-32-v4.bmp", bmp(width, height, 32, bmp_rows(true | s[:, :, 1] << 24, 32), compression=3, masks=masks, header=108), "equal")
    add("bmp-32-v5.bmp", bmp(width, height, 32, bmp_rows(true | s[:, :, 1] << 24, 32), compression=3, masks=masks, header=124), "equal")
    index = s[:, :, 0] >> 4
    index[:, 5:12] = 3
    runs, nibbles = b"", b""
    for row in index[::-1]:
        for at in list(range(0, 5)) + [12]:
            runs += bytes([1, row[at]])
            if at == 4:
                runs += bytes([7, 3])
        literal = bytes(int(v) for v in row[13:])
        runs += bytes([0, len(literal)]) + literal + bytes(len(literal) % 2) + b"\0\0"
        nibbles += b"".join(bytes([1, int(v) << 4]) for v in row) + b"\0\0"
    add("bmp-rle8.bmp", bmp(width, height, 8, runs + b"\0\1", colours[:16].tobytes(), compression=1, colours=16), "equal")
    add("bmp-rle4.bmp", bmp(width, height, 4, nibbles + b"\0\1", colours[:16].tobytes(), compression=2, colours=16), "equal")
    core = b"BM" + struct.pack("<IHHI", 26 + 60 * height, 0, 0, 26) + struct.pack("<IHHHH", 12, width, height, 1, 24) + bmp_rows(true, 24)
    add("bmp-os2.bmp", core, "equal")
    for bits in (1, 4, 8):
        gap = bmp(width, height, bits, bmp_rows(s[:, :, 0] >> (8 - bits), bits), colours[:1 << bits].tobytes() + bytes(33))
        add(f"bmp-{bits}-gap.bmp", gap, "equal")
        few = bmp(width, height, bits, bmp_rows(s[:, :, 0] >> (8 - bits), bits), colours[:1 << bits].tobytes(), header=64)
        add(f"bmp-{bits}-os2-2.bmp", few, "equal")
    add("bmp-24-os2-2.bmp", bmp(width, height, 24, bmp_rows(true, 24), header=64), "equal")
    huffman = bmp(width, height, 1, bmp_rows(s[:, :, 0] >> 7, 1), colours[:2].tobytes(), header=64, compression=3)
    add("bmp-1-os2-2-huffman.bmp", huffman, "unsupported")
    for bits in (1, 4, 8):  # fewer colours than pixels use, counted, with all of them there, or with room for fewer
        used = s[:, :, 0] >> (8 - bits)
        most = int(used.max())
        counted = bmp(width, height, bits, bmp_rows(used, bits), colours[:1 << bits].tobytes(), colours=most)
        add(f"bmp-{bits}-behind.bmp", counted, "refused")
        add(f"bmp-{bits}-behind-room.bmp", bmp(width, height, bits, bmp_rows(used, bits), colours[:most].tobytes(), colours=1 << bits), "refused")
        counted = bmp(width, height, bits, bmp_rows(used, bits), colours[:1 << bits].tobytes(), colours=most + 1)
        add(f"bmp-{bits}-counted.bmp", counted, "equal")
    add("bmp-rle8-behind.bmp", bmp(width, height, 8, runs + b"\0\1", colours.tobytes(), compression=1, colours=int(index.max())), "refused")
    add("bmp-8-counted-os2-2.bmp", bmp(width, height, 8, bmp_rows(s[:, :, 0] >> 4, 8), colours[:16].tobytes(), header=64, colours=15), "refused")
    core = b"BM" + struct.pack("<IHHI", 26 + 45 + 20 * height, 0, 0, 26 + 45) + struct.pack("<IHHHH", 12, width, height, 1, 8)
    add("bmp-os2-8-behind.bmp", core + colours[:15, :3].tobytes() + bmp_rows(s[:, :, 0] >> 4, 8), "refused")
    add("bmp-1x1.bmp", bmp(1, 1, 24, bmp_rows(true[:1, :1], 24)), "equal")
    for name, whole in (("24", bmp(width, height, 24, bmp_rows(true, 24))), ("8", bmp(width, height, 8, bmp_rows(s[:, :, 0], 8), colours.tobytes())),
                        ("rle8", bmp(width, height, 8, runs + b"\0\1", colours[:16].tobytes(), compression=1, colours=16))):
        for place, cut in (("header", 30), ("half", len(whole) - 200 if name != "rle8" else len(whole) - 90), ("end", len(whole) - 9)):
            add(f"bmp-cut-{name}-{place}.bmp", whole[:cut], "refused")
    add("bmp-bomb.bmp", bmp(60000, 60000, 24, bytes(100)), "refused")
    add("bmp-bomb-within-limit.bmp", bmp(9000, 9000, 24, bytes(100)), "refused")


# ---- TIFF ----

def tiff(entries, data, order="<"):
    """entries: tag -> (type, values); 273 (offsets of strips) is filled in: data is a list of strips."""
    sizes = {1: "B", 2: "B", 3: "H", 4: "I", 11: "f", 12: "d"}
    entries = dict(entries)
    tiles = 324 in entries
    entries[324 if tiles else 273] = (4, [0] * len(data))
    entries[325 if tiles else 279] = (4, [len(part) for part in data])
    start = 8 + 2 + 12 * len(entries) + 4
    def build(first):
        at = first
        offsets = []
        for part in data:
            offsets.append(at)
            at += len(part)
        entries[324 if tiles else 273] = (4, offsets)
        directory, extra = b"", b""
        for tag in sorted(entries):
            kind, values = entries[tag]
            raw = struct.pack(order + sizes[kind] * len(values), *values)
            if len(raw) > 4:
                raw, extra = struct.pack(order + "I", start + len(extra)), extra + raw + bytes(len(raw) % 2)
            directory += struct.pack(order + "HHI", tag, kind, len(values)) + raw + bytes(4 - len(raw))
        return directory, extra
    _, extra = build(0)
    directory, extra = build(start + len(extra))
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries)) + directory + bytes(4) + extra + b"".join(data)


def tiff_of(samples, bits, photometric, order="<", planar=1, rows_per_strip=5, tile=None, extra=(), more=(), compress=None, fmt=None, code=None):
    """samples: [height x width x channels] integers or floats."""
    height, width, channels = samples.shape

    def packed(block):
        flat = block.reshape(block.shape[0], -1)
        if fmt == 3:
            return flat.astype(order + ("f4" if bits == 32 else "f8")).tobytes()
        if bits in (16, 32):
            return flat.astype(order + ("u2" if bits == 16 else "u4")).tobytes()
        if bits == 8:
            return flat.astype(np.uint8).tobytes()
        digits = ((flat[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1).reshape(flat.shape[0], -1).astype(np.uint8)
        return np.packbits(digits, axis=1).tobytes()

    def squeezed(block):
        return packed(block) if compress is None else compress(packed(block), block)

    entries = {256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * channels), 259: (3, [code or 1]), 262: (3, [photometric]),
               277: (3, [channels]), 284: (3, [planar])}
    if extra:
        entries[338] = (3, list(extra))
    if fmt:
        entries[339] = (3, [fmt] * channels)
    planes = [samples] if planar == 1 else [samples[:, :, i:i + 1] for i in range(channels)]
    if tile:
        entries[322], entries[323], entries[324] = (3, [tile]), (3, [tile]), (4, [0])
        blocks = []
        for plane in planes:
            filled = np.zeros((-(-height // tile) * tile, -(-width // tile) * tile, plane.shape[2]), plane.dtype)
            filled[:height, :width] = plane
            blocks += [filled[y:y + tile, x:x + tile] for y in range(0, height, tile) for x in range(0, width, tile)]
    else:
        entries[278] = (3, [rows_per_strip])
        blocks = [plane[y:y + rows_per_strip] for plane in planes for y in range(0, height, rows_per_strip)]
    entries.update(more)
    return tiff(entries, [squeezed(block) for block in blocks], order)


def difference(raw, block):
    flat = np.frombuffer(raw, np.uint8).reshape(block.shape[0], block.shape[1], -1).astype(int)
    flat[:, 1:] = flat[:, 1:] - flat[:, :-1].copy()
    return zlib.compress((flat % 256).astype(np.uint8).tobytes())


def wide_difference(order):
    def compressed(raw, block):
        flat = np.frombuffer(raw, order + "u2").reshape(block.shape[0], block.shape[1], -1).astype(int)
        flat[:, 1:] = flat[:, 1:] - flat[:, :-1].copy()
        return zlib.compress((flat % 65536).astype(order + "u2").tobytes())
    return compressed


def packbits(raw, block):
    width = len(raw) // block.shape[0]
    out = b""
    for y in range(block.shape[0]):
        row = raw[y * width:(y + 1) * width]
        for i in range(0, width, 100):
            out += bytes([len(row[i:i + 100]) - 1]) + row[i:i + 100]
    return out


def tiffs():
    s = SMALL.astype(int)
    grey = s[:, :, :1]
    alpha = (s[:, :, 2:] * 3) % 256
    wide = s * 257 - (SMALL % 128)
    for order, name in (("<", "le"), (">", "be")):
        add(f"tiff-rgb-{name}.tif", tiff_of(s, 8, 2, order), "equal")
        add(f"tiff-grey-16-{name}.tif", tiff_of(wide[:, :, :1], 16, 1, order), "equal", np.repeat((wide[:, :, :1] >> 8).astype(np.uint8), 3, 2))
        add(f"tiff-rgb-16-{name}.tif", tiff_of(wide, 16, 2, order), "equal")
        floats = s[:, :, :1] * 1.25 - 20.4
        add(f"tiff-float-{name}.tif", tiff_of(floats, 32, 1, order, fmt=3), "equal")
    for bits in (1, 2, 4, 8):
        add(f"tiff-grey-{bits}.tif", tiff_of(grey >> (8 - bits), bits, 1), "equal")
        add(f"tiff-white-is-0-{bits}.tif", tiff_of(grey >> (8 - bits), bits, 0), "equal")
    palette = np.random.default_rng(8).integers(0, 65536, (3, 256))
    add("tiff-palette.tif", tiff_of(grey, 8, 3, more={320: (3, palette.reshape(-1).tolist())}), "near")
    add("tiff-palette-behind.tif", tiff_of(grey, 8, 3, more={320: (3, palette[:, :200].reshape(-1).tolist())}), "refused")
    add("tiff-palette-4.tif", tiff_of(grey >> 4, 4, 3, more={320: (3, palette[:, :16].reshape(-1).tolist())}), "near")
    add("tiff-rgba.tif", tiff_of(np.dstack([s, alpha]), 8, 2, extra=[2]), "equal")
    add("tiff-rgba-associated.tif", tiff_of(np.dstack([s * alpha // 255, alpha]), 8, 2, extra=[1]), "near")
    add("tiff-rgbx.tif", tiff_of(np.dstack([s, alpha]), 8, 2, extra=[0]), "equal")
    add("tiff-grey-alpha.tif", tiff_of(np.dstack([grey, alpha]), 8, 1, extra=[2]), "equal")
    hard = np.dstack([s, alpha // 2 * (grey > 40)])  # colours above their alpha, and alpha 0
    add("tiff-rgba-associated-beyond.tif", tiff_of(hard, 8, 2, extra=[1]), "equal")
    for order, name in (("<", "le"), (">", "be")):
        add(f"tiff-rgba-associated-16-{name}.tif", tiff_of(np.dstack([wide, hard[:, :, 3:] * 257]), 16, 2, order, extra=[1]), "equal")
        code = dict(code=8, compress=wide_difference(order), more={317: (3, [2])})
        add(f"tiff-predictor-16-{name}.tif", tiff_of(wide, 16, 2, order, **code), "equal")
        add(f"tiff-predictor-16-tiles-{name}.tif", tiff_of(wide, 16, 2, order, tile=16, planar=2, **code), "equal")
    differing = dict(code=8, compress=wide_difference("<"), more={317: (3, [2])})
    add("tiff-predictor-16-white-is-0.tif", tiff_of(wide[:, :, :1], 16, 0, **differing), "unsupported")
    add("tiff-predictor-float.tif", tiff_of(grey / 1.0, 32, 1, fmt=3, **differing), "unsupported")
    add("tiff-rgbx-blended.tif", tiff_of(np.dstack([s, alpha]), 8, 2, extra=[0], rows_per_strip=3), "equal", on_background=SMALL)
    add("tiff-rgba-and-more.tif", tiff_of(np.dstack([s, alpha, grey]), 8, 2, extra=[2, 0]), "equal")
    add("tiff-palette-alpha.tif", tiff_of(np.dstack([grey, alpha]), 8, 3, extra=[2], more={320: (3, palette.reshape(-1).tolist())}), "equal")
    lowest = lambda raw: bytes(int(f"{byte:08b}"[::-1], 2) for byte in raw)
    add("tiff-lowest-first.tif", tiff_of(s, 8, 2, compress=lambda raw, block: lowest(raw), more={266: (3, [2])}), "equal")
    add("tiff-lowest-first-deflate.tif", tiff_of(s, 8, 2, code=8, compress=lambda raw, block: lowest(zlib.compress(raw)), more={266: (3, [2])}),
        "equal")
    add("tiff-ycbcr-planar.tif", tiff_of(s, 8, 6, planar=2, more={530: (3, [1, 1])}), "unsupported")
    add("tiff-cmyk.tif", tiff_of(np.dstack([255 - s, grey // 3]), 8, 5), "equal")
    add("tiff-planar.tif", tiff_of(s, 8, 2, planar=2), "equal")
    add("tiff-tiles.tif", tiff_of(s, 8, 2, tile=16), "equal")
    add("tiff-deflate.tif", tiff_of(s, 8, 2, code=8, compress=lambda raw, block: zlib.compress(raw)), "equal")
    add("tiff-deflate-old.tif", tiff_of(s, 8, 2, code=32946, compress=lambda raw, block: zlib.compress(raw)), "equal")
    add("tiff-predictor.tif", tiff_of(s, 8, 2, code=8, compress=difference, more={317: (3, [2])}), "equal")
    add("tiff-packbits.tif", tiff_of(s, 8, 2, code=32773, compress=packbits), "equal")
    for kind in ("tiff_lzw", "jpeg", "tiff_adobe_deflate", "packbits"):
        add(f"tiff-pillow-{kind}.tif", saved(LITTLE, "TIFF", compression=kind), "equal")
    for kind in ("group3", "group4", "tiff_ccitt"):
        add(f"tiff-{kind}.tif", saved(LITTLE.convert("1", dither=0), "TIFF", compression=kind), "equal")
    add("tiff-lab.tif", tiff_of(s, 8, 8), "unsupported")
    add("tiff-zstd.tif", tiff_of(s, 8, 2, code=50000), "unsupported")
    add("tiff-predictor-3.tif", tiff_of(s, 8, 2, code=8, compress=difference, more={317: (3, [3])}), "unsupported")
    add("tiff-cmyk-jpeg.tif", saved(LITTLE.convert("CMYK"), "TIFF", compression="jpeg"), "unsupported")
    add("tiff-rgba-jpeg.tif", tiffcp(tiff_of(np.dstack([s, alpha]), 8, 2, extra=[2], rows_per_strip=8), "-c", "jpeg:r"), "unsupported")
    halved = {256: (4, [35]), 257: (4, [27]), 258: (3, [8] * 3), 259: (3, [7]), 262: (3, [6]), 277: (3, [3]), 278: (3, [27]), 530: (3, [1, 2])}
    add("tiff-jpeg-halved-rows.tif", tiff(halved, [cjpeg("-sample", "1x2,1x1,1x1")]), "unsupported")
    add("tiff-ycbcr-jpeg.tif", tiffcp(saved(PICTURE, "TIFF"), "-c", "jpeg"), "equal")
    add("tiff-lzw-predictor.tif", tiffcp(saved(PICTURE, "TIFF"), "-c", "lzw:2"), "equal")
    for value in range(1, 9):
        add(f"tiff-orientation-{value}.tif", tiff_of(s, 8, 2, "<>"[value % 2], more={274: (3, [value])}), "equal")
    pages = io.BytesIO()
    LITTLE.save(pages, "TIFF", save_all=True, append_images=[ImageOps.invert(LITTLE)])
    add("tiff-pages.tif", pages.getvalue(), "equal")
    add("tiff-1x1.tif", tiff_of(s[:1, :1], 8, 2), "equal")
    for name, whole in (("plain", tiff_of(s, 8, 2)), ("deflate", tiff_of(s, 8, 2, code=8, compress=lambda raw, block: zlib.compress(raw))),
                        ("tiles", tiff_of(s, 8, 2, tile=16)), ("lzw", tiffcp(saved(PICTURE, "TIFF"), "-c", "lzw")),
                        ("packbits", tiff_of(s, 8, 2, code=32773, compress=packbits))):
        for place, cut in (("header", 60), ("half", len(whole) // 2), ("end", len(whole) - 9)):
            add(f"tiff-cut-{name}-{place}.tif", whole[:cut], "refused")
    add("tiff-bomb-within-limit.tif", tiff_of(s, 8, 2, more={256: (4, [9000]), 257: (4, [9000]), 278: (3, [9000])}), "refused")
    add("tiff-bomb.tif", tiff_of(s, 8, 2, more={256: (4, [100000]), 257: (4, [100000])}), "refused")


def alternating(width=23, height=9):
    """Black and white: long runs, random pixels, and rows whose pixels all differ from their neighbours."""
    rows = np.random.default_rng(width).integers(0, 2, (height, width), np.uint8) * 255
    rows[0] = np.arange(width) % 2 * 255
    rows[3] = np.arange(1, width + 1) % 2 * 255
    rows[4:6] = 255 * (np.arange(width) > width // 3)
    rows[7, : width // 2] = np.arange(width // 2) % 2 * 255
    return Image.fromarray(rows).convert("1", dither=0)


def reversed_bits(content):
    """The same fax codes with the lowest bit of each byte first: tag 284, which says nothing new here, becomes the tag 266."""
    with Image.open(io.BytesIO(content)) as image:
        start, size = image.tag_v2[273][0], image.tag_v2[279][0]
    turned = bytes(int(f"{byte:08b}"[::-1], 2) for byte in content[start:start + size])
    entry = content.index(struct.pack("<HHI", 284, 3, 1))
    return (content[:start] + turned + content[start + size:])[:entry] + struct.pack("<HHIHH", 266, 3, 1, 2, 0) + (
        content[:start] + turned + content[start + size:])[entry + 12:]


def faxes():
    for kind in ("group3", "group4", "tiff_ccitt"):
        for width in (1, 2, 6, 23, 2700):
            add(f"tiff-{kind}-{width}.tif", saved(alternating(width), "TIFF", compression=kind), "equal")
        whole = saved(alternating(), "TIFF", compression=kind)
        add(f"tiff-{kind}-lowest-first.tif", reversed_bits(whole), "equal", np.asarray(alternating().convert("RGB")))
        add(f"tiff-{kind}-white-is-0.tif", saved(alternating(), "TIFF", compression=kind, tiffinfo={262: 0}), "equal")
        add(f"tiff-{kind}-strips.tif", saved(alternating(), "TIFF", compression=kind, tiffinfo={278: 2}), "equal")
        start = whole.index(b"II*") + 8
        add(f"tiff-{kind}-zeros.tif", whole[:start] + bytes(12) + whole[start + 12:], "refused")
    for options in (1, 4, 5):
        add(f"tiff-group3-options-{options}.tif", saved(alternating(), "TIFF", compression="group3", tiffinfo={292: options}), "equal")


def tiffcp(content, *options):
    source, target = os.path.join(FOLDER, "in.tif"), os.path.join(FOLDER, "out.tif")
    with open(source, "wb") as out:
        out.write(content)
    subprocess.run(["tiffcp", *options, source, target], check=True)
    with open(target, "rb") as result:
        content = result.read()
    os.remove(source)
    os.remove(target)
    return content


# ---- WebP ----

def cwebp(*options, image=PICTURE):
    source, target = os.path.join(FOLDER, "in.png"), os.path.join(FOLDER, "out.webp")
    image.save(source)
    subprocess.run(["cwebp", "-quiet", *options, source, "-o", target], check=True)
    with open(target, "rb") as result:
        content = result.read()
    os.remove(source)
    os.remove(target)
    return content


def webps():
    alpha = Image.fromarray((SMALL[:, :, 2].astype(int) * 3 % 256).astype(np.uint8))
    clear = LITTLE.copy()
    clear.putalpha(alpha)
    for quality in (5, 50, 95):
        add(f"webp-lossy-{quality}.webp", cwebp("-q", str(quality)), "equal")
    add("webp-simple-filter.webp", cwebp("-q", "30", "-f", "80", "-nostrong"), "equal")
    add("webp-no-filter.webp", cwebp("-q", "60", "-f", "0"), "equal")
    add("webp-sharp-filter.webp", cwebp("-q", "20", "-f", "90", "-sharpness", "5"), "equal")
    add("webp-segments.webp", cwebp("-q", "40", "-segments", "4", "-sns", "100", image=Image.fromarray(scene(96, 80))), "equal")
    add("webp-partitions.webp", cwebp("-q", "70", "-partition_limit", "50", image=Image.fromarray(scene(70, 90))), "equal")
    add("webp-larger.webp", cwebp("-q", "75", image=Image.fromarray(scene(131, 67))), "equal")
    for width, height in ((1, 1), (2, 2), (3, 1), (1, 5), (16, 16), (17, 33)):
        add(f"webp-lossy-{width}x{height}.webp", cwebp("-q", "80", image=Image.fromarray(scene(width, height))), "equal")
        add(f"webp-lossless-{width}x{height}.webp", cwebp("-lossless", image=Image.fromarray(scene(width, height))), "equal")
    for method in (0, 3, 6):
        add(f"webp-lossless-m{method}.webp", cwebp("-lossless", "-m", str(method)), "equal")
    add("webp-lossless-palette.webp", cwebp("-lossless", image=PICTURE.quantize(12).convert("RGB")), "equal")
    add("webp-lossless-two-colours.webp", cwebp("-lossless", image=PICTURE.quantize(2).convert("RGB")), "equal")
    add("webp-lossless-four-colours.webp", cwebp("-lossless", image=PICTURE.quantize(4).convert("RGB")), "equal")
    add("webp-lossless-200-colours.webp", cwebp("-lossless", image=Image.fromarray(scene(80, 60)).quantize(200).convert("RGB")), "equal")
    add("webp-lossless-larger.webp", cwebp("-lossless", "-q", "100", image=Image.fromarray(scene(120, 80, 5) // 32 * 32)), "equal")
    add("webp-lossless-alpha.webp", cwebp("-lossless", "-exact", image=clear), "equal")
    add("webp-near-lossless.webp", cwebp("-near_lossless", "40"), "equal")
    for i, options in enumerate((("-alpha_method", "0"), ("-alpha_filter", "best"), ("-alpha_q", "40"))):
        add(f"webp-lossy-alpha-{i}.webp", cwebp("-q", "75", *options, image=clear), "equal")
    frames = io.BytesIO()
    LITTLE.save(frames, "WEBP", save_all=True, append_images=[ImageOps.invert(LITTLE)], duration=100, lossless=True)
    add("webp-animated.webp", frames.getvalue(), "equal")
    frames = io.BytesIO()
    PICTURE.save(frames, "WEBP", save_all=True, append_images=[ImageOps.invert(PICTURE)], duration=100, quality=60)
    add("webp-animated-lossy.webp", frames.getvalue(), "equal")
    for value in (1, 3, 6):
        add(f"webp-exif-{value}.webp", saved(LITTLE, "WEBP", lossless=True, exif=exif(value)), "equal")
    add("webp-icc.webp", saved(LITTLE, "WEBP", lossless=True, icc_profile=profile()), "equal")
    for name, whole in (("lossy", cwebp("-q", "75")), ("lossless", cwebp("-lossless")), ("alpha", cwebp("-q", "75", image=clear))):
        for place, cut in (("header", 18), ("early", 60), ("half", len(whole) // 2), ("end", len(whole) - 9)):
            add(f"webp-cut-{name}-{place}.webp", whole[:cut], "refused")
    bomb = bytearray(cwebp("-q", "75"))
    bomb[26:30] = b"\xff\x3f\xff\x3f"
    add("webp-bomb.webp", bytes(bomb), "refused")


# ---- others ----

def others():
    wbmp = b"\0\0" + bytes([19, 13])
    rows = b"".join(np.packbits(SMALL[y, :, 0] >> 7).tobytes() for y in range(13))
    black_and_white = np.repeat(((SMALL[:, :, :1] >> 7) * 255).astype(np.uint8), 3, 2)
    add("wbmp.wbmp", wbmp + rows, "equal", black_and_white)
    add("wbmp-cut.wbmp", wbmp + rows[:-9], "refused")
    add("wbmp-bomb.wbmp", b"\0\0\x83\xff\x7f\x83\xff\x7f", "refused")
    add("text.jpg", b"This is not a picture.", "refused")
    add("empty.png", b"", "refused")


def main():
    os.makedirs(FOLDER, exist_ok=True)
    for name in os.listdir(FOLDER):
        os.remove(os.path.join(FOLDER, name))
    for kind in (jpegs, pngs, gifs, bmps, tiffs, faxes, webps, others):
        kind()
    with open(os.path.join(HERE, "pictures.txt"), "w") as out:
        out.write("\n".join(LINES) + "\n")


if __name__ == "__main__":
    sys.exit(main())
