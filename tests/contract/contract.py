"""The contract as the tests read it: operations with their parameters, schemas with every reference resolved."""

import functools
import pathlib

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
METHODS = ("get", "post", "put", "patch", "delete")
JSON = "application/json"


@functools.cache
def document():
    """The contract with its references."""
    return yaml.load((ROOT / "openapi.yaml").read_text(), Loader=yaml.CSafeLoader)


def target(reference):
    node = document()
    for step in reference.removeprefix("#/").split("/"):
        node = node[step.replace("~1", "/").replace("~0", "~")]
    return node


def resolve(node):
    """The node with every reference below it replaced by what it names. What stands beside a reference goes before."""
    if isinstance(node, list):
        return [resolve(item) for item in node]
    if not isinstance(node, dict):
        return node
    beside = {key: resolve(value) for key, value in node.items() if key != "$ref"}
    if not isinstance(node.get("$ref"), str):
        return beside
    return resolve(target(node["$ref"])) | beside


class Operation:
    def __init__(self, path, method, item):
        self.path = path
        self.method = method.upper()
        self.raw = item[method]
        self.at_root = "servers" in item  # of the host, not below the interface's version
        self.id = self.raw["operationId"]
        self.parameters = resolve(item.get("parameters", []) + self.raw.get("parameters", []))
        self.responses = {status: resolve(answer) for status, answer in self.raw["responses"].items()}
        self.bodies = resolve(self.raw.get("requestBody", {})).get("content", {})
        self.open = self.raw["security"] == []
        self.roles = [role for way in self.raw["security"] for role in way["utvag"]]

    def __repr__(self):
        return self.id

    def parameter(self, name, place):
        return next((p for p in self.parameters if p["name"] == name and p["in"] == place), None)

    @property
    def success(self):
        return int(min(status for status in self.responses if status.startswith("2")))

    @property
    def answers_json(self):
        return any("json" in kind for kind in self.responses[str(self.success)].get("content", {}))

    @property
    def form(self):
        return "application/x-www-form-urlencoded" in self.bodies

    @property
    def takes_secret(self):
        """Whether the body shows who calls: a password, a secret, an invitation."""
        return self.open and any(member.get("writeOnly") for body in self.bodies.values()
                                 for _, _, member in members(body["schema"]))

    @property
    def has_id(self):
        return any(p["in"] == "path" for p in self.parameters)

    def example(self):
        """The first example of the body, for a request; None if it takes none."""
        return examples(self.bodies[JSON])[0] if self.bodies else None

    def media(self):
        """Every body with a schema: (where, media type, content)."""
        for kind, content in self.bodies.items():
            yield "request", kind, content
        for status, answer in self.responses.items():
            for kind, content in answer.get("content", {}).items():
                yield status, kind, content


def examples(holder):
    """Of a media type or a parameter, the values of all its examples."""
    if "example" in holder:
        return [holder["example"]]
    return [example["value"] for example in holder.get("examples", {}).values()]


@functools.cache
def operations():
    return [Operation(path, method, item) for path, item in document()["paths"].items()
            for method in METHODS if method in item]


@functools.cache
def roles():
    return list(document()["components"]["securitySchemes"]["utvag"]["flows"]["clientCredentials"]["scopes"])


def members(schema, place=""):
    """Every member of a schema, deep: (pointer, name, schema)."""
    for name, member in schema.get("properties", {}).items():
        yield f"{place}/{name}", name, member
        yield from members(member, f"{place}/{name}")
    for number, branch in enumerate(schema.get("oneOf", [])):
        yield from members(branch, f"{place}<{number}>")
    if isinstance(schema.get("items"), dict):
        yield from members(schema["items"], place + "/0")
