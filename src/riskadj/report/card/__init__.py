"""What a reader is told about a run, section by section, and what a person has to add."""
