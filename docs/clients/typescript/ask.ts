// A gateway in miniature: asks mcp-acl about one MCP message, and hands it the response to that message.
//
// It fails closed: only DECISION_ALLOW lets the message pass. No answer, an answer without a decision and an answer that came too late
// deny it, or withhold its response.
import { type CallOptions, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";

import {
  AccessControlClient,
  CheckRequest,
  type CheckResponse,
  Decision,
  Direction,
  FilterResponseRequest,
  type FilterResponseResponse,
  Principal,
  ResponseNeeds,
  TokenState,
} from "./build/acl.ts";

const USAGE = `usage: node ask.ts ADDRESS SERVER CLAIMS MESSAGE [RESPONSE]

ADDRESS   where the service listens, host:port
SERVER    the id of the MCP server that the message is for
CLAIMS    the verified claims of the token, as JSON; '' if there is no token
MESSAGE   the message, as it came
RESPONSE  what the MCP server answers, if the message passes
`;

/** How long one answer may take, in milliseconds, a second attempt included. */
const PATIENCE = 1000;

/** A service that shuts down says UNAVAILABLE: ask again, once. */
const AGAIN = {
  methodConfig: [{
    name: [{ service: "mcp_acl.v1.AccessControl" }],
    retryPolicy: {
      maxAttempts: 2, initialBackoff: "0.05s", maxBackoff: "0.05s", backoffMultiplier: 1,
      retryableStatusCodes: ["UNAVAILABLE"],
    },
  }],
};

type Method<Question, Answer> = (
  question: Question,
  metadata: Metadata,
  options: CallOptions,
  callback: (error: ServiceError | null, answer: Answer) => void,
) => unknown;

/** One question and its answer. Rejects if there is none in time. */
function ask<Question, Answer>(
  service: AccessControlClient,
  method: Method<Question, Answer>,
  question: Question,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + PATIENCE };
    method.call(service, question, new Metadata(), options, (error, answer) => error ? reject(error) : resolve(answer));
  });
}

/** What to do with a message: let it pass, or send `body` back. */
type Verdict = { allowed: CheckResponse } | { reason: string; body: Buffer };

async function check(service: AccessControlClient, message: Buffer, question: CheckRequest): Promise<Verdict> {
  try {
    const answer = await ask<CheckRequest, CheckResponse>(service, service.check, question);
    if (answer.decision === Decision.DECISION_ALLOW) return { allowed: answer };
    if (answer.decision === Decision.DECISION_DENY && answer.denial) {
      return { reason: answer.reason, body: answer.denial.body };
    }
    throw new Error("the answer holds no decision");
  } catch (error) {
    fail(error);
    return { reason: "unavailable", body: unavailable(message) };
  }
}

/** What to send instead of the response: an error, if that cannot be said. */
async function filter(
  service: AccessControlClient,
  message: Buffer,
  allowed: CheckResponse,
  response: Buffer,
): Promise<Buffer> {
  if (allowed.responseNeeds === ResponseNeeds.RESPONSE_NEEDS_NONE) return response;
  const question = FilterResponseRequest.fromPartial({
    context: allowed.context, contentType: "application/json", body: response, status: 200,
  });
  try {
    const answer = await ask<FilterResponseRequest, FilterResponseResponse>(service, service.filterResponse, question);
    if (answer.status === 0) throw new Error("the answer holds no response");
    return answer.body;
  } catch (error) {
    fail(error);
    return unavailable(message);
  }
}

/** The JSON-RPC error that answers a message when the service does not. */
function unavailable(message: Buffer): Buffer {
  let id: unknown = null;
  try {
    id = JSON.parse(message.toString()).id ?? null;
  } catch {
    // A message that cannot be read has no id to answer.
  }
  const error = { code: -32603, message: "access cannot be decided at the moment" };
  return Buffer.from(JSON.stringify({ jsonrpc: "2.0", id, error }));
}

/** Who asks: claims count only because somebody verified them. */
function principal(claims: string): Principal {
  return Principal.fromPartial(
    claims === ""
      ? { token: TokenState.TOKEN_STATE_NONE }
      : { token: TokenState.TOKEN_STATE_VALID, claims: { $case: "claimsJson", value: Buffer.from(claims) } },
  );
}

function fail(error: unknown): void {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

const [address, server, claims, text, response] = process.argv.slice(2);
if (address === undefined || server === undefined || claims === undefined || text === undefined) {
  process.stderr.write(USAGE);
  process.exit(2);
}
const message = Buffer.from(text);
const service = new AccessControlClient(
  address,
  credentials.createInsecure(), // On loopback; elsewhere credentials.createSsl.
  {
    "grpc.enable_http_proxy": 0,
    "grpc.max_receive_message_length": 16 * 1024 * 1024, // As large as what was sent.
    "grpc.service_config": JSON.stringify(AGAIN),
  },
);
const verdict = await check(service, message, CheckRequest.fromPartial({
  server,
  direction: Direction.DIRECTION_CLIENT_TO_SERVER,
  message: { $case: "raw", value: message },
  principal: principal(claims),
  filtersResponses: true,
}));
if ("allowed" in verdict) {
  console.log("ALLOW", verdict.allowed.reason);
  if (response !== undefined) {
    console.log((await filter(service, message, verdict.allowed, Buffer.from(response))).toString());
  }
} else {
  console.log(`DENY ${verdict.reason}\n${verdict.body}`);
  process.exitCode = 1;
}
service.close();
