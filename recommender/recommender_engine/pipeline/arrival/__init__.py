"""An item arrives or goes: candidates, verdict, group and recommendations, and what follows for others."""
