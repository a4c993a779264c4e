// The widget of text classification: a text or a pair, as a whole or in windows.
import { at, drawRanking, form, show, start } from "./widget.js";
import { drawSpans, hideSpans } from "./spans.js";

/** A whole number of a field; the text as it stands where it is none, about which the server has a sentence. */
const number = (id) => {
  const text = at(id).value.trim();
  return /^\d+$/.test(text) ? Number(text) : text;
};

/** What the fields ask, in windows or not. NOTE: values as in tasks.py. */
const asking = (inWindows) => {
  const [text, pair] = [at("text").value.trim(), at("pair").value.trim()];
  const length = number("length");
  const read = inWindows
    ? { stride: number("stride"), ...(length !== "" && { max_length: length }), aggregate: at("aggregate").value }
    : {};
  const which = inWindows && pair ? { truncation: text.length >= pair.length ? "only_first" : "only_second" } : {};
  const inputs = pair ? { text, text_pair: pair } : text;
  const both = pair ? [text, pair] : [text];
  const parameters = { ...read, ...which };
  const tensors = both.map((one, index) => ({
    name: ["text", "text_pair"][index],
    shape: [1],
    datatype: "BYTES",
    data: [one],
  }));
  const { model } = form.dataset;
  const body = { inputs, ...(inWindows && { parameters: { ...parameters, return_windows: true } }) };
  return {
    ...(!text && { missing: ["text", "You need to input some text"] }),
    inWindows,
    of: which.truncation === "only_second" ? pair : text,
    body,
    values: {
      inputs,
      parameters,
      body,
      tei: { model, inputs: [both], ...read },
      vllm: { model, input: [text], ...read },
      tensors: { inputs: tensors, ...(inWindows && { parameters }) },
    },
    when: { plain: !inWindows, windows: inWindows, pair: Boolean(pair) },
    fields: { text, ...(pair && { text_pair: pair }), ...read },
  };
};

const draw = ([answer], { inWindows, of }) => {
  if (!inWindows || Array.isArray(answer)) { // candidate labels of an alias have none
    hideSpans();
    return drawRanking(answer, "labels");
  }
  if (!at("windows").checked) {
    at("windows").checked = true;
    show("window-fields", true);
  }
  const { labels, windows } = answer;
  const count = windows.length === 1 ? "one window" : `${windows.length} windows`;
  const which = of === at("text").value.trim() ? "text" : "second text";
  drawSpans(
    of,
    windows.map(({ start: from, end, labels: [best] }) => ({ from, end, ...(best ?? { label: "no label", score: 0 }) })),
    `The ${which} was read in ${count}, each in the colour of its best label, the stronger the higher its score.`,
  );
  return `${drawRanking(labels, "labels")}, in ${count}`;
};

const { compute, fillSnippets } = start({
  read: () => asking(at("windows").checked),
  draw,
  // a text that is too long is read in windows, and what is wrong for another reason is so again
  otherwise: ({ inWindows }) => (inWindows ? undefined : asking(true)),
});

at("windows").addEventListener("change", () => show("window-fields", at("windows").checked));
for (const example of document.querySelectorAll("[data-text]")) {
  example.addEventListener("click", () => {
    at("text").value = example.dataset.text;
    at("pair").value = example.dataset.pair;
    if (example.dataset.pair) at("pair").closest("details").open = true;
    fillSnippets();
    compute();
  });
}
