"""What trainings are compared by: arms, statistics, verdicts, tables and plots."""
