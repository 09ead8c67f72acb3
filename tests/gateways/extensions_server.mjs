// A server of the revision 2026-07-28 with the extensions that no SDK has: tasks (io.modelcontextprotocol/tasks) and skills
// (io.modelcontextprotocol/skills), for the scenarios of the conformance suite that ask for them. It answers with JSON, and knows no principals.
import { createHash, randomUUID } from "node:crypto";
import { createServer } from "node:http";

const VERSION = "2026-07-28";
const META = "io.modelcontextprotocol/";
const TASKS = `${META}tasks`;
const SKILLS = `${META}skills`;
const TTL = 600_000;
const NAMED = { "tools/call": "name", "resources/read": "uri", "tasks/get": "taskId", "tasks/update": "taskId", "tasks/cancel": "taskId" };

class Refusal extends Error {
  constructor(code, message, data, status = 200) {
    super(message);
    Object.assign(this, { code, data, status });
  }
}

const complete = (fields = {}) => ({ resultType: "complete", ...fields });
const text = (value) => ({ content: [{ type: "text", text: value }] });
const asks = (message) => ({
  method: "elicitation/create",
  params: { mode: "form", message, requestedSchema: { type: "object", properties: { confirm: { type: "boolean" } } } },
});

// ---- tools: how long they take, what they ask for, and how they end --------------------------------------------------

const tools = {
  greet: { sync: true, run: ({ name }) => text(`Hello, ${name}!`) },
  slow_compute: { seconds: ({ seconds }) => seconds, run: ({ label }) => text(`computed ${label}`) },
  failing_job: { required: true, seconds: () => 1, run: () => ({ ...text("it did not work"), isError: true }) },
  protocol_error_job: { seconds: () => 0, fails: { code: -32603, message: "it broke" } },
  confirm_delete: { inputs: ["confirm"], run: ({ filename }) => text(`deleted ${filename}`) },
  multi_input: { inputs: ["first", "second"], run: () => text("both came") },
  test_tool_with_task: { before: "user_name", run: ({ name }) => text(`for ${name}`) },
};

// ---- tasks -----------------------------------------------------------------------------------------------------------

const tasks = new Map();

function created(tool, args) {
  const now = Date.now();
  const inputs = Object.fromEntries((tool.inputs ?? []).map((one) => [one, asks(one)]));
  const task = { taskId: randomUUID(), at: now, due: now + 1000 * (tool.seconds?.(args) ?? 0), tool, args, inputs, cancelled: false };
  tasks.set(task.taskId, task);
  return { resultType: "task", ...told(task) };
}

function statusOf(task) {
  if (task.cancelled) return "cancelled";
  if (Object.keys(task.inputs).length > 0) return "input_required";
  if (Date.now() < task.due) return "working";
  return task.tool.fails ? "failed" : "completed";
}

function told(task) {
  const at = new Date(task.at).toISOString();
  return { taskId: task.taskId, status: statusOf(task), createdAt: at, lastUpdatedAt: at, ttlMs: TTL, pollIntervalMs: 100 };
}

function detailed(task) {
  const more = {
    input_required: () => ({ inputRequests: task.inputs }),
    completed: () => ({ result: complete(task.tool.run(task.args)) }),
    failed: () => ({ error: task.tool.fails }),
  };
  return complete({ ...told(task), ...more[statusOf(task)]?.() });
}

function known({ taskId }) {
  const task = tasks.get(taskId);
  if (!task) throw new Refusal(-32602, "Task not found");
  return task;
}

function updated(params) {
  const task = known(params);
  for (const name of Object.keys(params.inputResponses ?? {})) delete task.inputs[name];
  return complete();
}

function cancelled(params) {
  const task = known(params);
  task.cancelled ||= !["completed", "failed"].includes(statusOf(task));
  return complete();
}

const extensionsOf = (params) => params._meta?.[`${META}clientCapabilities`]?.extensions ?? {};

function needTasks(params) {
  if (extensionsOf(params)[TASKS]) return;
  const requiredCapabilities = { extensions: { [TASKS]: {} } };
  throw new Refusal(-32021, "the tasks extension is needed", { requiredCapabilities }, 400);
}

const gated = (handler) => (params) => (needTasks(params), handler(params));

