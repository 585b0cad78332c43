"""Handling of matters: cases, steps, hands, visits."""
