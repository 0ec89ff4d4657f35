"use strict";

const element = id => document.getElementById(id);
const EXAMPLE = {
  type: "object",
  properties: {
    background: { enum: ["white", "gray", "black", "brown"] },
    shapes: { type: "integer", minimum: 1, maximum: 4 },
    number: { type: ["string", "null"], maxLength: 2 },
  },
  required: ["background", "shapes", "number"],
};
const EXAMPLE_QUESTION = "Summarize the image as JSON.";
const still = matchMedia("(prefers-reduced-motion: reduce)"); // nothing is played unasked
const SHORTEST_FRAME = 60, LONGEST_FRAME = 420, PLAYED_IN = 3600; // milliseconds

let model = null; // its name
let pictures = []; // data URLs
let frames = []; // the canvas before the first iteration, and after each
let at = 0; // the frame that is shown
let chosen = -1; // a token
let timer = 0; // of playing
let request = null; // that is under way

// The canvas

/** Frames hold all that is known at their time, so that any of them can be shown at once. */
function add(event) {
  const length = event.pieces.length;
  if (!frames.length) {
    const before = { pieces: event.pieces.slice(), sure: new Array(length).fill(null), when: new Array(length).fill(0), fresh: new Set(),
      ends: new Set(), millis: 0 };
    event.revealed.forEach(p => { before.pieces[p] = null; });
    if (event.origins) before.pieces = before.pieces.filter((piece, p) => event.origins[p] >= 0); // what went out is not known any more
    before.remaining = before.pieces.filter(piece => piece === null).length;
    event.ends.filter(p => before.pieces[p] !== null).forEach(p => before.ends.add(p));
    frames.push(before);
  }
  const last = frames[frames.length - 1];
  const when = event.origins ? event.origins.map(p => last.when[p] || 0) : last.when.slice(); // a mask that came in is of no iteration
  while (when.length < length) when.push(0);
  event.revealed.forEach(p => { when[p] = frames.length; });
  event.remasked.forEach(p => { when[p] = 0; });
  frames.push({ pieces: event.pieces, sure: event.confidence, when, fresh: new Set(event.revealed), ends: new Set(event.ends),
    millis: event.milliseconds, remaining: event.pieces.filter(piece => piece === null).length });
}

function shown(frame, p) {
  if (frame.pieces[p] === null) return { text: "mask", kind: "masked" };
  if (frame.ends.has(p)) return { text: "end", kind: "end" };
  if (!frame.when[p]) return { text: frame.pieces[p], kind: "fixed" };
  return { text: frame.pieces[p].replaceAll("\n", "\u21b5\n"), kind: "" };
}

function draw() {
  const canvas = element("canvas"), parts = document.createDocumentFragment(), frame = frames[at];
  let behind = false; // the end of the text
  if (frame) frame.pieces.forEach((piece, p) => {
    if (behind && frame.ends.has(p)) return; // more of the same
    behind ||= frame.ends.has(p);
    const token = document.createElement("span"), { text, kind } = shown(frame, p);
    token.className = "token";
    if (kind) token.classList.add(kind);
    if (frame.fresh.has(p)) token.classList.add("new");
    if (p === chosen) token.classList.add("at");
    token.style.setProperty("--sure", kind ? 0 : Math.min(1, Math.max(0, frame.sure[p] ?? 1)));
    token.dataset.position = p;
    token.textContent = text;
    parts.append(token);
  });
  canvas.replaceChildren(parts);
  const last = Math.max(0, frames.length - 1);
  element("at").max = last;
  element("at").value = at;
  element("at").disabled = element("play").disabled = !last;
  element("where").textContent = !frames.length ? (request ? "prefill\u2026" : "no answer yet") : at === 0 ? `0 of ${last}: masks` : `${at} of ${last}`;
  element("at").setAttribute("aria-valuetext", frame ? `after iteration ${at} of ${last}, ${frame.remaining} tokens masked` : "none");
  chart();
  tell();
}

