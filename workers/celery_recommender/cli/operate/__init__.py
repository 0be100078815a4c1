"""Commands of operators: settings, backups, dead letters, moves."""
