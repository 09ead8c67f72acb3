// A client of the TypeScript SDK 2.x that does what it is told, as the one of 1.x does; `mode` is the SDK's.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { conversation, raised } from "./conversation.mjs";

const require = createRequire(new URL("../node/package.json", import.meta.url));
const { Client, StreamableHTTPClientTransport, specTypeSchemas } = require("@modelcontextprotocol/client");

const within = { timeout: 60_000 };

// What the SDK has types for, and no method.
const asked = (client, method, params, answer) => client.request({ method, params }, specTypeSchemas[answer], within);

const methods = {
  "tools/list": (client, params) => client.listTools(params, within),
  "prompts/list": (client, params) => client.listPrompts(params, within),
  "resources/list": (client, params) => client.listResources(params, within),
  "resources/templates/list": (client, params) => client.listResourceTemplates(params, within),
  "tools/call": (client, params) => client.callTool(params, within),
  "prompts/get": (client, params) => client.getPrompt(params, within),
  "resources/read": (client, params) => client.readResource(params, within),
  "completion/complete": (client, params) => client.complete(params, within),
  "tasks/get": (client, params) => asked(client, "tasks/get", params, "GetTaskResult"),
  "tasks/result": (client, params) => asked(client, "tasks/result", params, "CallToolResult"),
  "tasks/cancel": (client, params) => asked(client, "tasks/cancel", params, "CancelTaskResult"),
  "tasks/list": (client, params) => asked(client, "tasks/list", params, "ListTasksResult"),
  task: (client, params) => asked(client, "tools/call", { ...params, task: {} }, "CreateTaskResult"),
  subscribe: (client, { uri }) =>
    client.getProtocolEra() === "legacy"
      ? client.subscribeResource({ uri }, within)
      : client.listen({ resourceSubscriptions: [uri] }, within).then(() => ({})),
};

async function talk({ url, token, steps, mode }) {
  const requestInit = { headers: token ? { Authorization: `Bearer ${token}` } : {} };
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit });
  const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode: mode ?? "auto" } });
  const held = conversation(client, methods, requestInit.headers);
  client.setNotificationHandler("notifications/resources/updated", held.hear);
  try {
    await client.connect(transport);
  } catch (error) {
    return [{ refused: raised(error) }];
  }
  const found = await held.have(steps);
  held.end();
  await transport.terminateSession();
  await client.close();
  return found;
}

for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(await talk(JSON.parse(line))));
process.exit(0);
