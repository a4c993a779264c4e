// The part that the widgets of all tasks share: it asks the server, waits for a model that loads, draws a ranking, and
// keeps the address and the code to copy up to date.

const BARS = 50; // of the ranking; all of it is in the JSON output
const LONGEST_QUERY = 4000; // characters of the address; a longer text stays out of it
const STEPS = 96; // percent that the progress bar reaches while nobody knows

// NOTE: as INVISIBLE in snippets.py
const INVISIBLE = /[\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

export const at = (id) => document.getElementById(id);
export const form = at("widget");

export const show = (id, shown) => {
  at(id).hidden = !shown;
};

/** An element with a class and a text. */
export const made = (tag, kind, text = "") => {
  const one = document.createElement(tag);
  one.className = kind;
  one.textContent = text;
  return one;
};

/** A value as `literal` of snippets.py writes it. */
const literal = (value, quoting) => {
  if (Array.isArray(value)) return `[${value.map((one) => literal(one, quoting)).join(", ")}]`;
  if (typeof value === "object") {
    return `{${Object.entries(value).map(([name, one]) => `${literal(name, quoting)}: ${literal(one, quoting)}`).join(", ")}}`;
  }
  if (typeof value === "boolean" && quoting === "python") return value ? "True" : "False";
  const json = JSON.stringify(value).replace(
    INVISIBLE,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return quoting === "shell" ? json.replaceAll("'", "'\\''") : json;
};

/** Writes what the widget asks into every program, and shows those that can ask it. */
const fillSnippets = ({ values, when = {} }) => {
  for (const slot of document.querySelectorAll(".slot")) {
    slot.textContent = literal(values[slot.dataset.value], slot.dataset.quoting);
  }
  for (const part of document.querySelectorAll("[data-when]")) part.hidden = !when[part.dataset.when];
};

/** Puts what is asked into the address, so that it can be sent to somebody. */
const fillAddress = (fields) => {
  const query = new URLSearchParams(fields).toString();
  const without = fields.task ? `?task=${fields.task}` : location.pathname;
  history.replaceState(null, "", query.length <= LONGEST_QUERY ? `?${query}` : without);
};

const fail = (sentence) => {
  at("spoken").textContent = "";
  at("error").textContent = sentence;
  show("error", true);
};

/** One row of the ranking: label, bar and score. */
const row = ({ label, score }, largest) => {
  const track = made("span", "track");
  const bar = made("span", "bar");
  bar.style.width = `${Math.max(0, Math.min(1, score / largest)) * 100}%`;
  track.append(bar);
  const item = document.createElement("li");
  item.append(made("span", "label", label), track, made("span", "score", score.toFixed(3)));
  return item;
};

/** Draws labels or documents with their scores; what it returns says the best of them. */
export const drawRanking = (ranking, things) => {
  const shown = ranking.slice(0, BARS);
  const largest = Math.max(1, ...shown.map(({ score }) => Math.abs(score)));
  at("ranking").replaceChildren(...shown.map((one) => row(one, largest)));
  at("more").textContent = `${ranking.length - BARS} more ${things} are in the JSON output.`;
  show("more", ranking.length > BARS);
  return ranking.slice(0, 3).map(({ label, score }) => `${label} ${score.toFixed(3)}`).join(", ");
};

/** How long the answer took, and how much of the texts nobody has read. */
const timing = (headers) => {
  const kind = headers.get("x-compute-type");
  const time = kind === "cache" ? "cached" : `Computation time on ${kind}: ${headers.get("x-compute-time")} s`;
  const cut = headers.get("x-truncated-characters");
  return cut ? `${time}. Too long for the model: ${cut} characters were cut and not read.` : time;
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

const ask = ({ body, headers: own }, headers) => {
  const token = at("token").value.trim();
  return fetch(form.dataset.address, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      ...(token && { Authorization: `Bearer ${token}` }),
      ...own,
      ...headers,
    },
    body: JSON.stringify(body),
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
  const { error, message } = await response.json().catch(() => ({}));
  return error ?? message ?? `${response.status} ${response.statusText}`;
};

/**
 * Sets the widget of a task up. `read` returns what its fields ask: `body`, `values` of the code's slots, `fields` of
 * the address, or `missing`, an id and a sentence. `draw` takes the reply and what was asked, and returns what is said
 * of it. `otherwise` returns what is asked instead of a request that was refused, if anything.
 */
export const start = ({ read, draw, otherwise = () => undefined }) => {
  let busy = false;

  /** Asks for what the widget has; quietly: without loading the model, and without a word if it is not loaded. */
  const compute = async (quietly = false) => {
    let asked = read();
    if (busy) return;
    show("error", false);
    if (asked.missing) {
      const [id, what] = asked.missing;
      fail(what);
      at(id).focus();
      return;
    }
    busy = true;
    at("compute").setAttribute("aria-disabled", "true");
    at("compute").textContent = "Computing…";
    const headers = quietly ? { "x-load-model": "0" } : {};
    try {
      let response = await answer(asked, headers);
      const instead = response.status === 400 && otherwise(asked);
      if (instead) {
        response = await answer(instead, headers);
        if (response.ok) asked = instead;
      }
      if (!quietly) fillAddress(asked.fields);
      if (response.ok) {
        const reply = await response.json();
        at("timing").textContent = timing(response.headers);
        at("raw").textContent = JSON.stringify(reply, null, 2);
        at("spoken").textContent = `${draw(reply, asked)}. ${at("timing").textContent}`;
        show("result", true);
        show("ready", false);
        fillSnippets(asked);
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
  form.addEventListener("input", () => fillSnippets(read()));
  at("raw-button").addEventListener("click", (event) => {
    at("raw").hidden = !at("raw").hidden;
    event.currentTarget.setAttribute("aria-expanded", String(!at("raw").hidden));
  });
  for (const button of document.querySelectorAll(".copy")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
  fillSnippets(read());
  if (form.dataset.asked === "yes") compute(true);
  return { compute, fillSnippets: () => fillSnippets(read()) };
};

const copy = async (button) => {
  const code = button.parentElement.querySelector("code");
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
