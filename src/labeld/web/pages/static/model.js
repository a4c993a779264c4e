// A model's page: asks the model for the text, draws the ranking, and keeps the code to copy up to date.
"use strict";

const BARS = 50; // of the ranking; all of it is in the JSON output
const LONGEST_QUERY = 4000; // characters of the address; a longer text stays out of it
const STEPS = 96; // percent that the progress bar reaches while nobody knows

// NOTE: as INVISIBLE in snippets.py
const INVISIBLE = /[\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

const at = (id) => document.getElementById(id);
const form = at("widget");

/** A text or a pair as JSON, which is also a literal of Python and of JavaScript. */
const literal = ({ text, pair }) => {
  const json = pair ? `{"text": ${JSON.stringify(text)}, "text_pair": ${JSON.stringify(pair)}}` : JSON.stringify(text);
  return json.replace(INVISIBLE, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
};

const input = () => ({ text: at("text").value.trim(), pair: at("pair").value.trim() });

const show = (id, shown) => {
  at(id).hidden = !shown;
};

/** Writes the text of the widget into every program. */
const fillSnippets = () => {
  const inputs = literal(input());
  for (const slot of document.querySelectorAll(".slot")) {
    slot.textContent = slot.dataset.quoting === "shell" ? inputs.replaceAll("'", "'\\''") : inputs;
  }
};

/** Puts the text into the address, so that it can be sent to somebody. */
const fillAddress = ({ text, pair }) => {
  const query = new URLSearchParams(pair ? { text, text_pair: pair } : { text }).toString();
  history.replaceState(null, "", query.length <= LONGEST_QUERY ? `?${query}` : location.pathname);
};

const fail = (sentence) => {
  at("spoken").textContent = "";
  at("error").textContent = sentence;
  show("error", true);
};

/** One row of the ranking: label, bar and score. */
const row = ({ label, score }, largest) => {
  const cell = (kind, text) => {
    const made = document.createElement("span");
    made.className = kind;
    made.textContent = text;
    return made;
  };
  const track = cell("track", "");
  const bar = cell("bar", "");
  bar.style.width = `${Math.max(0, Math.min(1, score / largest)) * 100}%`;
  track.append(bar);
  const item = document.createElement("li");
  item.append(cell("label", label), track, cell("score", score.toFixed(3)));
  return item;
};

const draw = (reply, headers) => {
  const [ranking] = reply;
  const largest = Math.max(1, ...ranking.slice(0, BARS).map(({ score }) => Math.abs(score)));
  at("ranking").replaceChildren(...ranking.slice(0, BARS).map((one) => row(one, largest)));
  at("more").textContent = `${ranking.length - BARS} more labels are in the JSON output.`;
  show("more", ranking.length > BARS);
  const kind = headers.get("x-compute-type");
  at("timing").textContent =
    kind === "cache" ? "cached" : `Computation time on ${kind}: ${headers.get("x-compute-time")} s`;
  at("raw").textContent = JSON.stringify(reply, null, 2);
  const best = ranking.slice(0, 3).map(({ label, score }) => `${label} ${score.toFixed(3)}`);
  at("spoken").textContent = `${best.join(", ")}. ${at("timing").textContent}`;
  show("result", true);
  show("ready", false);
};

/** Moves the progress bar for so many seconds; what it returns stops it. */
const progress = (seconds) => {
  const began = performance.now();
  show("loading", true);
  at("spoken").textContent = "Model is loading";
  const timer = setInterval(() => {
    at("progress").value = Math.min(STEPS, ((performance.now() - began) / 1000 / seconds) * 100);
  }, 100);
  return () => {
    clearInterval(timer);
    show("loading", false);
  };
};

const ask = ({ text, pair }, headers) => {
  const token = at("token").value.trim();
  return fetch(form.dataset.address, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }), ...headers },
    body: JSON.stringify({ inputs: pair ? { text, text_pair: pair } : text }),
  });
};

/** What the server answered; waits for a model that loads. */
const answer = async (asked, headers) => {
  const first = await ask(asked, headers);
  if (first.status !== 503) return first;
  const { estimated_time: seconds } = await first.clone().json().catch(() => ({}));
  if (!seconds) return first;
  const stop = progress(seconds);
  try {
    return await ask(asked, { ...headers, "x-wait-for-model": "true" });
  } finally {
    stop();
  }
};

const sentence = async (response) => {
  const { error } = await response.json().catch(() => ({}));
  return error ?? `${response.status} ${response.statusText}`;
};

let busy = false;

/** Asks for what the widget has; quietly: without loading the model, and without a word if it is not loaded. */
const compute = async (quietly = false) => {
  const asked = input();
  if (busy) return;
  show("error", false);
  if (!asked.text) {
    fail("You need to input some text");
    at("text").focus();
    return;
  }
  busy = true;
  at("compute").setAttribute("aria-disabled", "true");
  at("compute").textContent = "Computing…";
  try {
    if (!quietly) fillAddress(asked);
    const response = await answer(asked, quietly ? { "x-load-model": "0" } : {});
    if (response.ok) {
      draw(await response.json(), response.headers);
    } else if (!quietly) {
      show("result", false);
      if (response.status === 401) {
        show("token-field", true);
        at("token").focus();
      }
      fail(await sentence(response));
    }
  } catch {
    if (!quietly) fail("The server could not be reached, or its answer was cut off.");
  } finally {
    busy = false;
    at("compute").removeAttribute("aria-disabled");
    at("compute").textContent = "Compute";
  }
};

const copy = async (button) => {
  const code = at(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    // NOTE: without TLS or localhost a browser has no clipboard for us; an old way works there
    const range = document.createRange();
    range.selectNodeContents(code);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    document.execCommand("copy");
  }
  button.textContent = "Copied";
  setTimeout(() => {
    button.textContent = "Copy";
  }, 1500);
};

if (form) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    compute();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      compute();
    }
  });
  form.addEventListener("input", fillSnippets);
  for (const example of document.querySelectorAll("[data-text]")) {
    example.addEventListener("click", () => {
      at("text").value = example.dataset.text;
      at("pair").value = example.dataset.pair;
      if (example.dataset.pair) at("pair").closest("details").open = true;
      fillSnippets();
      compute();
    });
  }
  at("raw-button").addEventListener("click", (event) => {
    at("raw").hidden = !at("raw").hidden;
    event.currentTarget.setAttribute("aria-expanded", String(!at("raw").hidden));
  });
  for (const button of document.querySelectorAll(".copy")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
  fillSnippets();
  if (form.dataset.asked === "yes") compute(true);
}
