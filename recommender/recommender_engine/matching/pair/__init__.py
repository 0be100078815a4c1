"""Two items side by side: what they share, and how the pair stands among the other candidates."""