function chart() {
  const svg = element("chart"), width = 600 / Math.max(1, frames.length), most = Math.max(1, ...frames.map(frame => frame.pieces.length));
  svg.replaceChildren(...frames.map((frame, i) => {
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect"), height = 60 * frame.remaining / most + 3;
    const box = { x: i * width, y: 64 - height, width: Math.max(.8, width - Math.min(3, width / 5)), height, rx: 1.5 };
    Object.entries(box).forEach(([name, value]) => bar.setAttribute(name, value));
    if (i <= at) bar.classList.add("done");
    const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
    title.textContent = i ? `iteration ${i}: ${frame.fresh.size} revealed, ${frame.remaining} masked, ${frame.millis.toFixed(1)} ms` : `${frame.remaining} masked`;
    bar.append(title);
    return bar;
  }));
}

/** What is known of the chosen token. */
function tell() {
  const frame = frames[at], detail = element("detail");
  if (!frame || chosen < 0 || chosen >= frame.pieces.length) {
    detail.textContent = frame ? "Point at a token, or go through them with the arrow keys." : "\u200b";
    return;
  }
  const place = `Token ${chosen + 1} of ${frame.pieces.length}`, { kind } = shown(frame, chosen), sure = frame.sure[chosen];
  detail.textContent = kind === "masked" ? `${place}: masked`
    : `${place}: ${kind === "end" ? "the end of the text" : JSON.stringify(frame.pieces[chosen])}, ` + (frame.when[chosen]
      ? `revealed in iteration ${frame.when[chosen]}` + (sure === null ? "" : ` with confidence ${sure.toPrecision(3)}`) : "there from the start");
}

function go(to) {
  at = Math.min(Math.max(0, frames.length - 1), Math.max(0, to));
  draw();
}

/** Shows what is there, frame after frame, and waits for more while the answer is under way. */
function play() {
  clearTimeout(timer);
  const pace = Math.max(SHORTEST_FRAME, Math.min(LONGEST_FRAME, PLAYED_IN / Math.max(1, frames.length)));
  const next = () => {
    if (at < frames.length - 1) go(at + 1);
    if (at >= frames.length - 1 && !request) pause();
    else timer = setTimeout(next, pace);
  };
  timer = setTimeout(next, at === 0 ? pace : 0);
  element("play").classList.add("on");
  element("play").setAttribute("aria-label", "Pause");
}

function pause() {
  clearTimeout(timer);
  timer = 0;
  element("play").classList.remove("on");
  element("play").setAttribute("aria-label", "Play the iterations");
}

function finish(usage, text) {
  const steps = frames.length - 1, took = usage.diffusion, milliseconds = took.vision_ms + took.prefill_ms + took.steps_ms;
  const fixed = frames.length ? frames[0].pieces.filter(piece => piece !== null).length : 0;
  const times = [["vision", took.vision_ms], ["prefill", took.prefill_ms], ["steps", took.steps_ms]];
  element("times").replaceChildren(...times.filter(([, time]) => time > 0).map(([name, time]) => {
    const part = document.createElement("span");
    part.className = name;
    part.style.flexGrow = time;
    return part;
  }));
  const images = usage.prompt_tokens_details?.image_tokens ?? 0, cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
  const rows = [["iterations", steps, ""], ["tokens an iteration", steps ? ((frames[steps].pieces.length - frames[steps].remaining - fixed) / steps).toFixed(1) : "0", ""],
    ["answer", usage.completion_tokens, "tokens"], ["prompt", usage.prompt_tokens, images ? `tokens, ${images} of pictures` : "tokens"],
    ["all of it", milliseconds.toFixed(0), "ms"], ...times.map(([name, time]) => cached && !time ? [name, "kept", "", name]
      : [name === "steps" ? "iterations" : name, time.toFixed(1), "ms", name])];
  element("numbers").replaceChildren(...rows.map(([name, value, unit, colour]) => {
    const row = document.createElement("div"), term = document.createElement("dt"), figure = document.createElement("dd"), small = document.createElement("small");
    if (colour) {
      const mark = document.createElement("i");
      mark.className = colour;
      term.append(mark);
    }
    term.append(name);
    small.textContent = ` ${unit}`;
    figure.append(String(value), small);
    row.append(term, figure);
    return row;
  }));
  element("figures").hidden = false;
  element("whole").hidden = false;
  element("text").textContent = pretty(text);
}

