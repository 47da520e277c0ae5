#!/usr/bin/env python3
"""Cuts out of OpenAI's specification the schemas that the suites check answers against.

    extract_schemas.py openai-openapi.json > openai-schemas.json

Texts for people are left out. `nullable`, which the specification still has from OpenAPI 3.0, becomes what JSON Schema
2020-12 understands.
"""

import json
import re
import sys

ROOTS = [
    "CreateChatCompletionResponse",
    "CreateChatCompletionStreamResponse",
    "ErrorResponse",
    "ListModelsResponse",
    "Model",
]
REFERENCE = re.compile(r'"#/components/schemas/([^"/]+)"')
FOR_PEOPLE = {"deprecated", "description", "discriminator", "example", "title"}


def lean(schema):
    """The schema without texts, and with `nullable` as a type."""
    if isinstance(schema, list):
        return [lean(element) for element in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        # Under `properties` the names are the API's own.
        key: {name: lean(field) for name, field in value.items()} if key == "properties" else lean(value)
        for key, value in schema.items()
        if key not in FOR_PEOPLE and key != "nullable" and not key.startswith("x-")
    }
    return {"anyOf": [kept, {"type": "null"}]} if schema.get("nullable") else kept


def closure(schemas):
    """The roots and all that they refer to."""
    found, waiting = {}, list(ROOTS)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = lean(schemas[name])
            waiting += REFERENCE.findall(json.dumps(found[name]))
    return dict(sorted(found.items()))


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        specification = json.load(file)
    info = specification["info"]
    source = f"{info['title']} {info['version']}, licence {info['license']['identifier']}"
    schemas = closure(specification["components"]["schemas"])
    # A line for each, so that a later version can be compared.
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(schema)}" for name, schema in schemas.items())
    print(f'{{"source": {json.dumps(source)}, "components": {{"schemas": {{\n{lines}\n}}}}}}')


main()
