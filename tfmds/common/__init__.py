"""What every room needs: programs, files, errors, paths."""
