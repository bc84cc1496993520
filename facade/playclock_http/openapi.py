"""Makes an OpenAPI 3.1 document from declared operations. The schemas are those by which requests are checked."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from playclock_http.operation import Answer, Operation, Parameter

_REF: Final = "#/components/schemas/{name}"


def describe(
    operations: Sequence[Operation], *, title: str, version: str, description: str, schemes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the document. `schemes` are its security schemes by name."""
    schemas = _Schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": dict(schemes)},
    }


class _Schemas:
    """The schemas of all Structs that the operations name, each once."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        types: list[Any] = []
        for operation in operations:
            types += [] if operation.body is None else [operation.body]
            types += [body for answer in operation.answers.values() for body in answer.bodies]
        types = list(dict.fromkeys(types))
        references, self.components = msgspec.json.schema_components(types, ref_template=_REF)
        self._reference = dict(zip(types, references, strict=True))

    def of(self, bodies: Sequence[Any]) -> dict[str, Any]:
        references = [self._reference[body] for body in bodies]
        return references[0] if len(references) == 1 else {"oneOf": references}


def _operation(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "responses": {str(status): _answer(answer, schemas) for status, answer in operation.answers.items()},
    }
    if operation.security:
        described["security"] = [{scheme: [] for scheme in operation.security}]
    if operation.parameters:
        described["parameters"] = [_parameter(parameter) for parameter in operation.parameters]
    if operation.body is not None:
        content: dict[str, Any] = {"schema": schemas.of([operation.body])}
        if operation.body_example is not None:
            content["example"] = operation.body_example
        by_type = {"application/json": content}
        if operation.files:
            by_type["multipart/form-data"] = {"schema": _form(content["schema"], operation.files)}
        described["requestBody"] = {"required": operation.body_required, "content": by_type}
    return described


def _form(schema: dict[str, Any], files: Sequence[str]) -> dict[str, Any]:
    """Return the schema of a form that has the same fields, some of which are files."""
    binary = {"type": "string", "contentMediaType": "application/octet-stream"}
    return {"type": "object", "allOf": [schema], "properties": dict.fromkeys(files, binary)}


def _answer(answer: Answer, schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    if answer.bodies:
        content: dict[str, Any] = {"schema": schemas.of(answer.bodies)}
        if answer.examples:
            content["examples"] = {name: {"value": value} for name, value in answer.examples.items()}
        described["content"] = {"application/json": content}
    if answer.headers:
        described["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in answer.headers.items()
        }
    if answer.links:
        described["links"] = {name: dict(link) for name, link in answer.links.items()}
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }
