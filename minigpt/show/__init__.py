"""What a person sees: progress lines, tables, figures, the tables of the README."""
