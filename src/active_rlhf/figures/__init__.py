"""Figures of a study: functions from data frames to matplotlib figures, by subject."""
