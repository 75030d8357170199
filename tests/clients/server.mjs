// Asks questions through the Node server SDK, and prints each answer as a line of JSON.
// Arguments: {url, key, questions: [[kind, key, default, context]…]}

import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature } from "@openfeature/server-sdk";

const { url, key, questions } = JSON.parse(process.argv[2]);
await OpenFeature.setProviderAndWait(
  new OFREPProvider({ baseUrl: url, headers: [["Authorization", `Bearer ${key}`]] }),
);
for (const [kind, ...question] of questions) {
  console.log(JSON.stringify(await OpenFeature.getClient()[`get${kind}Details`](...question)));
}
