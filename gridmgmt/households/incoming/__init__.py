"""The parts of the roster import: columns, homes, people, doubles, and how people come into the tables."""
