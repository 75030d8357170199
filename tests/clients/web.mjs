// Drives the web SDK in Node, and prints what happens as lines of JSON: each call, and what each flag is afterwards.
// Arguments: {url, key, keys, contexts, pollInterval, changes}. Ends after so many changes.

import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature, ProviderEvents } from "@openfeature/web-sdk";

const { url, key, keys, contexts, pollInterval = 0, changes = 0 } = JSON.parse(process.argv[2]);
const say = (event, what) => process.stdout.write(`${JSON.stringify({ event, ...what })}\n`);

// What a browser does by itself; only that it is also written down.
const fetchImplementation = async (request) => {
  const [at, held] = [Date.now(), request.headers.get("If-None-Match")];
  const response = await fetch(request);
  const body = await response.clone().text();
  say("call", { at, held, status: response.status, bytes: body.length, tag: response.headers.get("ETag") });
  return response;
};

const client = OpenFeature.getClient();
const flags = () => Object.fromEntries(keys.map((one) => [one, client.getBooleanDetails(one, true)]));
const state = () => ({ status: client.providerStatus, flags: flags() });

let left = changes;
const done = new Promise((resolve) => {
  client.addHandler(ProviderEvents.ConfigurationChanged, ({ flagsChanged }) => {
    say("changed", { flagsChanged, ...state() });
    left -= 1;
    if (left <= 0) resolve();
  });
});

const headers = [["Authorization", `Bearer ${key}`]];
await OpenFeature.setContext(contexts[0]);
try {
  await OpenFeature.setProviderAndWait(
    new OFREPWebProvider({ baseUrl: url, headers, pollInterval, fetchImplementation, cacheMode: "disabled" }),
  );
} catch (error) {
  say("failed", { code: error.code });
}
say("ready", state());
for (const context of contexts.slice(1)) {
  await OpenFeature.setContext(context);
  say("context", state());
}
if (changes) await done;
await OpenFeature.close();
process.exit(0);