function called(params) {
  const tool = tools[params.name];
  if (!tool) throw new Refusal(-32602, `unknown tool ${params.name}`);
  const args = { ...params.arguments };
  if (tool.sync) return complete(tool.run(args));
  if (tool.required) needTasks(params);
  if (tool.before) {
    const answer = params.inputResponses?.[tool.before]?.content;
    if (!answer) return { resultType: "input_required", inputRequests: { [tool.before]: asks("What is your name?") } };
    args.name = answer.name;
  }
  return extensionsOf(params)[TASKS] ? created(tool, args) : complete(tool.run(args));
}

// ---- skills ----------------------------------------------------------------------------------------------------------

const ROOT = "skill://sums";
const front = { name: "sums", description: "How sums are made." };
const files = {
  [`${ROOT}/SKILL.md`]: `---\nname: ${front.name}\ndescription: ${front.description}\n---\n\nAdd one number to the other.\n`,
  [`${ROOT}/notes.md`]: "Small numbers first.\n",
  [`${ROOT}/examples/one.md`]: "One and one are two.\n",
};
const entry = {
  uri: `${ROOT}/SKILL.md`,
  frontmatter: front,
  resources: Object.entries(files).map(([uri, body]) => ({
    uri,
    digest: `sha256:${createHash("sha256").update(body).digest("hex")}`,
    size: Buffer.byteLength(body),
  })),
};
const kept = { ttlMs: 0, cacheScope: "private" };

function read({ uri }) {
  if (!(uri in files)) throw new Refusal(-32602, "Resource not found", { uri });
  return complete({ contents: [{ uri, mimeType: "text/markdown", text: files[uri] }], ...kept });
}

function skill({ uri }) {
  if (uri !== entry.uri) throw new Refusal(-32602, "Skill not found", { uri });
  return complete({ skill: entry, ...kept });
}

function directory({ uri }) {
  const names = Object.keys(files).flatMap((one) => (one.startsWith(`${uri}/`) ? [one.slice(uri.length + 1).split("/")] : []));
  if (names.length === 0) throw new Refusal(-32602, "Directory not found", { uri });
  const resources = names.map(([name, below]) => {
    return { uri: `${uri}/${name}`, name, mimeType: below === undefined ? "text/markdown" : "inode/directory" };
  });
  return complete({ resources, ...kept });
}

// ---- what is asked ---------------------------------------------------------------------------------------------------

const extensions = { [TASKS]: {}, [SKILLS]: { directoryRead: true } };
const listed = Object.keys(tools).map((name) => ({ name, inputSchema: { type: "object" } }));
const methods = {
  "server/discover": () =>
    complete({
      supportedVersions: [VERSION],
      capabilities: { tools: {}, resources: {}, extensions },
      serverInfo: { name: "extensions", version: "1" },
      ...kept,
    }),
  "tools/list": () => complete({ tools: listed, ...kept }),
  "tools/call": called,
  "tasks/get": gated((params) => detailed(known(params))),
  "tasks/update": gated(updated),
  "tasks/cancel": gated(cancelled),
  "resources/list": () => complete({ resources: [{ uri: entry.uri, ...front }], ...kept }),
  "resources/templates/list": () => complete({ resourceTemplates: [], ...kept }),
  "resources/read": read,
  "resources/directory/read": directory,
  "skills/list": () => complete({ skills: [entry], ...kept }),
  "skills/get": skill,
};

function answered({ method, params = {} }, headers) {
  const named = params[NAMED[method]];
  if (headers["mcp-method"] !== method || (named !== undefined && headers["mcp-name"] !== named))
    throw new Refusal(-32020, "headers and message differ", undefined, 400);
  if (!methods[method]) throw new Refusal(-32601, "Method not found", undefined, 404);
  return methods[method](params);
}

async function bodyOf(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return JSON.parse(Buffer.concat(pieces).toString() || "null");
}

const http = createServer(async (request, response) => {
  const message = await bodyOf(request);
  if (request.method !== "POST" || message?.id === undefined) return response.writeHead(request.method === "POST" ? 202 : 405).end();
  let status = 200;
  let answer;
  try {
    answer = { result: answered(message, request.headers) };
  } catch (error) {
    status = error.status ?? 200;
    answer = { error: { code: error.code ?? -32603, message: error.message, data: error.data } };
  }
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ jsonrpc: "2.0", id: message.id, ...answer }));
});
http.listen(0, "127.0.0.1", () => console.log(`ready http://127.0.0.1:${http.address().port}/mcp`));
process.stdin.resume().once("close", () => process.exit(0));
