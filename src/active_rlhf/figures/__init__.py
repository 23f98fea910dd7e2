"""Figures of a study: functions from data frames to matplotlib figures, one module a family."""
