// The widget of ranking: a query, and documents in the order of their scores.
import { at, drawRanking, form, start } from "./widget.js";

/** What the fields ask. NOTE: values as in tasks.py. */
const read = () => {
  const query = at("query").value.trim();
  const documents = at("documents").value.split("\n").map((one) => one.trim()).filter(Boolean);
  const { model, task } = form.dataset;
  const body = { inputs: { query, texts: documents } };
  const missing = !query ? ["query", "You need to input a query"] : ["documents", "You need to input some documents"];
  return {
    ...((!query || !documents.length) && { missing }),
    body,
    documents,
    values: {
      query,
      documents,
      body,
      cohere: { model, query, documents },
      tei: { model, query, texts: documents, truncate: true },
      vllm: { model, queries: query, documents, truncate_prompt_tokens: -1 },
    },
    fields: { task, query, documents: documents.join("\n") },
  };
};

const draw = (reply, { documents }) =>
  drawRanking(reply.map(({ index, score }) => ({ label: documents[index], score })), "documents");

start({ read, draw });
