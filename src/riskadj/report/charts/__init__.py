"""How each chart is drawn: its words, its data, its marks."""
