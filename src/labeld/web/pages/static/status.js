// Asks this server every two seconds how it is, and draws the last ten minutes. Not while nobody looks.
"use strict";

const PERIOD = 2000;
const SPANS = [60, 120, 300, 600]; // seconds that a chart shows, as soon as there are so many
const HEIGHT = 132;
const EDGE = { left: 46, right: 4, top: 8, bottom: 20 };
const SVG = "http://www.w3.org/2000/svg";

const charts = document.getElementById("charts");
const trouble = document.getElementById("trouble");
let models = null;
let rounds = 0;
let last = null;
let timer = null;

// ---- numbers, as formatting.py writes them

function short(value) {
  if (value >= 99.95 || value === Math.round(value)) return Math.round(value).toLocaleString("en");
  return value.toFixed(value >= 9.995 ? 1 : 2);
}

function shown(value, unit) {
  if (value === null || value === undefined) return "–";
  if (unit === "rate") return `${short(value)} /s`;
  if (unit === "seconds") return value < 1 ? `${short(value * 1000)} ms` : `${short(value)} s`;
  if (unit === "share") return `${Math.round(value * 100)} %`;
  return short(value);
}

function scaled(value, unit) {
  if (value === 0) return "0";
  const [factor, name] = { seconds: value < 1 ? [1000, " ms"] : [1, " s"], share: [100, " %"] }[unit] || [1, ""];
  return (value * factor).toLocaleString("en", { maximumSignificantDigits: 3 }) + name;
}

// ---- drawing

function drawn(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function roundedUp(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 2.5, 5, 10].find((step) => most <= step * power * 1.0001) * power;
}

function highestOf(values, unit) {
  if (unit === "share") return 1;
  const maximum = Math.max(0, ...values.filter((value) => value !== null));
  const minimum = unit === "seconds" ? 0.001 : 1;
  return roundedUp(Math.max(maximum, minimum));
}

function line(ago, values, x, y) {
  // A gap where there is no value; a lonely value is a dot, which a line of no length with round ends is.
  let path = "";
  values.forEach((value, index) => {
    if (value === null) return;
    const begins = index === 0 || values[index - 1] === null;
    path += `${begins ? "M" : "L"}${x(ago[index])} ${y(value)}`;
    if (begins && (index === values.length - 1 || values[index + 1] === null)) path += "h.01";
  });
  return path;
}

function area(ago, values, x, y) {
  let path = "";
  values.forEach((value, index) => {
    if (value === null) return;
    if (index === 0 || values[index - 1] === null) path += `M${x(ago[index])} ${y(0)}`;
    path += `L${x(ago[index])} ${y(value)}`;
    if (index === values.length - 1 || values[index + 1] === null) path += `L${x(ago[index])} ${y(0)}Z`;
  });
  return path;
}

function draw(chart, history) {
  const svg = chart.querySelector("svg");
  const width = Math.max(200, svg.clientWidth);
  const unit = chart.dataset.unit;
  const series = chart.dataset.series.split(" ").map((name) => history[name] || []);
  const highest = highestOf(series.flat(), unit);
  const span = SPANS.find((one) => one >= (history.ago[0] || 0)) || SPANS.at(-1);
  const x = (ago) => (EDGE.left + (width - EDGE.left - EDGE.right) * (1 - Math.min(ago, span) / span)).toFixed(1);
  const y = (value) => (EDGE.top + (HEIGHT - EDGE.top - EDGE.bottom) * (1 - value / highest)).toFixed(1);
  const parts = [];
  for (const share of [1, 0.5, 0]) {
    const height = y(highest * share);
    const place = { x1: EDGE.left, x2: width - EDGE.right, y1: height, y2: height };
    parts.push(drawn("line", { class: share ? "grid-line" : "base-line", ...place }));
    const label = scaled(highest * share, unit);
    parts.push(drawn("text", { x: EDGE.left - 7, y: Number(height) + 4, "text-anchor": "end" }, label));
  }
  for (const [ago, text, anchor] of [[span, `${span / 60} min ago`, "start"], [0, "now", "end"]]) {
    parts.push(drawn("text", { x: x(ago), y: HEIGHT - 5, "text-anchor": anchor }, text));
  }
  parts.push(drawn("path", { class: "area", d: area(history.ago, series[0], x, y) }));
  series.forEach((values, index) => {
    if (index === 0 || values.some(Boolean)) {
      parts.push(drawn("path", { class: `line-${index}`, d: line(history.ago, values, x, y) }));
    }
  });
  const at = chart.pointed === undefined ? null : nearest(history.ago, chart.pointed, width, span);
  if (at !== null) parts.push(drawn("line", { class: "cursor", x1: x(history.ago[at]), x2: x(history.ago[at]), y1: EDGE.top, y2: HEIGHT - EDGE.bottom }));
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.replaceChildren(...parts);
  say(chart, svg, series, unit, history, at);
}

