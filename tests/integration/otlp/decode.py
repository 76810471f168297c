"""Reads what a collector was sent as OpenTelemetry's own protobuf types do.

Runs in the Python of requirements.txt. Takes a JSON array of request bodies on its standard input and prints the spans, each
with its resource and its schema, as JSON. A member that the types do not have, or of another type, is an error.
"""
import base64
import json
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

# OTLP writes these as hexadecimal digits, protobuf's own JSON would be base64.
IDS = {"traceId": 32, "spanId": 16, "parentSpanId": 16}


def with_base64_ids(value):
    if isinstance(value, list):
        return [with_base64_ids(one) for one in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for name, inner in value.items():
        if name in IDS:
            assert len(inner) == IDS[name] and inner == inner.lower(), inner
            made[name] = base64.b64encode(bytes.fromhex(inner)).decode()
        else:
            made[name] = with_base64_ids(inner)
    return made


def attributes(pairs):
    """{name: value}; an attribute that comes twice is an error."""
    found = {}
    for pair in pairs:
        assert pair.key not in found, pair.key
        found[pair.key] = getattr(pair.value, pair.value.WhichOneof("value"))
    return found


def span(one, resource, schema):
    return {
        "trace": one.trace_id.hex(), "span": one.span_id.hex(), "parent": one.parent_span_id.hex(), "state": one.trace_state,
        "flags": one.flags, "name": one.name, "kind": type(one).SpanKind.Name(one.kind), "begun": one.start_time_unix_nano,
        "ended": one.end_time_unix_nano, "attributes": attributes(one.attributes), "status": one.status.code,
        "links": [{"trace": link.trace_id.hex(), "span": link.span_id.hex(), "state": link.trace_state} for link in one.links],
        "resource": attributes(resource.attributes), "schema": schema,
    }


def main():
    spans = []
    for body in json.load(sys.stdin):
        request = json_format.ParseDict(with_base64_ids(json.loads(body)), ExportTraceServiceRequest())
        for of_resource in request.resource_spans:
            for of_scope in of_resource.scope_spans:
                spans += [span(one, of_resource.resource, of_resource.schema_url) for one in of_scope.spans]
    json.dump(spans, sys.stdout)


main()
