// The page of the service: uploads, progress, results, and what this browser looked at.

const $ = (id) => document.getElementById(id);
const STORE = "tfmds-history";
const MOST_KEPT = 50;
// A browser has some six connections to a service: uploads, streams and the player share.
const MOST_UPLOADS = 2, MOST_STREAMS = 2;
const TRACK_HEIGHT = 64, AXIS_HEIGHT = 20, AXIS_WIDTH = 28, GAP = 8, LABEL_HEIGHT = 17;
const BADGES = {
  fake: "called fake", real: "not called fake", out_of_step: "out of step", cannot_tell: "cannot tell", none: "not judged",
};

let service = {max_upload_mb: Infinity, keep_hours: 24, needs_token: false};
let uploading = 0, streaming = 0, isOpening = false;
const waiting = []; // Uploads that wait for others.
let shown = null; // What the result shows: {id, details, duration, now}.

// --- words

const say = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
const megabytes = (mb) => (mb >= 1000 ? `${+(mb / 1000).toFixed(1)} GB` : `${+mb.toPrecision(3)} MB`);

function clock(seconds) {
  const tenths = Math.round(seconds * 10);
  const rest = tenths % 600;
  const text = (rest / 10).toFixed(rest % 10 ? 1 : 0);
  return `${Math.floor(tenths / 600)}:${rest < 100 ? "0" : ""}${text}`;
}

function span(seconds) {
  if (seconds >= 5400) return `${+(seconds / 3600).toFixed(1)} hours`;
  if (seconds >= 120) return `${Math.round(seconds / 60)} minutes`;
  return `${Math.round(seconds)} seconds`;
}

const periods = (list) => list.map(([a, b]) => `${clock(a)} to ${clock(b)}`).join(", ");

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

// --- the service

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The service does not answer. Is it running?");
  }
  if (answer.status === 401) $("login").hidden = false;
  if (!answer.ok) {
    const body = await answer.json().catch(() => ({}));
    const error = new Error(say(body.error || `the service answered ${answer.status}`));
    error.code = answer.status;
    throw error;
  }
  return answer.status === 204 ? null : answer.json();
}

// --- history of this browser

function remembered() {
  try {
    const list = JSON.parse(localStorage.getItem(STORE));
    return Array.isArray(list) ? list : [];
  } catch {
    return [];
  }
}

function keep(list) {
  try {
    localStorage.setItem(STORE, JSON.stringify(list.slice(0, MOST_KEPT)));
  } catch { /* A browser that keeps nothing shows no history. */ }
  drawHistory();
}

function remember(entry) {
  const list = remembered();
  const old = list.find((e) => e.id === entry.id);
  keep([{...old, ...entry}, ...list.filter((e) => e.id !== entry.id)].sort((a, b) => b.at - a.at));
}

const forget = (id) => keep(remembered().filter((entry) => entry.id !== id));

function drawHistory() {
  const over = remembered().filter((entry) => entry.badge);
  $("history").hidden = !over.length;
  $("history-list").replaceChildren(...over.map((entry) => {
    const at = new Date(entry.at * 1000);
    const button = make("button", {type: "button"},
      make("b", {textContent: entry.name}),
      make("span", {className: `badge ${entry.badge}`, textContent: BADGES[entry.badge]}),
      make("time", {dateTime: at.toISOString(), textContent: at.toLocaleString([], {dateStyle: "short", timeStyle: "short"})}));
    button.addEventListener("click", () => open(entry.id));
    return make("li", {}, button);
  }));
}

// --- uploads and jobs

class Card {
  constructor(name) {
    this.text = make("span");
    this.bar = make("progress", {max: 1, value: 0});
    this.bar.setAttribute("aria-label", name);
    this.row = make("div", {className: "row"}, make("b", {textContent: name, title: name}), this.text);
    this.node = make("li", {className: "job"}, this.row, this.bar);
    this.name = name;
    $("jobs").append(this.node);
  }

