"""Input of commands: files, columns, settings of collections; sending of rows."""