function nearest(ago, pointed, width, span) {
  const wanted = span * (1 - (pointed - EDGE.left) / (width - EDGE.left - EDGE.right));
  let best = null;
  ago.forEach((one, index) => {
    if (best === null || Math.abs(one - wanted) < Math.abs(ago[best] - wanted)) best = index;
  });
  return best;
}

function say(chart, svg, series, unit, history, at) {
  const index = at === null ? history.ago.length - 1 : at;
  const values = series.map((one) => (index < 0 ? null : one[index]));
  const seen = values.filter((value, place) => place === 0 || unit === "seconds" || value);
  const moment = at === null ? "now" : new Date(Date.now() - history.ago[at] * 1000).toLocaleTimeString();
  chart.querySelector("output").textContent = `${seen.map((value) => shown(value, unit)).join(" · ")} ${moment}`;
  const most = Math.max(0, ...series.flat().filter((value) => value !== null));
  const name = chart.querySelector(".name").textContent;
  svg.setAttribute("aria-label", `${name}: ${shown(values[0], unit)} now, at most ${shown(most, unit)} in ten minutes`);
}

// ---- asking

function found(state, path) {
  return path.split(".").reduce((value, name) => (value === null || value === undefined ? null : value[name]), state);
}

function show(state) {
  last = state;
  for (const cell of document.querySelectorAll("[data-path]")) {
    cell.textContent = shown(found(state, cell.dataset.path), cell.dataset.unit);
  }
  charts.hidden = false;
  document.getElementById("still").hidden = true;
  for (const chart of charts.querySelectorAll(".chart")) draw(chart, state.history);
}

async function refreshModels() {
  const reply = await fetch(window.location.pathname, { headers: { accept: "text/html" } });
  if (!reply.ok) return;
  const page = new DOMParser().parseFromString(await reply.text(), "text/html");
  const section = page.getElementById("memory");
  const focused = document.getElementById("memory").contains(document.activeElement);
  if (section && !focused) document.getElementById("memory").replaceWith(document.importNode(section, true));
}

async function ask() {
  try {
    const reply = await fetch(window.location.pathname, { headers: { accept: "application/json" } });
    if (reply.status === 401 || reply.status === 403) throw new Error("You are signed out: reload this page to sign in.");
    if (!reply.ok) throw new Error(`This server answers with ${reply.status}. It is asked again every two seconds.`);
    const state = await reply.json();
    const loaded = JSON.stringify([state.models.map((one) => one.model_id), state.loading.map((one) => one.model_id)]);
    show(state);
    if ((models !== null && loaded !== models) || rounds % 5 === 4) await refreshModels();
    models = loaded;
    rounds += 1;
    trouble.hidden = true;
  } catch (error) {
    const said = error instanceof TypeError ? "This server does not answer. It is asked again every two seconds." : error.message;
    if (trouble.hidden || trouble.textContent !== said) trouble.textContent = said;
    trouble.hidden = false;
  }
}

async function round() {
  timer = null;
  if (document.hidden) return;
  await ask();
  if (timer === null && !document.hidden) timer = setTimeout(round, PERIOD);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && timer === null) round();
});
for (const chart of charts.querySelectorAll(".chart")) {
  const svg = chart.querySelector("svg");
  const point = (event) => {
    chart.pointed = event.clientX - svg.getBoundingClientRect().left;
    if (last) draw(chart, last.history);
  };
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerleave", () => {
    chart.pointed = undefined;
    if (last) draw(chart, last.history);
  });
}
addEventListener("resize", () => last && show(last));
round();
