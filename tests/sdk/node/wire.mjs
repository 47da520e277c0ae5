// Answers as they come over the wire, held against OpenAI's specification.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";

const { components } = JSON.parse(readFileSync(new URL("../openai-schemas.json", import.meta.url), "utf8"));
const ajv = new Ajv({ keywords: ["components"], strictTypes: false, validateFormats: false }).addSchema({ components }, "openai");

/** Throws unless the value fits the specification's schema of that name. */
export function check(schema, value) {
  const fits = ajv.getSchema(`openai#/components/schemas/${schema}`);
  assert.ok(fits(value), `no ${schema}: ${ajv.errorsText(fits.errors)}: ${JSON.stringify(value)}`);
}

/** What a door answers that OpenAI has, too. */
function schemaOf(path) {
  if (path.endsWith("/chat/completions")) return "CreateChatCompletionResponse";
  if (path.endsWith("/models")) return "ListModelsResponse";
  if (path.includes("/models/") && !path.endsWith("/endpoints")) return "Model";
}

/** One answer of the server's, as far as its client has read it. */
class Exchange {
  text = "";

  constructor(path, { status, headers }) {
    Object.assign(this, { path, status, headers });
    this.isStream = headers.get("content-type") === "text/event-stream";
  }

  /** Writes down what passes through. */
  tap() {
    const decoder = new TextDecoder();
    return new TransformStream({
      transform: (piece, out) => {
        this.text += decoder.decode(piece, { stream: true });
        out.enqueue(piece);
      },
    });
  }

  check() {
    // Mutants (a proxy that changes answers): without x-request-id, x-generation-id, `detail`, `refusal` or `owned_by`, with a
    // finish reason of its own, or with another `object` in chunks, these are red.
    const { path, headers, text } = this;
    assert.ok(headers.get("x-request-id"), path);
    if (this.status >= 400) {
      const answer = JSON.parse(text);
      check("ErrorResponse", answer);
      assert.equal(answer.detail, answer.error.message);
      return;
    }
    if (path.endsWith("/chat/completions")) assert.match(headers.get("x-generation-id"), /^gen-/);
    if (this.isStream) {
      for (const event of eventsOf(text)) check("error" in event ? "ErrorResponse" : "CreateChatCompletionStreamResponse", event);
    } else if (schemaOf(path)) {
      check(schemaOf(path), JSON.parse(text));
    }
  }
}

/** The whole events that were read, parsed; without `[DONE]`. */
function eventsOf(text) {
  const whole = text.replaceAll("\r\n", "\n").split("\n\n").slice(0, -1);
  return whole.map(dataOf).filter((data) => data && data !== "[DONE]").map((data) => JSON.parse(data));
}

/** An event's data, whose lines are joined (HTML Living Standard, 9.2.6). */
function dataOf(event) {
  const lines = event.split("\n").filter((line) => line.startsWith("data:"));
  return lines.map((line) => line.replace(/^data: ?/, "")).join("\n");
}

/** A `fetch` that writes down each answer. */
export const recorder = (exchanges) => async (url, init) => {
  const answer = await fetch(url, init);
  const exchange = new Exchange(new URL(url).pathname, answer);
  exchanges.push(exchange);
  // A stream's clone would be read on when its client has left.
  if (exchange.isStream) return new Response(answer.body.pipeThrough(exchange.tap()), answer);
  exchange.text = await answer.clone().text();
  return answer;
};
