// Asks through @huggingface/inference. argv: the package to import, the way to name the server, the model's URL.
// Standard input: JSON lines of arguments; standard output: JSON lines of rankings, or of the error's text.
import { createInterface } from "node:readline";

const [name, way, url] = process.argv.slice(2);
const inference = await import(name);
const client = new (inference.InferenceClient ?? inference.HfInference)("hf_test");
const ways = {
  endpoint: (args) => client.endpoint(url).textClassification(args),
  endpointUrl: (args) => client.textClassification({ ...args, endpointUrl: url }),
  model: (args) => client.textClassification({ ...args, model: url }),
};
for await (const line of createInterface({ input: process.stdin })) {
  try {
    console.log(JSON.stringify(await ways[way](JSON.parse(line))));
  } catch (error) {
    const body = JSON.stringify(error.httpResponse?.body ?? "");
    console.log(JSON.stringify({ type: error.name, text: error.message + body }));
  }
}
