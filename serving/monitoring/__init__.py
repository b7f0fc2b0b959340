"""Monitoring: Prometheus' metrics and OpenTelemetry's spans."""
