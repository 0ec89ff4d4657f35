package io.github.dimple4j.image;

import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** Formats that are not read, by how their files start, so that a message can name them. */
enum OtherFormat {
  HEIC("a HEIC picture", "????ftyphei", "????ftyphev", "????ftypmif1", "????ftypmsf1"),
  AVIF("an AVIF picture", "????ftypavi"),
  JPEG_XL("a JPEG XL picture", "\u00FF\n", "\0\0\0\fJXL "),
  JPEG_2000("a JPEG 2000 picture", "\0\0\0\fjP  ", "\u00FFO\u00FFQ"),
  ICON("an icon", "\0\0\1\0"),
  PHOTOSHOP("a Photoshop file", "8BPS"),
  SVG("an SVG drawing", "<svg"),
  XML("an XML file", "<?xml"),
  HTML("a page of HTML", "<!DOCTYPE html", "<!doctype html", "<html"),
  PDF("a PDF file", "%PDF-"),
  POINTER("a pointer of Git LFS", "version https://git-lfs");

  private static final int PROLOGUE = 4096; // bytes of XML in which its first element is looked for

  private final String name;
  private final String[] starts;

  OtherFormat(String name, String... starts) {
    this.name = name;
    this.starts = starts;
  }

  /** What a file seems to be, with its article. */
  static Optional<String> nameOf(byte[] encoded) {
    for (OtherFormat format : values()) {
      if (PictureFormat.startsWithOne(encoded, format.starts)) {
        return Optional.of((format == XML && isDrawing(encoded) ? SVG : format).name);
      }
    }
    return Optional.empty();
  }

  private static boolean isDrawing(byte[] xml) {
    return new String(xml, 0, Math.min(xml.length, PROLOGUE), StandardCharsets.ISO_8859_1).contains("<svg");
  }
}
