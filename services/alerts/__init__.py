"""Alerts: what people should know, from what the stages report."""
