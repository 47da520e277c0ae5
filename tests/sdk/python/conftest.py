"""Users, clients, and the check that everything on the wire fits OpenAI's specification."""

import itertools
import json
import os
import time
import urllib.request
from dataclasses import dataclass
from decimal import Decimal

import openai
import pytest
import wire

SERVER = os.environ["TOLLGATE_URL"]
SIM = os.environ["SIM_URL"]
MODEL = "openai/gpt-4o-mini"

RELEASE_LIMIT_S = 2
# Of this process: another may run against the same server.
NAMES = (f"python{os.getpid()}x{number}" for number in itertools.count(1))


def fetch(url, key=None, body=None, number=Decimal):
    """An answer's JSON; dollars stay exact."""
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(url, body and json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer, parse_float=number)


@dataclass
class User:
    """A new user with ten dollars."""

    key: str

    @classmethod
    def register(cls):
        name = next(NAMES)
        body = {"username": name, "email": f"{name}@example.com"}
        return cls(fetch(f"{SERVER}/auth/register", body=body)["api_key"])

    def balance(self):
        return fetch(f"{SERVER}/user/balance", self.key)

    def credits(self):
        return Decimal(self.balance()["credits"])

    def is_clear(self):
        """Nothing is held. The hold of a call that failed is released soon after its answer."""
        deadline = time.monotonic() + RELEASE_LIMIT_S
        while self.balance()["held"] != 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.balance()["held"] == 0

    def further_key(self, **limits):
        return fetch(f"{SERVER}/user/api-keys", self.key, {"key_name": "further", **limits})["api_key"]


@pytest.fixture(autouse=True)
def traffic():
    """What the test's clients received; at its end each answer, chunk and error is held against its schema."""
    seen = []
    yield seen
    for exchange in seen:
        exchange.check()


@pytest.fixture
def user():
    return User.register()


@pytest.fixture
def connect(traffic):
    """Makes clients. They don't retry, unless told to: a retry would hide the answer that a test is about."""
    clients = []

    def connect(key, **options):
        http = openai.DefaultHttpxClient(event_hooks={"response": [wire.recorder(traffic)]})
        options = {"max_retries": 0, **options}
        clients.append(openai.OpenAI(base_url=f"{SERVER}/v1", api_key=key, http_client=http, **options))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def client(connect, user):
    return connect(user.key)


@pytest.fixture
def chat(client):
    """`chat(**fields)` asks for a short completion."""
    return lambda **fields: client.chat.completions.create(**request(**fields))


def request(**fields):
    return {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8, **fields}


def upstream():
    """The request that the provider received last."""
    [last] = fetch(f"{SIM}/sim/requests?last=1", number=float)
    return last["body"]


def exact(dollars):
    """The decimal number that stood in the JSON; the SDK reads it as a float."""
    return Decimal(str(dollars))


def price(model):
    """What is charged for the model: dollars per token of the prompt and of the completion."""
    models = fetch(f"{SERVER}/v1/models")["data"]
    charged = next(entry["charged_pricing"] for entry in models if entry["id"] == model)
    return Decimal(charged["prompt"]), Decimal(charged["completion"])


def cost(model, usage):
    """What these tokens cost, in dollars."""
    prompt, completion = price(model)
    return prompt * usage.prompt_tokens + completion * usage.completion_tokens
