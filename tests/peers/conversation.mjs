// What the clients in TypeScript share: steps one after another, and what was heard meanwhile.
const TRIES = 20;
const PATIENCE = 500;

// What was raised: its class, code and message.
export const raised = (error) => [error.constructor.name, error.code, error.message];

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// `methods` by name, each of the client and the parameters of a step; `headers` are those of every request.
export function conversation(client, methods, headers) {
  const began = { ...headers };
  const updated = new Set();
  let task = "0".repeat(32);

  const others = {
    become({ token }) {
      headers.Authorization = `Bearer ${token}`;
      return {};
    },
    async updates({ touch, until }) {
      for (let tries = 0; tries < TRIES && !updated.has(until); tries += 1) {
        for (const call of touch) await methods["tools/call"](client, call);
        for (let waited = 0; waited < PATIENCE && !updated.has(until); waited += 10) await sleep(10);
      }
      return [...updated].sort();
    },
  };

  async function seen(method, params) {
    const named = JSON.parse(JSON.stringify(params).replaceAll('"~"', JSON.stringify(task)));
    try {
      const result = await (others[method]?.(named) ?? methods[method](client, named));
      if (method === "task") task = result.task.taskId;
      return { result };
    } catch (error) {
      return { error: raised(error) };
    }
  }

  return {
    // Whoever began it is who ends the session.
    end: () => Object.assign(headers, began),
    hear: ({ params }) => updated.add(params.uri),
    async have(steps) {
      const found = [];
      for (const [method, params] of steps) found.push(await seen(method, params));
      return found;
    },
  };
}
