"""From bytes to text and lines: encodings, formats, columns."""
