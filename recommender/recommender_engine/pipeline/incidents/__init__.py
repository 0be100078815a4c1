"""Incidents: groups that grow out of their own baseline are opened, updated and closed in stream time."""
