"""Visitors of the web page: users, roles, sessions, and what every request must satisfy."""
