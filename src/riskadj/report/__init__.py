"""What may leave, and what people read: disclosure control, card, figures, run folder."""
