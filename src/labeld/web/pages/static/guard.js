// The widget of a policy: a text, and what is flagged in it.
import { at, drawRanking, form, show, start } from "./widget.js";
import { drawSpans, hideSpans } from "./spans.js";

/** What the field asks. NOTE: values as in policy.py. */
const read = () => {
  const text = at("text").value.trim();
  const policy = form.dataset.model;
  const detector = { contents: [text] };
  return {
    ...(!text && { missing: ["text", "You need to input some text"] }),
    body: detector,
    headers: { "detector-id": policy },
    values: {
      policy,
      text,
      moderation: { model: policy, input: text },
      detector,
      litellm: { texts: [text], input_type: "request", additional_provider_specific_params: { policy } },
    },
    fields: { text },
  };
};

const draw = ([findings], { values: { text } }) => {
  const best = new Map();
  for (const { detection_type: label, score } of findings) best.set(label, Math.max(score, best.get(label) ?? score));
  const ranking = [...best].map(([label, score]) => ({ label, score })).sort((a, b) => b.score - a.score);
  const said = drawRanking(ranking, "categories");
  if (!findings.length) {
    hideSpans();
    at("more").textContent = "Nothing is flagged.";
    show("more", true);
    return "Nothing is flagged";
  }
  const spans = findings.map(({ start: from, end, detection_type: label, score }) => ({ from, end, label, score }));
  drawSpans(text, spans, "Each part is in the colour of its category, the stronger the higher its score.");
  return `Flagged: ${said}`;
};

start({ read, draw });
