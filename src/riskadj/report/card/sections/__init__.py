"""What each section of a card says: one function per section, from findings to blocks."""
