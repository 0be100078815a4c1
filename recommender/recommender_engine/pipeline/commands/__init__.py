"""What each command does: one handler a command."""
