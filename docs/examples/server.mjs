// A service in Node asks over HTTP.
//
// npm ci
// HEADGATE_URL=http://127.0.0.1:8000 HEADGATE_KEY=… COMPANY=acme node server.mjs

import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature } from "@openfeature/server-sdk";

const { HEADGATE_URL, HEADGATE_KEY, COMPANY } = process.env;

await OpenFeature.setProviderAndWait(
  new OFREPProvider({ baseUrl: HEADGATE_URL, headersFactory: () => ({ Authorization: `Bearer ${HEADGATE_KEY}` }) }),
);

const context = { targetingKey: "report-service", companyId: COMPANY };
const found = await OpenFeature.getClient().getBooleanDetails("advanced_reporting", false, context);
console.log(found.value, found.variant, found.reason, found.flagMetadata.reason, found.errorCode);
