"""Claim lines become episodes: index events, windows, components of cost, comorbidity."""
