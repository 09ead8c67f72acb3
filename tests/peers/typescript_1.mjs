// A canary: a server of the TypeScript SDK 1.x that writes down every handler that runs.
// typescript_1.mjs RECORD [--json] [--sessions] [--express] [--tasks] [--corpus] [--updates]; --express has the SDK's own Express application
// read the body, --tasks gives it a store of tasks, --corpus what the adversarial corpus names: templates, a tool that calls others,
// values that are secret, streams that can be taken up again, --updates subscriptions, a tool that says of a resource that it has changed,
// values of completions, a tool that asks the client's model, and with --tasks a tool whose calls become tasks, in one store for all sessions.
import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(new URL("../node/package.json", import.meta.url));
const { McpServer, ResourceTemplate } = require("@modelcontextprotocol/sdk/server/mcp.js");
const { StreamableHTTPServerTransport } = require("@modelcontextprotocol/sdk/server/streamableHttp.js");
const { createMcpExpressApp } = require("@modelcontextprotocol/sdk/server/express.js");
const { InMemoryTaskMessageQueue, InMemoryTaskStore } = require("@modelcontextprotocol/sdk/experimental/tasks");
const { completable } = require("@modelcontextprotocol/sdk/server/completable.js");
const { CreateMessageResultSchema, SubscribeRequestSchema } = require("@modelcontextprotocol/sdk/types.js");
const { z } = require("zod");

const [record, ...flags] = process.argv.slice(2);
const message = new AsyncLocalStorage();

function ran(kind, name, args) {
  appendFileSync(record, JSON.stringify({ kind, name, arguments: args, message: message.getStore() ?? "" }) + "\n");
}

// Not one handler insists on an argument: whatever reaches it is written down.
const any = () => z.any().optional();

const store = () => ({ taskStore: new InMemoryTaskStore(), taskMessageQueue: new InMemoryTaskMessageQueue() });
const shared = flags.includes("--updates") ? store() : undefined;

function tasks() {
  const capabilities = { tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } };
  return { capabilities, ...(shared ?? store()) };
}

function call(name, args) {
  ran("tool", name, args);
  return { content: [{ type: "text", text: name }] };
}

// What the adversarial corpus names beside what every canary has.
function widen(server) {
  const inputSchema = { name: any(), arguments: any() };
  server.registerTool("call_tool", { inputSchema }, (args) => {
    ran("tool", "call_tool", args);
    return call(String(args.name), args.arguments ?? {});
  });
  for (const template of ["demo://public/{name}", "demo://secret/{name}"]) {
    server.registerResource(template, new ResourceTemplate(template, { list: undefined }), {}, (asked, { name }) => {
      ran("template", template, { name });
      return { contents: [{ uri: asked.href, text: name }] };
    });
  }
}

// Subscriptions, and what is asked about what outlives a message.
function update(server) {
  const subscribed = new Set();
  server.server.registerCapabilities({ resources: { subscribe: true } });
  server.server.setRequestHandler(SubscribeRequestSchema, ({ params: { uri } }) => {
    ran("subscription", uri, {});
    subscribed.add(uri);
    return {};
  });
  server.registerTool("touch", { inputSchema: { uri: z.string() } }, async (args) => {
    if (subscribed.has(args.uri)) await server.server.sendResourceUpdated(args);
    return call("touch", args);
  });
  server.registerTool("ask", { inputSchema: {} }, async (args, { sendRequest }) => {
    const messages = [{ role: "user", content: { type: "text", text: "How much is two and two?" } }];
    const answer = await sendRequest({ method: "sampling/createMessage", params: { messages, maxTokens: 9 } }, CreateMessageResultSchema);
    return call("ask", { answer: answer.content.text });
  });
  if (!flags.includes("--tasks")) return;
  const execution = { taskSupport: "required" };
  server.experimental.tasks.registerToolTask("report", { inputSchema: { about: any() }, execution }, {
    createTask: async (args, { taskStore }) => {
      const task = await taskStore.createTask({ ttl: 60_000 });
      await taskStore.storeTaskResult(task.taskId, "completed", call("report", args));
      return { task };
    },
    getTask: (args, { taskStore, taskId }) => taskStore.getTask(taskId),
    getTaskResult: (args, { taskStore, taskId }) => taskStore.getTaskResult(taskId),
  });
}

// Every message that was sent: what a client missed is sent again.
class Events {
  sent = [];

  async storeEvent(stream, message) {
    return String(this.sent.push({ stream, message }));
  }

  async replayEventsAfter(last, { send }) {
    const { stream } = this.sent[Number(last) - 1];
    for (const [index, one] of this.sent.entries())
      if (index >= Number(last) && one.stream === stream) await send(String(index + 1), one.message);
    return stream;
  }
}

function canary() {
  const server = new McpServer({ name: "canary", version: "1" }, flags.includes("--tasks") ? tasks() : {});
  const tools = { echo: ["text"], add: ["a", "b"], secret_delete: ["path"], secret_transfer: ["amount"] };
  for (const [name, parameters] of Object.entries(tools)) {
    const inputSchema = Object.fromEntries(parameters.map((one) => [one, any()]));
    server.registerTool(name, { inputSchema }, (args) => call(name, args));
  }
  for (const name of ["greet", "secret_prompt"]) {
    const who = completable(z.any(), (value) => (ran("completion", name, { who: value }), [`${value}!`]));
    server.registerPrompt(name, { argsSchema: { who } }, (args) => {
      ran("prompt", name, args);
      return { messages: [{ role: "user", content: { type: "text", text: name } }] };
    });
  }
  for (const uri of ["demo://public/one", "demo://secret/one"]) {
    server.registerResource(uri, uri, {}, (asked) => {
      ran("resource", uri, {});
      return { contents: [{ uri: asked.href, text: uri }] };
    });
  }
  const template = "demo://docs/{name}";
  const more = flags.includes("--corpus") ? ["../secret/plan"] : [];
  const complete = { name: (value) => (ran("completion", template, { name: value }), [`${value}!`, ...more]) };
  server.registerResource("docs", new ResourceTemplate(template, { list: undefined, complete }), {}, (asked, { name }) => {
    ran("template", template, { name });
    return { contents: [{ uri: asked.href, text: name }] };
  });
  if (flags.includes("--corpus")) widen(server);
  if (flags.includes("--updates")) update(server);
  return server;
}

async function opened(remember) {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: flags.includes("--sessions") ? randomUUID : undefined,
    onsessioninitialized: (id) => remember(id, transport),
    enableJsonResponse: flags.includes("--json"),
    eventStore: flags.includes("--corpus") ? new Events() : undefined,
  });
  await canary().connect(transport);
  return transport;
}

const sessions = new Map();

async function answer(request, response) {
  const known = flags.includes("--sessions") ? sessions.get(request.headers["mcp-session-id"]) : undefined;
  const transport = known ?? (await opened((id, one) => sessions.set(id, one)));
  if (!known) response.once("close", () => sessions.has(transport.sessionId) || transport.close());
  await transport.handleRequest(request, response, request.body);
}

const handle = (request, response) => message.run(request.headers["x-message"], () => answer(request, response));
const listener = flags.includes("--express") ? createMcpExpressApp().post("/mcp", handle) : handle;
const http = createServer({ keepAliveTimeout: 600_000 }, listener);
http.listen(0, "127.0.0.1", () => console.log(`ready http://127.0.0.1:${http.address().port}/mcp`));
process.stdin.resume().once("close", () => process.exit(0));
