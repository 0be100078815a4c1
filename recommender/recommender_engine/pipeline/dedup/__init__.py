"""Which items are the same thing: candidates judged, groups, answers of people, corrected verdicts."""
