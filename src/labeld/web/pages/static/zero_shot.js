// The widget of zero-shot classification: a text, and labels that are typed in.
import { at, drawRanking, form, start } from "./widget.js";

/** What the fields ask. NOTE: values as in tasks.py. */
const read = () => {
  const [text, given, template] = ["text", "labels", "template"].map((id) => at(id).value.trim());
  const labels = given.split(",").map((one) => one.trim()).filter(Boolean);
  const multiLabel = at("multi-label").checked;
  const how = { hypothesis_template: template, multi_label: multiLabel };
  const parameters = { candidate_labels: labels, ...how };
  const { model, task } = form.dataset;
  const body = { inputs: text, parameters };
  const missing = !text ? ["text", "You need to input some text"] : ["labels", "You need to input some labels"];
  return {
    ...((!text || !labels.length) && { missing }),
    body,
    values: {
      text,
      labels,
      template,
      multi_label: multiLabel,
      parameters,
      body,
      jina: { model, input: [text], labels, ...how },
    },
    fields: { task, text, labels: given, template, ...(multiLabel && { multi_label: "true" }) },
  };
};

start({ read, draw: (reply) => drawRanking(reply, "labels") });
