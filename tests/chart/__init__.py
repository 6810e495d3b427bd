"""What is in the chart: generated files, schemas."""
