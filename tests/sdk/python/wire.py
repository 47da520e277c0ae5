"""Answers as they come over the wire, held against OpenAI's specification."""

import gzip
import json
from pathlib import Path

import httpx2
import jsonschema

SCHEMAS = json.loads((Path(__file__).parent.parent / "openai-schemas.json").read_text(encoding="utf-8"))
# Doors below `/v1/models` that OpenAI does not have.
OURS = ("/endpoints", "/count")


def check(schema, value):
    """Raises unless the value fits the specification's schema of that name."""
    whole = {"$ref": f"#/components/schemas/{schema}", "components": SCHEMAS["components"]}
    jsonschema.Draft202012Validator(whole).validate(value)


class Exchange:
    """One answer of the server's, as far as its client has read it."""

    def __init__(self, response):
        self.path = response.request.url.path
        self.status = response.status_code
        self.headers = response.headers
        self.body = b""

    def check(self):
        # Mutants (a proxy that changes answers): without x-request-id, x-generation-id, `detail`, `refusal` or `owned_by`, or
        # with a finish reason of its own, these are red.
        assert self.headers["x-request-id"], self.path
        if self.status == 304:
            assert self.body == b""
        elif self.status >= 400:
            check("ErrorResponse", self.json())
            assert self.json()["detail"] == self.json()["error"]["message"]
        elif self.headers["content-type"] == "text/event-stream":
            self.check_events()
        elif self.path.endswith("/chat/completions"):
            check("CreateChatCompletionResponse", self.json())
            assert self.headers["x-generation-id"].startswith("gen-")
        elif self.path.endswith("/models"):
            check("ListModelsResponse", self.json())
        elif not self.path.endswith(OURS):
            check("Model", self.json())

    def json(self):
        """The whole body; the SDKs ask for gzip."""
        packed = self.headers.get("content-encoding") == "gzip"
        return json.loads(gzip.decompress(self.body) if packed else self.body)

    def check_events(self):
        assert self.headers["x-generation-id"].startswith("gen-")
        for event in self.events():
            check("ErrorResponse" if "error" in event else "CreateChatCompletionStreamResponse", event)

    def events(self):
        """The whole events that were read, parsed; without `[DONE]`."""
        lines = self.body.decode("utf-8-sig").replace("\r\n", "\n")
        data = [data_of(event) for event in lines.split("\n\n")[:-1]]
        return [json.loads(text) for text in data if text not in ("", "[DONE]")]


def data_of(event):
    """An event's data, whose lines are joined (HTML Living Standard, 9.2.6)."""
    lines = [line.removeprefix("data:").removeprefix(" ") for line in event.split("\n") if line.startswith("data:")]
    return "\n".join(lines)


class Recorded(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body that is written down while the client reads it."""

    def __init__(self, stream, exchange):
        self.stream = stream
        self.exchange = exchange

    def __iter__(self):
        for piece in self.stream:
            self.exchange.body += piece
            yield piece

    async def __aiter__(self):
        async for piece in self.stream:
            self.exchange.body += piece
            yield piece

    def close(self):
        self.stream.close()

    async def aclose(self):
        await self.stream.aclose()


def recorder(exchanges):
    """A hook for a client."""

    def record(response):
        exchanges.append(Exchange(response))
        response.stream = Recorded(response.stream, exchanges[-1])

    return record


def async_recorder(exchanges):
    """The same for an asynchronous client."""
    record = recorder(exchanges)

    async def hook(response):
        record(response)

    return hook
