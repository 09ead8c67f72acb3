// Loaded before a conformance suite, which has no option for it: every request that it fetches bears the token of MCP_TOKEN.
"use strict";
const { fetch } = globalThis;

globalThis.fetch = (address, options = {}) => {
  const headers = new Headers(options.headers);
  headers.set("authorization", `Bearer ${process.env.MCP_TOKEN}`);
  return fetch(address, { ...options, headers });
};
