"""Analysis of one text: words, numbers, units, dates, codes, and the words of the lexicon."""
