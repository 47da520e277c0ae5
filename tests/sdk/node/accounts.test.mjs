// Doors that OpenRouter's clients know: what a call cost, what a key has used, what is left. And a key's own limits.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { MODEL, collect, nanos, newClient, request, until } from "./support.mjs";

test("a generation is found by the header of its answer, by its user alone", async () => {
  const { client: stranger } = await newClient();
  for (const stream of [false, true]) {
    const { user, client } = await newClient();
    const { data: answer, response } = await client.chat.completions.create(request({ stream })).withResponse();
    if (stream) await collect(answer);
    const query = { id: response.headers.get("x-generation-id") };
    const { data } = await client.get("/generation", { query });
    assert.deepEqual([data.id, data.model, data.streamed, data.provider_name], [query.id, MODEL, stream, "openrouter"]);
    assert.deepEqual([data.tokens_prompt, data.tokens_completion, data.finish_reason], [2, 8, "stop"]);
    // What is shown is what was taken.
    assert.equal(nanos(data.total_cost), nanos(10) - nanos((await user.balance()).credits));
    await assert.rejects(stranger.get("/generation", { query }), OpenAI.NotFoundError);
  }
});

test("the key and the credits tell what was used", async () => {
  const { user, client } = await newClient();
  const { gateway_usage } = await client.chat.completions.create(request());
  const { data: credits } = await client.get("/credits");
  assert.deepEqual([credits.total_credits, credits.total_usage], [10, gateway_usage.cost_usd]);
  const { data: key } = await client.get("/key");
  assert.deepEqual([key.label, key.is_free_tier], [`${user.key.slice(0, 10)}...`, true]);
  // Summed up for the key a moment later.
  await until(async () => (await client.get("/key")).data.usage === gateway_usage.cost_usd, 5_000);
});

test("a key's own limit is told on each answer, and one more is a RateLimitError that costs nothing", async () => {
  const { user, client } = await newClient();
  await user.limit({ requests_per_day: 2 });
  for (const left of ["1", "0"]) {
    const { response } = await client.chat.completions.create(request()).withResponse();
    assert.equal(response.headers.get("x-ratelimit-limit-requests"), "2");
    assert.equal(response.headers.get("x-ratelimit-remaining-requests"), left);
  }
  const before = await user.balance();
  await assert.rejects(client.chat.completions.create(request()), (error) => {
    assert.equal(error.constructor, OpenAI.RateLimitError);
    assert.deepEqual([error.code, error.type], ["rate_limit_exceeded", "rate_limit_error"]);
    assert.ok(Number(error.headers.get("retry-after")) > 0);
    return true;
  });
  assert.deepEqual(await user.balance(), before);
});
