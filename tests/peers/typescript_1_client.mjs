// A client of the TypeScript SDK 1.x that does what it is told, as `python_client.py` does.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../node/package.json", import.meta.url));
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");

const within = { timeout: 20_000 };
const steps = {
  "tools/list": (client, params) => client.listTools(params, within),
  "prompts/list": (client, params) => client.listPrompts(params, within),
  "resources/list": (client, params) => client.listResources(params, within),
  "resources/templates/list": (client, params) => client.listResourceTemplates(params, within),
  "tools/call": (client, params) => client.callTool(params, undefined, within),
  "prompts/get": (client, params) => client.getPrompt(params, within),
  "resources/read": (client, params) => client.readResource(params, within),
  "completion/complete": (client, params) => client.complete(params, within),
};

async function seen(client, method, params) {
  try {
    return { result: await steps[method](client, params) };
  } catch (error) {
    return { error: [error.code, error.message] };
  }
}

async function talk({ url, token, steps }) {
  const requestInit = { headers: { Authorization: `Bearer ${token}` } };
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit });
  const client = new Client({ name: "test", version: "1" });
  await client.connect(transport);
  const found = [];
  for (const [method, params] of steps) found.push(await seen(client, method, params));
  await transport.terminateSession();
  await client.close();
  return found;
}

for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(await talk(JSON.parse(line))));
process.exit(0);