function pretty(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === "object" ? JSON.stringify(value, null, 2) : text;
  } catch {
    return text;
  }
}

// The question

function wrong(message) {
  element("error").textContent = message;
  element("error").hidden = !message;
}

function say(state, message) {
  document.body.dataset.state = state;
  element("status").textContent = message;
  const running = state === "running";
  element("answer").classList.toggle("busy", running);
  element("answer").setAttribute("aria-busy", running);
  element("ask").disabled = running;
  element("stop").disabled = !running;
}

function body() {
  const text = element("question").value.trim() || element("question").placeholder;
  const parts = pictures.map(url => ({ type: "image_url", image_url: { url } })); // before the text, as the model was trained
  const asked = { model, messages: [{ role: "user", content: [...parts, { type: "text", text }] }], max_completion_tokens: Number(element("length").value),
    stream: true, stream_options: { include_usage: true }, diffusion: { events: true } };
  if (element("threshold").dataset.chosen) asked.diffusion.threshold = Number(element("threshold").value);
  for (const name of ["temperature", "seed"]) if (element(name).value !== "") asked[name] = Number(element(name).value);
  const schema = element("schema").value.trim();
  if (schema) asked.response_format = { type: "json_schema", json_schema: { name: "answer", schema: JSON.parse(schema) } };
  return asked;
}

/** Server-sent events: their names and data. */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const blocks = (rest + part.value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map(line => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
      yield [fields.event ?? "message", fields.data];
    }
  }
}

async function ask() {
  if (request) return;
  let asked;
  wrong("");
  try {
    asked = body();
  } catch (failure) {
    element("structure").open = true;
    element("schema").focus();
    wrong(`The schema is not JSON: ${failure.message}`);
    return;
  }
  const mine = request = new AbortController();
  pause();
  frames = [];
  at = 0;
  chosen = -1;
  element("figures").hidden = element("whole").hidden = true;
  say("running", "The model is asked.");
  draw();
  if (element("answer").getBoundingClientRect().top > innerHeight / 2) element("answer").scrollIntoView(); // on a phone it is below
  let text = "", usage = null;
  try {
    const response = await fetch("v1/chat/completions", { method: "POST", signal: mine.signal, headers: { "Content-Type": "application/json" }, body: JSON.stringify(asked) });
    if (!response.ok) throw new Error((await response.json().catch(() => null))?.error?.message ?? `The server answers ${response.status}.`);
    for await (const [name, data] of events(response)) {
      if (data === "[DONE]") continue;
      const event = JSON.parse(data);
      if (event.error) throw new Error(event.error.message);
      if (name === "dimple.canvas") {
        add(event);
        if (still.matches) go(frames.length - 1);
        else if (!timer) play();
        draw();
      } else {
        text += event.choices?.[0]?.delta?.content ?? "";
        usage = event.usage ?? usage;
      }
    }
    if (!usage) throw new Error("The connection broke.");
    finish(usage, text);
    say("done", `${text} That took ${frames.length - 1} iterations.`);
  } catch (failure) {
    const stopped = mine.signal.aborted;
    if (!stopped) wrong(failure.message);
    say(stopped ? "stopped" : "failed", stopped ? "Stopped." : "");
  } finally {
    request = null;
    draw();
  }
}

function stop() {
  request?.abort();
}

// Pictures

