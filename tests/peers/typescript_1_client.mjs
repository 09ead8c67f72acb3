// A client of the TypeScript SDK 1.x that does what it is told, as `python_client.py` does, and asks about tasks, which that SDK does not know:
// in a conversation that `samples` it answers what a server asks its model; `ask` {name, patience} calls a tool that does, and says what was asked;
// `task` {name, arguments} is a call that becomes one, and `~` in the parameters of what follows is its id.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { conversation, raised } from "./conversation.mjs";

const require = createRequire(new URL("../node/package.json", import.meta.url));
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
const { CallToolResultSchema, CreateMessageRequestSchema, CreateTaskResultSchema, ResourceUpdatedNotificationSchema } = require("@modelcontextprotocol/sdk/types.js");

const ANSWER = { role: "assistant", model: "none", content: { type: "text", text: "four" } };
const within = { timeout: 60_000 };
const methods = {
  "tools/list": (client, params) => client.listTools(params, within),
  "prompts/list": (client, params) => client.listPrompts(params, within),
  "resources/list": (client, params) => client.listResources(params, within),
  "resources/templates/list": (client, params) => client.listResourceTemplates(params, within),
  "tools/call": (client, params) => client.callTool(params, undefined, within),
  "prompts/get": (client, params) => client.getPrompt(params, within),
  "resources/read": (client, params) => client.readResource(params, within),
  "completion/complete": (client, params) => client.complete(params, within),
  "tasks/get": (client, { taskId }) => client.experimental.tasks.getTask(taskId, within),
  "tasks/result": (client, { taskId }) => client.experimental.tasks.getTaskResult(taskId, CallToolResultSchema, within),
  "tasks/cancel": (client, { taskId }) => client.experimental.tasks.cancelTask(taskId, within),
  "tasks/list": (client) => client.experimental.tasks.listTasks(undefined, within),
  subscribe: (client, params) => client.subscribeResource(params, within),
  task: (client, params) => client.request({ method: "tools/call", params: { ...params, task: {} } }, CreateTaskResultSchema, within),
};

async function ask(client, { name, patience }, asked) {
  const raised = await client.callTool({ name }, undefined, { timeout: patience }).then(() => "", (error) => error.message);
  return { asked: asked.splice(0), raised };
}

async function talk({ url, token, steps, samples }) {
  const requestInit = { headers: token ? { Authorization: `Bearer ${token}` } : {} };
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit });
  const client = new Client({ name: "test", version: "1" }, samples ? { capabilities: { sampling: {} } } : {});
  const asked = [];
  const held = conversation(client, { ...methods, ask: (one, params) => ask(one, params, asked) }, requestInit.headers);
  if (samples) client.setRequestHandler(CreateMessageRequestSchema, ({ method }) => (asked.push(method), ANSWER));
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, held.hear);
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
