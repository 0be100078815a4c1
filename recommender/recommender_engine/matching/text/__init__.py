"""One text, taken apart: words, numbers, units, dates, codes, and the words that change what it is about."""
