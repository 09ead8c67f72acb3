// A canary: a server of the TypeScript SDK 2.x, for both eras, that writes down every handler that runs.
// typescript_2.mjs RECORD [--json] [--auto] [--corpus] [--updates]; --auto leaves the choice to the SDK, as it does by default, --corpus adds
// what the adversarial corpus names: templates, a tool that calls others, values that are secret, --updates a tool that says of a resource
// that it has changed.
import { AsyncLocalStorage } from "node:async_hooks";
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(new URL("../node/package.json", import.meta.url));
const { McpServer, ResourceTemplate, completable, createMcpHandler } = require("@modelcontextprotocol/server");
const { toNodeHandler } = require("@modelcontextprotocol/node");
const { z } = require("zod");

const [record, ...flags] = process.argv.slice(2);
const message = new AsyncLocalStorage();

function ran(kind, name, args) {
  appendFileSync(record, JSON.stringify({ kind, name, arguments: args, message: message.getStore() ?? "" }) + "\n");
}

// Not one handler insists on an argument: whatever reaches it is written down.
const any = () => z.any().optional();

function call(name, args) {
  ran("tool", name, args);
  return { content: [{ type: "text", text: name }] };
}

// What the adversarial corpus names beside what every canary has.
function widen(server) {
  const inputSchema = z.object({ name: any(), arguments: any() });
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

function canary() {
  const options = flags.includes("--updates") ? { capabilities: { resources: { subscribe: true } } } : {};
  const server = new McpServer({ name: "canary", version: "1" }, options);
  const tools = { echo: ["text"], add: ["a", "b"], secret_delete: ["path"], secret_transfer: ["amount"] };
  for (const [name, parameters] of Object.entries(tools)) {
    const inputSchema = z.object(Object.fromEntries(parameters.map((one) => [one, any()])));
    server.registerTool(name, { inputSchema }, (args) => call(name, args));
  }
  for (const name of ["greet", "secret_prompt"]) {
    const who = completable(z.any(), (value) => (ran("completion", name, { who: value }), [`${value}!`]));
    server.registerPrompt(name, { argsSchema: z.object({ who }) }, (args) => {
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
  if (flags.includes("--updates")) {
    server.registerTool("touch", { inputSchema: z.object({ uri: z.string() }) }, (args) => {
      made.notify.resourceUpdated(args.uri);
      return call("touch", args);
    });
  }
  return server;
}

const responseMode = flags.includes("--json") ? "json" : flags.includes("--auto") ? "auto" : "sse";
const made = createMcpHandler(canary, { responseMode });
const handler = toNodeHandler(made);
const http = createServer({ keepAliveTimeout: 600_000 }, (request, response) =>
  message.run(request.headers["x-message"], () => handler(request, response)),
);
http.listen(0, "127.0.0.1", () => console.log(`ready http://127.0.0.1:${http.address().port}/mcp`));
process.stdin.resume().once("close", () => process.exit(0));
