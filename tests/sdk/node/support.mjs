// Users and clients of the server under test, and the check that everything on the wire fits OpenAI's specification.
import { randomUUID } from "node:crypto";
import { afterEach } from "node:test";
import OpenAI from "openai";
import { recorder } from "./wire.mjs";

export const SERVER = process.env.TOLLGATE_URL;
export const MODEL = "openai/gpt-4o-mini";
export const TOKENS = "tok1 tok2 tok3 tok4 tok5 tok6 tok7 tok8";

/** All limits that a key has, as wide as the server's own allow them. */
const WIDE = {};
for (const window of ["minute", "hour", "day"]) {
  Object.assign(WIDE, { [`requests_per_${window}`]: 100_000, [`tokens_per_${window}`]: 100_000 });
}

async function json(path, { key, body } = {}) {
  const answer = await fetch(SERVER + path, {
    method: body ? "POST" : "GET",
    headers: { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }) },
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

let users = 0;

/** A new user with ten dollars. */
export async function register() {
  // Test files are processes of their own.
  const username = `node${process.pid}x${++users}`;
  const body = { username, email: `${username}@example.com` };
  const { api_key: key } = await json("/auth/register", { body });
  return {
    key,
    balance: () => json("/user/balance", { key }),
    limit: (limits) => json("/user/rate-limits/bulk-update", { key, body: { ...WIDE, ...limits } }),
    furtherKey: async (limits) => {
      const body = { key_name: randomUUID(), ...limits };
      return (await json("/user/api-keys", { key, body })).api_key;
    },
  };
}

/** What the test's clients received; at its end each answer, chunk and error is held against its schema. */
const traffic = [];

afterEach(() => {
  for (const exchange of traffic.splice(0)) exchange.check();
});

/** A client that does not retry: a retry would hide the answer that a test is about. */
export const connect = (key, options) =>
  new OpenAI({ baseURL: `${SERVER}/v1`, apiKey: key, maxRetries: 0, fetch: recorder(traffic), ...options });

/** A client of a new user. */
export async function newClient() {
  const user = await register();
  return { user, client: connect(user.key) };
}

export const request = (fields) => ({ model: MODEL, messages: [{ role: "user", content: "Hello" }], max_tokens: 8, ...fields });

/** Dollars as they are counted: the SDK reads them as floats. */
export const nanos = (dollars) => Math.round(dollars * 1e9);

export async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

export const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");

/** Milliseconds until the condition holds; throws after the limit. */
export async function until(condition, limitMs) {
  const began = performance.now();
  while (!(await condition())) {
    if (performance.now() - began > limitMs) throw new Error(`not within ${limitMs} ms: ${condition}`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
  return performance.now() - began;
}
