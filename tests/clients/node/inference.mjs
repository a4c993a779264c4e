// Asks through @huggingface/inference. argv: the package to import, the way to name the server, the model's URL,
// or with `id` the server's, which is then asked in place of the Hub's hosts.
// The token is that of LABELD_TEST_TOKEN, if there is one.
// Standard input: JSON lines of arguments; standard output: JSON lines of rankings, or of the error's text.
import { createInterface } from "node:readline";

const [name, way, url] = process.argv.slice(2);
const inference = await import(name);
const client = new (inference.InferenceClient ?? inference.HfInference)(process.env.LABELD_TEST_TOKEN ?? "hf_test");
const hosts = /^https:\/\/(?:(?:router|api-inference)\.)?huggingface\.co/;
const here = (address, init) => fetch(String(address).replace(hosts, url), init);
const answer = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
console.log = console.error; // the client tells there which provider it takes
const methodOf = (args) => (args.parameters?.candidate_labels ? "zeroShotClassification" : "textClassification");
const ways = {
  id: (args) => client[methodOf(args)](args, { fetch: here }),
  endpoint: (args) => client.endpoint(url).textClassification(args),
  endpointUrl: (args) => client.textClassification({ ...args, endpointUrl: url }),
  model: (args) => client.textClassification({ ...args, model: url }),
};
for await (const line of createInterface({ input: process.stdin })) {
  try {
    answer(await ways[way](JSON.parse(line)));
  } catch (error) {
    const body = JSON.stringify(error.httpResponse?.body ?? "");
    answer({ type: error.name, text: error.message + body });
  }
}
