"""From files to checked rows: mapping files, tables, features, values, a report of every row."""
