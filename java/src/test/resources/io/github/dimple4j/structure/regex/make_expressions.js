#!/usr/bin/env node
/* Writes regular expressions at random, and what JavaScript makes of them with the flag u, to expressions.jsonl or the file that is named:
 *
 *   node make_expressions.js [COUNT [SEED [FILE]]]
 *
 * A line each: {"expression": TEXT, "texts": [TEXT...], "found": "01..."}, a digit for each of the texts; without "found" where the expression is refused.
 * A backslash before punctuation that means nothing in any dialect, which u refuses, is read as the punctuation. Node 20 made what is committed. No text has a white space or line end that implementations read differently.
 */
"use strict";
const fs = require("fs");
const path = require("path");

const count = Number(process.argv[2] || 600);
let state = BigInt(process.argv[3] || 1);
const file = process.argv[4] || path.join(__dirname, "expressions.jsonl");

/** Knuth's generator of 64 bits, the upper ones of it. */
function below(limit) {
  state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
  return Number((state >> 33n) % BigInt(limit));
}

function one(list) {
  return list[below(list.length)];
}

const PLAIN = ["a", "b", "ab", "A", "0", "9", "-", "_", " ", "/", "&", "<", ">", "=", "!", ":", ",", "\u00e9", "\u03b1", "\u{1F600}"];
const ESCAPES = ["\\d", "\\w", "\\s", "\\D", "\\W", "\\S", "\\.", "\\/", "\\\\", "\\[", "\\]", "\\{", "\\}", "\\(", "\\)", "\\|", "\\^", "\\$", "\\*", "\\+", "\\?",
  "\\0", "\\n", "\\t", "\\v", "\\f", "\\r", "\\cA", "\\cz", "\\x41", "\\u0061", "\\u{61}", "\\u{0061}", "\\u{10FFFF}", "\\ud83d\\ude00", "\\u{1F600}"];
const PROPERTIES = ["\\p{Lu}", "\\P{Lu}", "\\p{gc=Lu}", "\\p{Uppercase_Letter}", "\\p{Script=Greek}", "\\p{ASCII}", "\\p{Any}"];
const BAD = ["\\-", "\\_", "\\8", "\\9", "\\1", "\\00", "\\01", "\\c", "\\c1", "\\c_", "\\x4", "\\xg1", "\\u", "\\u00", "\\u{}", "\\u{110000}", "\\u{g}", "\\u{61", "\\p", "\\p{",
  "\\p{}", "\\p{Unknown}", "\\p{foo=L}", "\\p{=L}", "\\p{gc=}", "\\p{sc=greek}", "\\p{Script=GREEK}", "\\p{Greek}", "\\p{letter}", "\\p{Script}", "\\p{L=Lu}", "\\p{ L}", "\\q", "\\e", "\\a",
  "\\Q", "\\E", "\\A", "\\Z", "\\z", "\\h", "\\N", "\\R", "\\X", "\\\u00e9", "\\\u{1F600}", "\\ ", "\\\"", "\\'", "\\@", "\\:", "\\,", "\\<", "\\&", "\\%", "\\#", "\\~", "\\`", "\\!", "\\=", "\\;",
  "{", "}", "]", "{2", "{a}", "{,3}", "{2,1}", "{1,2", "(", ")", "(?", "(?<", "(?<n", "(?<>a)", "(?<1>a)", "(?<n>a)(?<n>b)", "(?<a b>c)", "(?a)", "(?#a)", "(?>a)", "(?P<n>a)",
  "a**", "a{2}{3}", "a?*", "a+*", "^*", "$+", "(?=a)*", "(?!a)+", "(?<=a)?", "\\k", "\\k<n>", "\\", "a++", "*", "+", "?"];
const RANGES = ["a-z", "0-9", "A-Z", "!-~", "\\x41-\\x5a", "\\u{61}-\\u{7a}", "\u00e0-\u00ff", "\u{1F600}-\u{1F64F}", "\\ud83d\\ude00-\\ud83d\\ude4f", "+--", "\\--a", "a-a", "\\n-\\r"];
const BAD_RANGES = ["z-a", "a-\\d", "\\d-a", "\\w-\\d", "\\w-.", "a-\\p{L}", "\\p{L}-z", "\\s-", "9-0", "\\x5a-\\x41", "\u{1F64F}-\u{1F600}", "a-\\_", "\\B", "\\u{}-a", "b-a-", "\\c"];

function members() {
  let text = one(["", "", "", "^"]);
  for (let i = below(4); i >= 0; i--) {
    const kind = below(12);
    text += kind < 4 ? one(RANGES) : kind < 7 ? one(PLAIN) : kind < 9 ? one(ESCAPES) : kind === 9 ? one(["\\b", "\\-", ".", "*", "(", "{", "}", "$", "|", "?"])
      : kind === 10 && below(3) === 0 ? one(BAD_RANGES) : one(["x", "-"]);
  }
  return "[" + text + (below(40) === 0 ? "" : "]");
}

function atom(depth) {
  const kind = below(20);
  if (kind < 7) return one(PLAIN);
  if (kind < 11) return one(below(16) === 0 ? PROPERTIES : ESCAPES);
  if (kind < 15) return members();
  if (kind === 15) return ".";
  if (kind === 16 && below(2) === 0) return one(BAD);
  return depth === 0 ? "c" : one(["(", "(?:", "(?:", "(?<n" + below(1000) + ">", "(?<$\u00e9\\u{61}" + below(1000) + ">"]) + alternatives(depth - 1) + ")";
}

function term(depth) {
  const quantifier = below(3) === 0 ? one(["*", "+", "?", "{2}", "{1,2}", "{0,}", "{0}", "{01}", "*?", "+?", "??", "{1,3}?"]) : "";
  return one(["", "", "", "", "", "", "", "", "", "^", "$"]) + atom(depth) + quantifier;
}

function alternatives(depth) {
  let text = "";
  for (let i = below(4) > 0 ? 0 : 1; i >= 0; i--) {
    for (let j = below(4); j > 0; j--) text += term(depth);
    if (i > 0) text += "|";
  }
  return text;
}

const LETTERS = [...PLAIN, "\\", ".", "[", "]", "{", "}", "(", ")", "|", "^", "$", "*", "+", "?", "x", "c", "z", "B", "~", "\u0391", "\u00ff", "\u{1F64F}", "\u{10FFFF}", "\u0001"];

function text() {
  let all = "";
  for (let i = below(6); i > 0; i--) all += one(LETTERS);
  return all;
}

const HARMLESS = " !\"#%&,-:;=@~";

function harmless(expression) {
  return expression.replace(/\\([^])/gu, (all, c) => HARMLESS.includes(c) ? "\\x" + c.charCodeAt(0).toString(16) : all);
}

const lines = [];
for (let i = 0; i < count; i++) {
  let expression = alternatives(2);
  if (below(5) === 0) expression += one(BAD);
  if (below(20) === 0) { // characters of any kind in any order
    expression = "";
    for (let j = below(5); j >= 0; j--) expression += one(one([PLAIN, ESCAPES, PROPERTIES, BAD, RANGES, LETTERS]));
  }
  let made = null;
  try {
    made = new RegExp(harmless(expression), "u");
  } catch (e) {
    lines.push(JSON.stringify({expression}));
    continue;
  }
  const texts = [...Array(6)].map(text);
  lines.push(JSON.stringify({expression, texts, found: texts.map(t => made.test(t) ? "1" : "0").join("")}));
}
fs.writeFileSync(file, lines.join("\n") + "\n");
