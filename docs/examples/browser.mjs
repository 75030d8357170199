// A page shows a feature as soon as the company has it. browser.html loads this module.

import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature, ProviderEvents } from "@openfeature/web-sdk";

// Calls `show` with whether the feature is on: at once, and whenever that changes.
export async function watch(show, { url, key, feature, context = {}, pollInterval = 30_000 }) {
  await OpenFeature.setContext(context);
  await OpenFeature.setProviderAndWait(
    new OFREPWebProvider({ baseUrl: url, headers: [["Authorization", `Bearer ${key}`]], pollInterval }),
  );
  const client = OpenFeature.getClient();
  const look = () => show(client.getBooleanValue(feature, false));
  client.addHandler(ProviderEvents.ConfigurationChanged, look);
  look();
}
