// Asks through @huggingface/inference, of whatever release is installed beside it. argv: the model's URL.
// Standard input: JSON lines of arguments; standard output: JSON lines of rankings, or of the error's text.
import { createInterface } from "node:readline";
import * as inference from "@huggingface/inference";

const url = process.argv[2];
const isNew = "InferenceClient" in inference; // releases before 3 take the URL as the model
const client = isNew ? new inference.InferenceClient("hf_test") : new inference.HfInference("hf_test");
const where = isNew ? { endpointUrl: url } : { model: url };
for await (const line of createInterface({ input: process.stdin })) {
  try {
    console.log(JSON.stringify(await client.textClassification({ ...JSON.parse(line), ...where })));
  } catch (error) {
    const body = JSON.stringify(error.httpResponse?.body ?? "");
    console.log(JSON.stringify({ type: error.name, text: error.message + body }));
  }
}
