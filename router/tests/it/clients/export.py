"""Exports one log record or one span by OpenTelemetry's own exporters.

Arguments: logs or traces, http or grpc, the endpoint, the tenant (may be empty), and a mark that is
the record's text or the span's service. Ends with 0 if the exporter calls it a success.
"""

import sys
import time

from opentelemetry.sdk.resources import Resource


def export_log(endpoint, headers, mark):
    from opentelemetry._logs import LogRecord
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import (
        InMemoryLogRecordExporter,
        SimpleLogRecordProcessor,
    )

    memory = InMemoryLogRecordExporter()
    provider = LoggerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    provider.get_logger("shop").emit(LogRecord(timestamp=time.time_ns(), body=mark))
    exporter = OTLPLogExporter(endpoint=endpoint, headers=headers)
    return exporter.export(memory.get_finished_logs())


def export_span(protocol, endpoint, headers, mark):
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
        InMemorySpanExporter,
    )

    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": mark}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    with provider.get_tracer("shop").start_as_current_span("checkout"):
        pass
    if protocol == "http":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
            OTLPSpanExporter,
        )

        exporter = OTLPSpanExporter(endpoint=endpoint, headers=headers)
    else:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
            OTLPSpanExporter,
        )

        lower = tuple((name.lower(), value) for name, value in headers.items())
        exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True, headers=lower)
    return exporter.export(memory.get_finished_spans())


def main():
    signal, protocol, endpoint, tenant, mark = sys.argv[1:]
    headers = {"X-Tenant-ID": tenant} if tenant else {}
    if signal == "logs":
        result = export_log(endpoint, headers, mark)
    else:
        result = export_span(protocol, endpoint, headers, mark)
    sys.exit(0 if result.name == "SUCCESS" else f"the exporter says {result.name}")


main()
