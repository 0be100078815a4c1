"""Values of cells: text, dates, quantities, blanks, and what a column is."""
