"""Bringing messages to the outside: signed webhooks to public addresses, and the services that Apprise knows."""