function show() {
  element("pictures").replaceChildren(...pictures.map((url, i) => {
    const figure = document.createElement("figure"), picture = document.createElement("img"), remove = document.createElement("button");
    picture.src = url;
    picture.alt = `picture ${i + 1}`;
    remove.type = "button";
    remove.textContent = "\u00d7";
    remove.setAttribute("aria-label", `Remove picture ${i + 1}`);
    remove.addEventListener("click", () => {
      pictures.splice(i, 1);
      show();
      element("files").focus();
    });
    figure.append(picture, remove);
    return figure;
  }));
}

async function take(files) {
  for (const file of [...files].filter(file => file.type.startsWith("image/"))) {
    pictures.push(await new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.onerror = () => reject(reader.error);
      reader.readAsDataURL(file);
    }));
  }
  show();
}

async function describe() {
  try {
    const found = (await (await fetch("v1/models")).json()).data[0], facts = found.dimple;
    model = found.id;
    document.title = `${model}: Dimple4j`;
    element("model").textContent = model;
    const size = facts.parameters >= 1e9 ? `${(facts.parameters / 1e9).toFixed(1)} billion` : `${(facts.parameters / 1e6).toFixed(1)} million`;
    element("facts").textContent = `${facts.architecture} of ${size} parameters on ${facts.backend}, context of ${facts.context_length} tokens`;
    element("length").max = Math.min(facts.max_tokens, facts.context_length);
    element("drop").hidden = !facts.pictures;
    document.body.dataset.state = "ready";
  } catch {
    wrong("The server does not answer.");
  }
}

// What the page hears of

element("form").addEventListener("submit", event => {
  event.preventDefault();
  ask();
});
element("stop").addEventListener("click", stop);
element("files").addEventListener("change", event => take(event.target.files).then(() => { event.target.value = ""; }));
document.addEventListener("paste", event => take(event.clipboardData?.files ?? []));
["dragenter", "dragover"].forEach(name => document.addEventListener(name, event => {
  if (![...event.dataTransfer.types].includes("Files")) return;
  event.preventDefault();
  element("drop").classList.add("over");
}));
document.addEventListener("dragleave", event => { if (!event.relatedTarget) element("drop").classList.remove("over"); });
document.addEventListener("drop", event => {
  if (![...event.dataTransfer.types].includes("Files")) return;
  event.preventDefault();
  element("drop").classList.remove("over");
  take(event.dataTransfer.files);
});
element("threshold").addEventListener("input", event => {
  event.target.dataset.chosen = "yes";
  element("threshold-value").textContent = Number(event.target.value).toFixed(2);
});
element("schema").addEventListener("input", () => { element("held").hidden = !element("schema").value.trim(); });
element("example").addEventListener("click", () => {
  element("schema").value = JSON.stringify(EXAMPLE, null, 1);
  element("question").value = EXAMPLE_QUESTION;
  element("held").hidden = false;
});
element("at").addEventListener("input", event => {
  pause();
  go(Number(event.target.value));
});
element("play").addEventListener("click", () => {
  if (timer) return pause();
  if (at >= frames.length - 1) go(0);
  play();
});
element("canvas").addEventListener("pointerover", event => {
  const token = event.target.closest(".token");
  if (token && event.pointerType === "mouse") choose(Number(token.dataset.position));
});
element("canvas").addEventListener("click", event => {
  const token = event.target.closest(".token");
  if (token) choose(Number(token.dataset.position));
});
element("canvas").addEventListener("keydown", event => {
  const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
  const places = [...element("canvas").children].map(token => Number(token.dataset.position));
  if (!by || !places.length) return;
  event.preventDefault();
  choose(places[Math.min(places.length - 1, Math.max(0, places.indexOf(chosen) + by))]);
});
function choose(position) {
  chosen = position;
  element("canvas").querySelector(".at")?.classList.remove("at");
  element("canvas").querySelector(`[data-position="${position}"]`)?.classList.add("at");
  tell();
}
element("copy").addEventListener("click", async () => {
  await navigator.clipboard?.writeText(element("text").textContent);
  element("status").textContent = "Copied.";
});
document.addEventListener("keydown", event => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    element("form").requestSubmit();
  } else if (event.key === "Escape") {
    stop();
  }
});

draw();
describe();
