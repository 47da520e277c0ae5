// Each refusal is the class of error that the SDK's users catch; a client that leaves costs nothing more.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { before, test } from "node:test";
import OpenAI from "openai";
import { collect, connect, newClient, request, until } from "./support.mjs";

let user, client;

before(async () => {
  ({ user, client } = await newClient());
});

const is = (kind, fields) => (error) => {
  assert.equal(error.constructor, kind, String(error));
  for (const [name, value] of Object.entries(fields)) assert.equal(error[name], value, `${name} of ${error}`);
  return true;
};

const refused = (promise, kind, fields) => assert.rejects(promise, is(kind, fields));
const ask = (fields, options) => client.chat.completions.create(request(fields), options);

test("a wrong request is a BadRequestError that names the field", async () => {
  const fields = { status: 400, type: "invalid_request_error" };
  await refused(ask({ max_tokens: 0 }), OpenAI.BadRequestError, { ...fields, param: "max_tokens" });
  await refused(ask({ messages: [] }), OpenAI.BadRequestError, { ...fields, param: "messages" });
  await refused(ask({ n: "two" }), OpenAI.BadRequestError, { ...fields, param: "n" });
});

test("a wrong key and no key are AuthenticationErrors", async () => {
  const fields = { status: 401, type: "authentication_error" };
  const call = (key, headers) => connect(key).chat.completions.create(request(), { headers });
  await refused(call("gw_live_wrong"), OpenAI.AuthenticationError, fields);
  await refused(call("none", { Authorization: null }), OpenAI.AuthenticationError, fields);
});

test("a key for other addresses is a PermissionDeniedError", async () => {
  const key = await user.furtherKey({ ip_allowlist: ["203.0.113.7"] });
  await refused(connect(key).chat.completions.create(request()), OpenAI.PermissionDeniedError, { status: 403 });
});

test("an unknown model is a NotFoundError", async () => {
  const fields = { status: 404, code: "model_not_found", param: "model" };
  await refused(ask({ model: "nobody/nothing" }), OpenAI.NotFoundError, fields);
  await refused(client.models.retrieve("nobody/nothing"), OpenAI.NotFoundError, fields);
});

test("without credits the status is 402 and the code insufficient_quota", async () => {
  const { client } = await newClient();
  const dimes = (max_tokens) => client.chat.completions.create(request({ model: "sim/dime", max_tokens }));
  for (let dollars = 0; dollars < 10; dollars++) await dimes(1000);
  await refused(dimes(100), OpenAI.APIError, { status: 402, code: "insufficient_quota" });
});

test("an upstream's failures are RateLimitErrors and InternalServerErrors", async () => {
  await refused(ask({ model: "sim/429" }), OpenAI.RateLimitError, { status: 429 });
  await refused(ask({ model: "sim/500-html" }), OpenAI.InternalServerError, { status: 502 });
  await refused(ask({ model: "sim/503", stream: true }), OpenAI.InternalServerError, { status: 502 });
  await refused(ask({ model: "sim/hang-up" }), OpenAI.InternalServerError, { status: 503 });
});

test("the SDK waits as long as it is told, and not at all for what waiting cannot cure", async () => {
  const began = performance.now();
  const patient = connect(user.key, { maxRetries: 1 });
  const retried = patient.chat.completions.create(request({ model: "sim/retry-after-1" }));
  await refused(retried, OpenAI.RateLimitError, { status: 429 });
  // Without Retry-After it would be half a second.
  assert.ok(performance.now() - began >= 990);
  const capped = connect(await user.furtherKey({ max_requests: 1 }), { maxRetries: 5 });
  await capped.chat.completions.create(request());
  await assert.rejects(capped.chat.completions.create(request()), (error) => {
    assert.equal(error.constructor, OpenAI.RateLimitError);
    assert.equal(error.headers.get("x-should-retry"), "false");
    return true;
  });
});

test("a time-out is the SDK's own, and the call is finished and charged", async () => {
  const { user, client } = await newClient();
  const slow = request({ model: "sim/token-delay-20", max_tokens: 150 });
  await assert.rejects(client.chat.completions.create(slow, { timeout: 300 }), OpenAI.APIConnectionTimeoutError);
  assert.equal((await user.balance()).credits, 10);
  await until(async () => (await user.balance()).held === 0, 10_000);
  assert.equal((await user.balance()).credits, 10 - 0.000_302);
});

test("a stream that breaks throws an APIError after what was said", async () => {
  const said = [];
  const listen = async () => {
    for await (const chunk of await ask({ model: "sim/eof-after-3", stream: true })) said.push(chunk.choices[0].delta.content);
  };
  await refused(listen(), OpenAI.APIError, { code: "upstream_error" });
  assert.equal(said.join(""), "tok1 tok2 tok3");
});

test("an Idempotency-Key that is used otherwise is a ConflictError or an UnprocessableEntityError", async () => {
  // The SDK's own option `idempotencyKey` sends nothing.
  const underKey = () => ({ headers: { "Idempotency-Key": randomUUID() } });
  const plain = underKey();
  const [first, again] = [await ask({}, plain), await ask({}, plain)];
  assert.deepEqual(again, first);
  await refused(ask({ max_tokens: 9 }, plain), OpenAI.UnprocessableEntityError, { code: "idempotency_key_reused" });
  const stream = underKey();
  await collect(await ask({ stream: true }, stream));
  await refused(ask({ stream: true }, stream), OpenAI.ConflictError, { code: "idempotency_key_in_use" });
});

test("a stream that its client aborts is charged for what came, and nothing stays held", async () => {
  const { user, client } = await newClient();
  const controller = new AbortController();
  // 4,000 tokens, one each 20 ms: 80 seconds, if nobody stopped it.
  const fields = request({ model: "sim/token-delay-20", max_tokens: 4000, stream: true });
  const stream = await client.chat.completions.create(fields, { signal: controller.signal });
  let chunks = 0;
  for await (const _ of stream) {
    if (++chunks === 5) {
      assert.ok((await user.balance()).held > 0);
      controller.abort();
    }
  }
  await until(async () => (await user.balance()).held === 0, 2_000);
  const { credits } = await user.balance();
  assert.ok(credits < 10 && credits > 10 - 200 * 0.000_002, `${credits} dollars are left`);
});
