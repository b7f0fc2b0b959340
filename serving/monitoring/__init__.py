"""What operators watch: Prometheus' metrics and OpenTelemetry's spans."""