  tell(text, share) {
    if (this.text.textContent !== text) this.text.textContent = text;
    this.bar.hidden = share === null;
    if (share === undefined) this.bar.removeAttribute("value");
    else if (share !== null) this.bar.value = share;
  }

  button(text, action) {
    const button = make("button", {type: "button", className: "button", textContent: text});
    button.addEventListener("click", action);
    this.row.append(button);
    return button;
  }

  fail(text, again) {
    this.node.classList.add("failed");
    this.row.querySelectorAll("button").forEach((button) => button.remove());
    this.row.classList.add("wrapped");
    this.tell("", null);
    this.node.append(make("span", {textContent: text}));
    if (again) this.button("Try again", () => { this.node.remove(); again(); });
    this.button("Dismiss", () => this.node.remove());
    $("live").textContent = `${this.name}: ${text}`;
  }
}

function upload(file) {
  const card = new Card(file.name);
  const again = () => upload(file);
  if (file.size > service.max_upload_mb * 1e6) {
    card.fail(`The file has ${megabytes(file.size / 1e6)}; at most ${megabytes(service.max_upload_mb)} are taken.`);
    return;
  }
  if (!file.size) {
    card.fail("The file is empty.");
    return;
  }
  const send = () => { uploading += 1; transfer(file, card, again); };
  if (uploading < MOST_UPLOADS) { send(); return; }
  waiting.push(send);
  card.tell("Waiting to be uploaded", undefined);
  card.button("Cancel", () => { waiting.splice(waiting.indexOf(send), 1); card.node.remove(); });
}

function transfer(file, card, again) {
  card.row.querySelectorAll("button").forEach((button) => button.remove());
  const request = new XMLHttpRequest();
  request.open("POST", `v1/videos?name=${encodeURIComponent(file.name)}`);
  request.responseType = "json";
  const stop = card.button("Cancel", () => { request.abort(); card.node.remove(); });
  card.tell("Uploading", 0);
  request.upload.addEventListener("progress", (e) => {
    if (e.lengthComputable) card.tell(`Uploading, ${Math.floor(100 * e.loaded / e.total)} %`, e.loaded / e.total);
  });
  request.addEventListener("loadend", () => { uploading -= 1; waiting.shift()?.(); });
  request.addEventListener("error", () => card.fail("The connection broke while uploading.", again));
  request.addEventListener("load", () => {
    if (request.status === 401) $("login").hidden = false;
    if (request.status !== 202) {
      card.fail(say(request.response?.error || "the upload was not taken"), again);
      return;
    }
    stop.remove();
    remember({id: request.response.id, name: file.name, at: request.response.created});
    follow(request.response.id, card);
  });
  request.send(file);
}

// Shows a job until it is over, by a stream of events or by asking now and then.
function follow(id, card) {
  let events = null, timer = 0;
  const end = () => {
    clearTimeout(timer);
    if (events) { events.close(); events = null; streaming -= 1; }
  };
  const stop = card.button("Cancel", async () => {
    end();
    card.node.remove();
    forget(id);
    await ask(`v1/videos/${id}`, {method: "DELETE"}).catch(() => {});
  });
  const hear = (job) => {
    if (job.state === "queued") {
      card.tell(job.before ? `Waiting, ${job.before} before it` : "Waiting for its turn", undefined);
    } else if (job.state === "running") {
      card.tell(`Looking and listening, ${Math.floor(100 * job.progress)} %`, job.progress || undefined);
    } else {
      end();
      stop.remove();
      over(job, card);
      return true;
    }
    return false;
  };
  const poll = async () => {
    try {
      if (!hear(await ask(`v1/videos/${id}`))) timer = setTimeout(poll, 1500);
    } catch (error) {
      if (error.code === 404) forget(id);
      if (error.code) { end(); card.fail(error.message); } else timer = setTimeout(poll, 5000);
    }
  };
  if (streaming >= MOST_STREAMS) { poll(); return; }
  streaming += 1;
  events = new EventSource(`v1/videos/${id}/events`);
  events.addEventListener("message", (e) => hear(JSON.parse(e.data)));
  events.addEventListener("error", () => {
    // The browser connects again by itself, unless the service refuses.
    if (events?.readyState === EventSource.CLOSED) { end(); poll(); }
  });
}

