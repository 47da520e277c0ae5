// Completions, plain and streamed, and tools.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { MODEL, TOKENS, collect, nanos, newClient, request, textOf } from "./support.mjs";

let user, client;

before(async () => {
  ({ user, client } = await newClient());
});

const weather = {
  type: "function",
  function: {
    name: "weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false },
  },
};

test("a completion has what was said and what it cost", async () => {
  const completion = await client.chat.completions.create(request());
  const [choice] = completion.choices;
  assert.equal(completion.object, "chat.completion");
  assert.equal(completion.model, MODEL);
  assert.deepEqual([choice.message.role, choice.message.content, choice.finish_reason], ["assistant", TOKENS, "stop"]);
  assert.deepEqual([completion.usage.prompt_tokens, completion.usage.completion_tokens], [2, 8]);
  assert.equal(completion.gateway_usage.tokens_charged, 10);
  assert.equal(completion.gateway_usage.user_balance_after, (await user.balance()).credits);
});

test("headers name the request and the generation", async () => {
  const { data, response, request_id } = await client.chat.completions.create(request()).withResponse();
  assert.equal(data._request_id, response.headers.get("x-request-id"));
  assert.equal(request_id, data._request_id);
  assert.match(response.headers.get("x-generation-id"), /^gen-/);
  const raw = await client.chat.completions.create(request({ stream: true })).asResponse();
  assert.equal(raw.headers.get("content-type"), "text/event-stream");
  assert.match(raw.headers.get("x-generation-id"), /^gen-/);
  assert.match(await raw.text(), /\n\ndata: \[DONE\]\n\n$/);
});

test("a stream tells no usage unless it is asked to", async () => {
  const chunks = await collect(await client.chat.completions.create(request({ stream: true })));
  assert.equal(textOf(chunks), TOKENS);
  assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
  assert.ok(chunks.every((chunk) => chunk.choices.length === 1 && !chunk.usage && !chunk.gateway_usage));
});

test("the last chunk tells the usage when asked", async () => {
  const fields = { stream: true, stream_options: { include_usage: true } };
  const chunks = await collect(await client.chat.completions.create(request(fields)));
  const last = chunks.pop();
  assert.equal(textOf(chunks), TOKENS);
  assert.ok(chunks.every((chunk) => chunk.usage === null && !("gateway_usage" in chunk)));
  assert.deepEqual([last.choices, last.usage.total_tokens], [[], 10]);
  assert.equal(last.gateway_usage.tokens_charged, 10);
  assert.equal(last.gateway_usage.user_balance_after, (await user.balance()).credits);
});

test("the stream helper puts the answer together", async () => {
  const deltas = [];
  const stream = client.chat.completions.stream(request({ stream_options: { include_usage: true } }));
  stream.on("content", (delta) => deltas.push(delta));
  const completion = await stream.finalChatCompletion();
  assert.equal(deltas.join(""), TOKENS);
  assert.equal(completion.choices[0].message.content, TOKENS);
  assert.equal(completion.usage.completion_tokens, 8);
});

test("a loop of model and tools comes to its end", async () => {
  for (const stream of [false, true]) {
    const asked = [];
    const tool = structuredClone(weather);
    Object.assign(tool.function, {
      parse: JSON.parse,
      function: (parameters) => {
        asked.push(parameters);
        return "sunny";
      },
    });
    const runner = client.chat.completions.runTools(request({ tools: [tool], max_tokens: 12, stream }));
    assert.match(await runner.finalContent(), /^tok1 /);
    assert.deepEqual(asked.map(Object.keys), [["city"]]);
    assert.deepEqual(runner.messages.map((message) => message.role), ["user", "assistant", "tool", "assistant"]);
  }
});

test("the pieces of a streamed tool call make up its arguments", async () => {
  const chunks = await collect(await client.chat.completions.create(request({ stream: true, tools: [weather] })));
  const calls = chunks.flatMap((chunk) => chunk.choices[0].delta.tool_calls ?? []);
  assert.equal(calls[0].function.name, "weather");
  assert.deepEqual(Object.keys(JSON.parse(calls.map((call) => call.function.arguments).join(""))), ["city"]);
  assert.equal(chunks.at(-1).choices[0].finish_reason, "tool_calls");
});

test("structured output is parsed", async () => {
  const schema = { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"], additionalProperties: false };
  const response_format = { type: "json_schema", json_schema: { name: "verdict", strict: true, schema } };
  const completion = await client.chat.completions.create(request({ response_format }));
  assert.deepEqual(Object.keys(JSON.parse(completion.choices[0].message.content)), ["ok"]);
});

test("models are listed, and found by an id with a slash", async () => {
  const models = await collect(await client.models.list());
  assert.ok(models.some((model) => model.id === MODEL));
  const model = await client.models.retrieve(MODEL);
  assert.deepEqual([model.id, model.object], [MODEL, "model"]);
});

test("every listed model is retrieved by its id, and has OpenRouter's fields beside", async () => {
  const models = await collect(await client.models.list());
  for (const listed of models.filter((model) => !model.id.startsWith("sim/"))) {
    assert.deepEqual(await client.models.retrieve(listed.id), listed);
  }
  const model = models.find((model) => model.id === MODEL);
  assert.equal(model.context_length, 128_000);
  assert.ok(model.supported_parameters.includes("tools"));
  const { data } = await client.get(`/models/${MODEL}/endpoints`);
  assert.deepEqual(data.endpoints.map((endpoint) => [endpoint.tag, endpoint.pricing.prompt]), [["openrouter", model.charged_pricing.prompt]]);
});

test("logprobs, stop and an image come through", async () => {
  const url = "data:image/gif;base64,R0lGODlhAQABAAAAACw=";
  const content = [{ type: "text", text: "What is this?" }, { type: "image_url", image_url: { url } }];
  const fields = { messages: [{ role: "user", content }], logprobs: true, top_logprobs: 1, stop: ["END"], n: 2 };
  const { choices } = await client.chat.completions.create(request(fields));
  assert.deepEqual(choices.map((choice) => [choice.index, choice.logprobs.content[0].token]), [[0, "tok1"], [1, "tok1"]]);
});

test("fifty calls at once are charged to the last nano-dollar", async () => {
  const { user, client } = await newClient();
  const calls = Array.from({ length: 50 }, (_, index) => client.chat.completions.create(request({ max_tokens: index + 1 })));
  const answers = await Promise.all(calls);
  const cost = answers.reduce((sum, answer) => sum + nanos(answer.gateway_usage.cost_usd), 0);
  const { credits, held } = await user.balance();
  assert.deepEqual([nanos(10) - nanos(credits), held], [cost, 0]);
  assert.equal(new Set(answers.map((answer) => answer.id)).size, 50);
});
