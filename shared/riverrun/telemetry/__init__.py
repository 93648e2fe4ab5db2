"""What a running service tells of itself: health and metrics by HTTP, metrics and traces by OpenTelemetry."""