function over(job, card) {
  if (job.state === "failed") {
    forget(job.id);
    card.fail(say(job.error));
    return;
  }
  const badge = job.result.status === "ok" ? job.result.verdict : "none";
  remember({id: job.id, name: job.name, at: job.created, badge});
  $("live").textContent = `${job.name}: ${BADGES[badge]}`;
  if (shown === null && !isOpening) {
    card.node.remove();
    open(job.id);
  } else {
    // Whoever reads a result is not torn away from it.
    card.tell(say(BADGES[badge]), null);
    card.button("Show", () => { card.node.remove(); open(job.id); });
  }
}

// --- one result

async function open(id) {
  notice("");
  isOpening = true;
  let details;
  try {
    details = await ask(`v1/videos/${id}/details`);
  } catch (error) {
    if (error.code === 404) { forget(id); close(); }
    notice(error.message);
    return;
  } finally {
    isOpening = false;
  }
  const {result} = details;
  const ends = result.tracks.flatMap((t) => t.chunks.map((c) => c.start_seconds + details.chunk_seconds));
  shown = {id, details, duration: Math.max(result.seconds_total || 0, ...ends, 0.1), now: 0};
  history.replaceState(null, "", `#${id}`);
  $("result-name").textContent = result.path;
  // These are rendered by the service from values, and hold no script.
  $("result-verdict").innerHTML = details.verdict;
  $("result-stretches").innerHTML = details.stretches;
  $("result-figures").innerHTML = details.figures;
  $("result-unseen").innerHTML = details.unseen;
  for (const row of $("result-stretches").querySelectorAll("li")) {
    // A stretch leads to its place in the video.
    const button = make("button", {type: "button"}, ...row.childNodes);
    button.addEventListener("click", () => seek(Number(row.dataset.start)));
    row.replaceChildren(button);
  }
  $("figures").hidden = !result.tracks.length;
  const base = `v1/videos/${id}`;
  const stem = result.path.replace(/\.[^.]*$/, "") || "video";
  $("player").hidden = false;
  $("unplayable").hidden = true;
  $("player").src = `${base}/video`;
  Object.assign($("get-report"), {href: `${base}/report`, download: `${stem}.html`});
  Object.assign($("get-json"), {href: `${base}/result`, download: `${stem}.json`});
  $("open-report").href = `${base}/report`;
  for (const node of document.querySelectorAll(".curve-head, .curve, .key, #curve-help")) {
    node.hidden = !result.tracks.length;
  }
  // By the stretch score these are the stretches themselves.
  const forged = result.score === "stretches" ? null : result.fake_periods;
  $("localized").hidden = !forged;
  if (forged) {
    $("localized").textContent = forged.length
      ? `Localization reports as forged: ${periods(forged)}.` : "Localization reports no stretch as forged.";
  }
  $("result").hidden = false;
  $("how").hidden = true;
  $("drop").classList.add("small-drop");
  drawFaces();
  drawLags();
  drawCurve();
  move(0);
  $("result").focus({preventScroll: true});
  $("result").scrollIntoView({block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth"});
}

function close() {
  shown = null;
  $("player").removeAttribute("src");
  $("player").load();
  $("result").hidden = true;
  $("how").hidden = false;
  $("drop").classList.remove("small-drop");
  history.replaceState(null, "", location.pathname);
}

const face = (track) => `Face ${track + 1}`;
// By scores of lags distances are those at the video's own offset, by the score of a head
// its probabilities.
const OF_LAGS = ["aligned", "stretches"];
const distanceOf = (chunk) => {
  const {score} = shown.details.result;
  return (OF_LAGS.includes(score) ? chunk.offset_distance : chunk[score]) ?? chunk.distance;
};
const SPEAKS = new Map([[true, ", speaks"], [false, ", not speaking"]]);
// Of who does not speak there is no score, nor anything suspicious.
function titleOf(track) {
  const title = `${face(track.track)}${SPEAKS.get(track.speaks) ?? ""}`;
  if (track.speaks === false) return title;
  const {score} = shown.details.result;
  if (score === "stretches") return title;
  const seconds = track.suspicious_periods.length
    ? `suspicious ${periods(track.suspicious_periods)}` : "no suspicious second";
  const value = track[score] ?? null;
  return `${title}: ${value === null ? "too short to score" : `score ${value.toFixed(3)}`}, ${seconds}`;
}

function drawFaces() {
  const {details} = shown;
  $("faces").replaceChildren(...details.tracks.map((strip) => {
    const track = details.result.tracks.find((t) => t.track === strip.track);
    const title = make("h3", {textContent: titleOf(track)});
    const faces = strip.faces.map((f) => {
      const button = make("button", {type: "button", className: f.reading},
        make("img", {src: f.source, alt: "", loading: "lazy"}), `${f.time} · ${f.distance.toFixed(2)}`);
      button.dataset.start = f.start_seconds;
      button.setAttribute("aria-label", `${face(strip.track)} at ${f.time}, dissonance ${f.distance.toFixed(2)}`);
      button.addEventListener("click", () => seek(f.start_seconds));
      return make("li", {}, button);
    });
    const hidden = strip.hidden_faces
      ? [make("p", {className: "soft small", textContent: `${strip.hidden_faces} more faces are not shown.`})] : [];
    return make("div", {className: "strip"}, title, make("ol", {}, ...faces), ...hidden);
  }));
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function drawCurve() {
  if (!shown?.details.result.tracks.length) return;
  const {details, duration} = shown;
  const {tracks, level} = details.result;
  const width = Math.max($("curve").clientWidth, 100);
  const top = 1.1 * Math.max(level ?? 0, ...tracks.flatMap((t) => t.chunks.map(distanceOf)));
  const x = (seconds) => width * seconds / duration;
  const height = (distance) => Math.max(1, TRACK_HEIGHT * distance / top);
  const label = tracks.length > 1 ? LABEL_HEIGHT : 0;
  const total = tracks.length * (label + TRACK_HEIGHT + GAP) - GAP + AXIS_HEIGHT;
  const picture = svg("svg", {viewBox: `0 0 ${width} ${total}`, height: total, "aria-hidden": "true"});
  const seam = details.chunk_seconds * width / duration > 6 ? 1 : 0;
  shown.bars = [];
  tracks.forEach((track, row) => {
    const y = row * (label + TRACK_HEIGHT + GAP) + label, floor = y + TRACK_HEIGHT;
    picture.append(svg("rect", {class: "ground", x: 0, y, width, height: TRACK_HEIGHT}));
    for (const chunk of track.chunks) {
      const left = x(chunk.start_seconds), wide = x(details.chunk_seconds);
      picture.append(svg("rect", {class: "looked", x: left, y, width: wide, height: TRACK_HEIGHT}));
      const bar = svg("rect", {
        class: `bar ${chunk.reading}`,
        x: left, width: Math.max(wide - seam, 0.5), y: floor - height(distanceOf(chunk)), height: height(distanceOf(chunk)),
      });
      shown.bars.push({bar, start: chunk.start_seconds});
      picture.append(bar);
    }
    if (level !== null) {
      const line = floor - height(level);
      picture.append(svg("line", {class: "threshold", x1: 0, x2: width, y1: line, y2: line}));
    }
    picture.append(svg("rect", {class: "frame", x: 0.5, y: y + 0.5, width: width - 1, height: TRACK_HEIGHT - 1, rx: 3}));
    if (label) picture.append(svg("text", {class: "axis", x: 0, y: y - 5}, face(track.track)));
  });
  const step = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800].find((s) => x(s) > 56) || 3600;
  for (let at = 0; at <= duration; at += step) {
    const anchor = at === 0 ? "start" : x(at) > width - 20 ? "end" : "middle";
    picture.append(svg("text", {class: "axis", x: x(at), y: total - 5, "text-anchor": anchor}, clock(at)));
  }
  shown.head = svg("line", {class: "head", x1: 0, x2: 0, y1: 0, y2: total - AXIS_HEIGHT});
  shown.x = x;
  picture.append(shown.head);
  $("curve").replaceChildren(picture);
  $("curve").setAttribute("aria-valuemax", Math.floor(duration));
  move(shown.now);
}

// Mean distance by how much later the voice is taken than the mouth.
function drawLags() {
  if (!shown) return;
  const {lags, result} = shown.details;
  $("lags").hidden = !lags.length;
  if (!lags.length) return;
  const width = Math.max($("lag-curve").clientWidth, 100), height = 90;
  const span = Math.max(...lags.map((row) => Math.abs(row.lag)));
  const [low, high] = shown.details.lag_scale;
  $("dip").textContent = shown.details.dip;
  const x = (lag) => AXIS_WIDTH + (width - AXIS_WIDTH) * (lag + span) / (2 * span);
  const y = (distance) => 6 + (height - 12) * (high - distance) / (high - low);
  const picture = svg("svg", {
    viewBox: `0 0 ${width} ${height + AXIS_HEIGHT}`, height: height + AXIS_HEIGHT, role: "img",
    "aria-label": `Mean distance of mouth and voice by lag. ${shown.details.dip}`,
  });
  for (const distance of [low, (low + high) / 2, high]) {
    const at = y(distance);
    picture.append(svg("line", {class: "level", x1: AXIS_WIDTH, x2: width, y1: at, y2: at}));
    picture.append(svg("text", {class: "axis", x: AXIS_WIDTH - 6, y: at + 4, "text-anchor": "end"}, distance.toFixed(1)));
  }
  if (result.offset_is_clear) {
    const at = x(result.offset_seconds);
    picture.append(svg("line", {class: "offset", x1: at, x2: at, y1: 0, y2: height}));
  }
  const points = lags.map((row) => `${x(row.lag)},${y(row.distance)}`).join(" ");
  picture.append(svg("polyline", {class: "dip", points}));
  for (const lag of width > 480 ? [-span, -span / 2, 0, span / 2, span] : [-span, 0, span]) {
    const anchor = lag === -span ? "start" : lag === span ? "end" : "middle";
    const words = lag ? `${Math.abs(lag)} s ${lag < 0 ? "earlier" : "later"}` : "same time";
    picture.append(svg("text", {class: "axis", x: x(lag), y: height + AXIS_HEIGHT - 5, "text-anchor": anchor}, words));
  }
  $("lag-curve").replaceChildren(picture);
}

// Shows where in the video we are; times within a chunk belong to it.
function move(seconds) {
  if (!shown) return;
  shown.now = seconds;
  const {details} = shown;
  const isNow = (start) => start <= seconds + 1e-3 && seconds + 1e-3 < start + details.chunk_seconds;
  shown.head?.setAttribute("transform", `translate(${shown.x(Math.min(seconds, shown.duration))} 0)`);
  shown.bars?.forEach(({bar, start}) => bar.classList.toggle("now", isNow(start)));
  for (const button of $("faces").querySelectorAll("button")) {
    button.classList.toggle("now", isNow(Number(button.dataset.start)));
  }
  const words = details.result.tracks.flatMap((track, row) => track.chunks
    .map((chunk, number) => [chunk, details.tracks[row].said[number]])
    .filter(([chunk]) => isNow(chunk.start_seconds))
    .map(([chunk, said]) => `${face(track.track)}: dissonance ${distanceOf(chunk).toFixed(2)}, ${said}`));
  const text = `${clock(seconds)} · ${words.join("; ") || "no face looked at"}`;
  if ($("readout").textContent !== text) {
    $("readout").textContent = text;
    $("curve").setAttribute("aria-valuenow", Math.floor(seconds));
    $("curve").setAttribute("aria-valuetext", text);
  }
}

function seek(seconds) {
  const to = Math.max(0, Math.min(seconds, shown.duration - 0.05));
  if (!$("player").hidden) $("player").currentTime = to;
  move(to);
}

// The start of the chunk at a time, or the time itself where there is none.
function startAt(seconds) {
  const starts = shown.details.result.tracks.flatMap((t) => t.chunks.map((c) => c.start_seconds));
  return starts.find((s) => s <= seconds && seconds < s + shown.details.chunk_seconds) ?? seconds;
}

function listenToTheViewer() {
  const player = $("player"), curve = $("curve");
  const tick = () => {
    if (shown && !player.hidden) move(player.currentTime);
    if (!player.paused && !player.ended) requestAnimationFrame(tick);
  };
  player.addEventListener("play", tick);
  player.addEventListener("seeked", tick);
  player.addEventListener("pause", tick);
  player.addEventListener("error", () => {
    if (!player.getAttribute("src")) return;
    player.hidden = true;
    $("unplayable").hidden = false;
  });
  curve.addEventListener("click", (e) => {
    const box = curve.getBoundingClientRect();
    seek(startAt(shown.duration * (e.clientX - box.left) / box.width));
  });
  curve.addEventListener("keydown", (e) => {
    const steps = {ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10};
    if (e.key in steps) seek(startAt(Math.max(0, shown.now + steps[e.key])));
    else if (e.key === "Home") seek(0);
    else if (e.key === "End") seek(shown.duration);
    else if (e.key === "Enter" || e.key === " ") player.paused ? player.play().catch(() => {}) : player.pause();
    else return;
    e.preventDefault();
  });
  new ResizeObserver(() => { drawLags(); drawCurve(); }).observe(curve);
}

// --- start

function listen() {
  const take = (files) => { notice(""); [...files].forEach(upload); };
  $("file").addEventListener("change", () => { take($("file").files); $("file").value = ""; });
  let depth = 0;
  const mark = (change) => {
    depth = Math.max(0, depth + change);
    $("drop").classList.toggle("over", depth > 0);
  };
  document.addEventListener("dragenter", (e) => { e.preventDefault(); mark(1); });
  document.addEventListener("dragleave", () => mark(-1));
  document.addEventListener("dragover", (e) => e.preventDefault());
  document.addEventListener("drop", (e) => {
    e.preventDefault();
    mark(-depth);
    take(e.dataTransfer.files);
  });
  $("login").addEventListener("submit", async (e) => {
    e.preventDefault();
    try {
      await ask("v1/session", {method: "POST", headers: {authorization: `Bearer ${$("token").value}`}});
      location.reload();
    } catch (error) {
      notice(error.message);
    }
  });
  $("forget").addEventListener("click", () => keep(remembered().filter((entry) => !entry.badge)));
  $("delete").addEventListener("click", async () => {
    const {id} = shown;
    try {
      await ask(`v1/videos/${id}`, {method: "DELETE"});
    } catch (error) {
      if (error.code !== 404) { notice(error.message); return; }
    }
    forget(id);
    close();
    $("live").textContent = "The video was deleted.";
    $("file").focus();
  });
  listenToTheViewer();
}

async function start() {
  listen();
  drawHistory();
  try {
    service = await ask("v1/service");
  } catch (error) {
    notice(error.message);
    return;
  }
  $("limits").textContent = `Up to ${megabytes(service.max_upload_mb)} and ${span(service.max_video_seconds)}. Deleted after ${span(service.keep_hours * 3600)}.`;
  $("keep").textContent = `The service deletes videos and results after ${span(service.keep_hours * 3600)}.`;
  if (service.needs_token && !service.is_known) {
    $("login").hidden = false;
    return;
  }
  for (const entry of remembered()) {
    if (!entry.badge) follow(entry.id, new Card(entry.name));
  }
  if (location.hash.length > 1) open(location.hash.slice(1));
}

start();
