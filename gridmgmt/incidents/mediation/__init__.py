"""Mediation (调解), deliberation (民事民议) and meetings that report back (民心沟通会)."""
